//! Security schemes of a description as schemes of ours, and what each operation asks for.

use super::document::{Document, Found, Node, line};
use super::id;
use super::parameters::Placed;
use super::server::Server;
use crate::json::Fault;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How many alternatives of one operation are looked at.
const MAX_WAYS: usize = 50;
/// How many schemes may go together.
const MAX_PARTS: usize = 10;

/// One way to authenticate: schemes that go together, by the description's names.
#[derive(Debug, Clone)]
pub(super) struct Way<'d> {
    parts: Vec<Part<'d>>,
}

/// One security scheme of the description.
#[derive(Debug, Clone)]
struct Part<'d> {
    name: &'d str,
    node: Node<'d>,
    kind: Kind<'d>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind<'d> {
    Header(&'d str),
    Query(&'d str),
    Bearer,
    Basic,
    /// OAuth and OpenID Connect, as far as a token that was got elsewhere goes.
    Token,
}

impl<'d> Way<'d> {
    /// The same for the same schemes in any order.
    fn key(&self) -> BTreeSet<&'d str> {
        self.parts.iter().map(|part| part.name).collect()
    }

    /// The names, for people.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.parts.iter().map(|part| line(part.name, 50)).collect();
        names.join(" and ")
    }
}

/// The ways that an operation takes, the description's first ones first; none where it takes
/// requests without any.
pub(super) fn ways<'d>(document: Document<'d>, found: &Found<'d>) -> Result<Vec<Way<'d>>, Fault> {
    let Some(wanted) = found.operation.get("security").or_else(|| document.get("security")) else {
        return Ok(Vec::new());
    };
    let mut ways = Vec::new();
    let mut refusal = None;
    let mut is_open = wanted.items().is_empty();
    for alternative in wanted.items().into_iter().take(MAX_WAYS) {
        let names = alternative.members();
        is_open |= names.is_empty();
        if names.is_empty() {
            continue;
        }
        if names.len() > MAX_PARTS {
            let detail = format!("more than {MAX_PARTS} schemes in one alternative");
            return Err(alternative.fault("unsupported_security", detail));
        }
        let parts: Result<Vec<_>, _> =
            names.iter().map(|(name, at)| part(document, name, at)).collect();
        match parts.and_then(|parts| together(parts, &alternative)) {
            Ok(way) => ways.push(way),
            Err(fault) => refusal = refusal.or(Some(fault)),
        }
    }
    match refusal {
        Some(fault) if ways.is_empty() && !is_open => Err(fault),
        _ => Ok(ways),
    }
}

/// Every single scheme that there is a way for, where no operation says which it takes.
pub(super) fn all(document: Document<'_>) -> Vec<Way<'_>> {
    let schemes = document.get("components").and_then(|all| all.get("securitySchemes"));
    let schemes = schemes.map(|all| all.members()).unwrap_or_default();
    let parts = schemes.into_iter().filter_map(|(name, at)| part(document, name, &at).ok());
    parts.map(|part| Way { parts: vec![part] }).collect()
}

/// The places that credentials fill, so that they are no inputs.
pub(super) fn filled(document: Document<'_>) -> Placed {
    let parts = all(document).into_iter().flat_map(|way| way.parts);
    let place = |part: Part<'_>| match part.kind {
        Kind::Header(name) => Some(("header".to_owned(), name.to_ascii_lowercase())),
        Kind::Query(name) => Some(("query".to_owned(), name.to_ascii_lowercase())),
        _ => None,
    };
    parts.filter_map(place).collect()
}

fn part<'d>(document: Document<'d>, name: &'d str, at: &Node<'d>) -> Result<Part<'d>, Fault> {
    let schemes = document.get("components").and_then(|all| all.get("securitySchemes"));
    let node = schemes.and_then(|schemes| schemes.get(name));
    let node = node.ok_or_else(|| {
        at.fault("unresolved_reference", "names a security scheme that is not described")
    })?;
    let node = document.resolve(&node)?;
    let unsupported = |detail| node.fault("unsupported_security", detail);
    let named = || {
        let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name = node.text("name").filter(|name| !name.is_empty() && name.chars().all(token));
        name.ok_or_else(|| unsupported("must have a plain name"))
    };
    let scheme = node.text("scheme").unwrap_or_default().to_ascii_lowercase();
    let kind = match (node.text("type").unwrap_or_default(), node.text("in"), scheme.as_str()) {
        ("apiKey", Some("header"), _) => Kind::Header(named()?),
        ("apiKey", Some("query"), _) => Kind::Query(named()?),
        ("apiKey", Some("cookie"), _) => {
            return Err(unsupported("credentials do not go into cookies"));
        }
        ("http", _, "bearer") => Kind::Bearer,
        ("http", _, "basic") => Kind::Basic,
        ("oauth2" | "openIdConnect", ..) => Kind::Token,
        ("mutualTLS", ..) => return Err(unsupported("client certificates are not supported")),
        _ => return Err(unsupported("this way to authenticate is not known")),
    };
    Ok(Part { name, node, kind })
}

/// Schemes that go together must not write the same header or parameter.
fn together<'d>(parts: Vec<Part<'d>>, at: &Node<'d>) -> Result<Way<'d>, Fault> {
    let mut places = BTreeSet::new();
    for part in &parts {
        let place = match &part.kind {
            Kind::Header(name) => name.to_ascii_lowercase(),
            Kind::Query(name) => format!("?{name}"),
            Kind::Bearer | Kind::Basic | Kind::Token => "authorization".to_owned(),
        };
        if !places.insert(place) {
            let detail = "two schemes of one alternative write the same header or parameter";
            return Err(at.fault("unsupported_security", detail));
        }
    }
    Ok(Way { parts })
}

/// The schemes of the manifest for these ways, each once. Where there is no way, one without fields.
pub(super) fn manifest(ways: &[Way<'_>], servers: &[Server]) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut ids = id::Taken::default();
    let ways = ways.iter().filter(|way| seen.insert(way.key()));
    let mut schemes: Vec<_> = ways.map(|way| scheme(way, servers, &mut ids)).collect();
    if schemes.is_empty() {
        let mut none = json!({
            "id": "none", "name": "No authentication", "type": "custom", "fields": [],
        });
        bind(&mut none, servers);
        schemes.push(none);
    }
    schemes
}

fn scheme(way: &Way<'_>, servers: &[Server], ids: &mut id::Taken) -> Value {
    let names: Vec<_> = way.parts.iter().map(|part| part.name).collect();
    let id = ids.unique(&id::of(&names.join(" "), "scheme"));
    let mut fields = Fields::default();
    let (mut headers, mut query, mut basic) = (Map::new(), Map::new(), None);
    for part in &way.parts {
        let prefix = id::of(part.name, "scheme");
        let mut field = |name, label, secret| fields.add(part, &prefix, name, label, secret);
        match &part.kind {
            Kind::Header(name) => {
                headers.insert((*name).to_owned(), field("api_key", "API key", true));
            }
            Kind::Query(name) => {
                query.insert((*name).to_owned(), field("api_key", "API key", true));
            }
            Kind::Bearer => {
                let token = field("token", "Token", true);
                headers.insert("Authorization".to_owned(), bearer(&token));
            }
            Kind::Token => {
                let token = field("oauth_access_token", "Access token", true);
                headers.insert("Authorization".to_owned(), bearer(&token));
            }
            Kind::Basic => {
                let username = field("username", "User name", false);
                let password = field("password", "Password", true);
                basic = Some(json!({ "username": username, "password": password }));
            }
        }
    }
    let kind = match way.parts.as_slice() {
        [part] if part.kind == Kind::Basic => "basic",
        [_] => "api_key",
        _ => "custom",
    };
    let mut attach = Map::new();
    for (name, members) in [("headers", headers), ("query", query)] {
        if !members.is_empty() {
            attach.insert(name.to_owned(), Value::Object(members));
        }
    }
    attach.extend(basic.map(|basic| ("basic".to_owned(), basic)));
    let mut scheme = json!({ "id": id, "name": line(&way.names(), 100), "type": kind });
    if let Some(members) = scheme.as_object_mut() {
        members.insert("fields".to_owned(), Value::Array(fields.list));
        members.insert("attach".to_owned(), Value::Object(attach));
    }
    bind(&mut scheme, servers);
    scheme
}

fn bearer(token: &Value) -> Value {
    format!("Bearer {}", token.as_str().unwrap_or_default()).into()
}

/// The fields of one scheme's form.
#[derive(Default)]
struct Fields {
    list: Vec<Value>,
    names: BTreeMap<String, ()>,
}

impl Fields {
    /// Adds a field and gives the text that stands for its value.
    fn add(
        &mut self,
        part: &Part<'_>,
        prefix: &str,
        name: &str,
        label: &str,
        secret: bool,
    ) -> Value {
        let taken = self.names.contains_key(name);
        let name =
            if taken { id::of(&format!("{prefix} {name}"), "field") } else { name.to_owned() };
        let label =
            if taken { format!("{label} ({})", line(part.name, 60)) } else { label.to_owned() };
        self.names.insert(name.clone(), ());
        let text = format!("{{{{ {name} }}}}");
        let mut field = json!({ "name": name, "label": label, "secret": secret });
        let help = part.node.text("description").map(|text| line(text, 300));
        if let (Some(help), Some(members)) =
            (help.filter(|help| !help.is_empty()), field.as_object_mut())
        {
            members.insert("help".to_owned(), help.into());
        }
        self.list.push(field);
        text.into()
    }
}

/// Says where a scheme's values may go. An address in plain text is a field, so that whoever makes a
/// credential sees it.
fn bind(scheme: &mut Value, servers: &[Server]) {
    let Some(members) = scheme.as_object_mut() else { return };
    if let Some(server) = servers.iter().find(|server| server.plain) {
        let field = json!({
            "name": "base_url", "label": "Base URL", "secret": false, "required": false,
            "format": "url", "default": server.base,
        });
        if let Some(Value::Array(fields)) = members.get_mut("fields") {
            fields.push(field);
        }
        members.insert("hosts".to_owned(), json!(["{{ base_url }}"]));
        return;
    }
    let hosts: BTreeSet<_> = servers.iter().map(|server| server.host.as_str()).collect();
    members.insert("hosts".to_owned(), json!(hosts));
}
