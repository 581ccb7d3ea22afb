//! Where a described service is: which of its servers, and how that stands in URLs.

use super::document::{Document, Found, Node};
use crate::destination::canonical_host;
use crate::json::Fault;
use url::Url;

/// The origin and base path of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Scheme, host, port and base path, without a `/` at the end.
    pub(super) base: String,
    /// The host entry of its origin.
    pub(super) host: String,
    /// Whether it is reached in plain text.
    pub(super) plain: bool,
}

/// The server that was asked for, or else the first that is described nearest to the operation.
pub(super) fn of(
    document: Document<'_>,
    found: &Found<'_>,
    asked: Option<&str>,
) -> Result<Server, Fault> {
    let asked = asked.map(asked_for).transpose()?;
    let described =
        [Some(found.operation.clone()), Some(found.item.clone()), Some(document.root())]
            .into_iter()
            .flatten()
            .filter_map(|node| node.get("servers"))
            .find_map(|servers| preferred(&servers.items()));
    let Some(described) = described else {
        return asked.map(|url| server(&url)).unwrap_or_else(|| Err(needed("/servers")));
    };
    let text = filled(&described);
    let Some(asked) = asked else { return described_only(&described, &text?) };
    match text.ok().filter(|text| Url::parse(text).is_err()) {
        // A base that is only an origin leaves the description's own base path standing.
        Some(path) if asked.path() == "/" => {
            let joined = asked.join(&path);
            server(&joined.map_err(|_| described.fault("invalid_url", "is no URL"))?)
        }
        _ => server(&asked),
    }
}

fn described_only(described: &Node<'_>, text: &str) -> Result<Server, Fault> {
    let Ok(url) = Url::parse(text) else { return Err(needed(&described.pointer)) };
    if url.scheme() == "http" {
        let detail = "is reached in plain text; name its https URL as the server's, or this one to \
                      have it all the same";
        return Err(described.fault("plain_http", detail));
    }
    fit(&url).map_err(|detail| described.fault("invalid_url", detail))
}

/// The first that is reached by https, or else the first.
fn preferred<'d>(servers: &[Node<'d>]) -> Option<Node<'d>> {
    let https =
        |server: &&Node<'_>| server.text("url").is_some_and(|url| url.starts_with("https:"));
    servers.iter().find(https).or(servers.first()).cloned()
}

fn needed(pointer: &str) -> Fault {
    let detail = "the description does not say where the service is; name the server's URL";
    Fault::new(pointer, "server_url_needed", detail)
}

/// Reads the URL that was asked for.
pub(super) fn asked_for(text: &str) -> Result<Url, Fault> {
    let refused = |detail| Fault::new("", "invalid_server_url", detail);
    let url = Url::parse(text).map_err(|_| refused("the server's URL is no URL"))?;
    fit(&url).map_err(refused)?;
    Ok(url)
}

fn server(url: &Url) -> Result<Server, Fault> {
    fit(url).map_err(|detail| Fault::new("", "invalid_server_url", detail))
}

fn fit(url: &Url) -> Result<Server, &'static str> {
    let (Some(host), "http" | "https") = (url.host_str(), url.scheme()) else {
        return Err("must be an https URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() || url.path().contains(['{', '}']) {
        return Err("must be a plain URL without query, fragment and braces");
    }
    let host = canonical_host(host).ok_or("must have a host")?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let plain = url.scheme() == "http";
    let base = format!("{}://{host}{port}{}", url.scheme(), url.path().trim_end_matches('/'));
    let scheme = if plain { "http://" } else { "" };
    Ok(Server { base, host: format!("{scheme}{host}{port}"), plain })
}

/// A server's URL with the defaults of its variables.
fn filled(server: &Node<'_>) -> Result<String, Fault> {
    let mut text = server.text("url").unwrap_or_default().trim().to_owned();
    let variables = server.get("variables").map(|node| node.members()).unwrap_or_default();
    for (name, variable) in variables {
        let first = || variable.get("enum")?.value.get(0)?.as_str();
        let Some(value) = variable.text("default").or_else(first) else {
            return Err(variable.fault("missing", "the server's variable needs a default"));
        };
        text = text.replace(&format!("{{{name}}}"), value);
    }
    if text.contains(['{', '}']) {
        return Err(server.fault("missing", "its URL names a variable that is not described"));
    }
    Ok(text)
}
