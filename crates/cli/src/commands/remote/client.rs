//! The connection to the server: requests with the token, answers as JSON, problems as messages.

use super::settings::Settings;
use super::table;
use crate::config::Config;
use anyhow::Context as _;
use bytes::Bytes;
use http::header;
use keyward_egress::{Allow, Draft, Filled, Options};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use zeroize::Zeroizing;

/// A server waits up to a minute for a run; a little more here.
const TIMEOUT: Duration = Duration::from_secs(90);
/// A run with 200 steps of 5 MiB each would not fit; nobody reads that on a terminal.
const MAX_ANSWER: usize = 256 << 20;
/// The most that a list gives at once.
const PAGE: usize = 200;

/// A client of one server, workspace and token.
pub(crate) struct Client {
    http: keyward_egress::Client,
    settings: Settings,
    /// Whether answers are printed as JSON.
    pub(crate) json: bool,
}

/// What a request carries beside its path.
#[derive(Default)]
pub(crate) struct Body {
    media_type: &'static str,
    bytes: Zeroizing<Vec<u8>>,
}

impl Body {
    /// JSON without secrets.
    pub(crate) fn json(value: &Value) -> Self {
        Self::hidden(Zeroizing::new(value.to_string().into_bytes()))
    }

    /// JSON that holds secrets, in a buffer that is wiped.
    pub(crate) fn hidden(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { media_type: "application/json", bytes }
    }

    /// A document of another type.
    pub(crate) fn document(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, bytes: Zeroizing::new(bytes) }
    }
}

impl Client {
    /// Prints items as a table, or with `--json` as the API's lists wrap them.
    pub(crate) fn print_list(&self, items: &[Value], columns: &[(&str, &str)]) {
        match self.json {
            true => table::print_json(&json!({ "items": items, "next_cursor": null })),
            false => table::print(items, columns),
        }
    }

    /// A client that reaches this one server and nothing else.
    pub(crate) fn new(settings: Settings, config: &Config) -> anyhow::Result<Self> {
        let extra_roots_pem = match &config.egress_ca_file {
            Some(path) => Some(
                std::fs::read(path)
                    .with_context(|| format!("KEYWARD_EGRESS_CA_FILE {}", path.display()))?,
            ),
            None => None,
        };
        let options = Options {
            allow: allow(&settings.url)?,
            extra_roots_pem,
            total_timeout: TIMEOUT,
            max_body: MAX_ANSWER,
            max_decompressed: MAX_ANSWER,
            ..Options::default()
        };
        let http = keyward_egress::Client::new(options).context("setting up the connection")?;
        Ok(Self { http, settings, json: config.json })
    }

    /// The workspace in use, id or slug.
    pub(crate) fn workspace(&self) -> &str {
        &self.settings.workspace
    }

    /// Reads `path` below the workspace; the query is added encoded.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        self.send("GET", &with_query(path, query), Body::default()).await
    }

    /// Sends a request to a path below the workspace; an answer without a body is `null`.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Body) -> anyhow::Result<Value> {
        let workspace = segment(&self.settings.workspace);
        self.send_to_server(method, &format!("/workspaces/{workspace}{path}"), body).await
    }

    /// Sends a request to a path of the whole server, below `/api/v1`.
    pub(crate) async fn send_to_server(
        &self,
        method: &str,
        path: &str,
        body: Body,
    ) -> anyhow::Result<Value> {
        let (status, answer) = self.exchange(method, path, body).await?;
        read_answer(status, &answer)
    }

    /// Reads `path` below the workspace as text of another kind than JSON.
    pub(crate) async fn text(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<String> {
        let workspace = segment(&self.settings.workspace);
        let path = format!("/workspaces/{workspace}{}", with_query(path, query));
        let (status, answer) = self.exchange("GET", &path, Body::default()).await?;
        if status != 200 {
            read_answer(status, &answer)?;
        }
        String::from_utf8(answer.into()).context("the answer is not text")
    }

    async fn exchange(&self, method: &str, path: &str, body: Body) -> anyhow::Result<(u16, Bytes)> {
        let Settings { url, token, .. } = &self.settings;
        let url = format!("{url}/api/v1{path}");
        let mut headers = vec![("accept", "application/json")];
        if !body.media_type.is_empty() {
            headers.push(("content-type", body.media_type));
        }
        let draft = Draft::parse(method, &url, headers, Bytes::new()).context("KEYWARD_URL")?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()).into_bytes());
        let filled = Filled {
            headers: vec![(header::AUTHORIZATION, bearer)],
            body: Some(body.bytes).filter(|bytes| !bytes.is_empty()),
            ..Filled::default()
        };
        let request = draft.fill(filled).context("the token cannot be sent")?;
        let answer = self.http.send("server", request, TIMEOUT).await?;
        Ok((answer.status, answer.body))
    }

    /// Every item of a list, page after page.
    pub(crate) async fn all(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<Value>> {
        self.first(path, query, usize::MAX).await
    }

    /// The first items of a list.
    pub(crate) async fn first(
        &self,
        path: &str,
        query: &[(&str, &str)],
        most: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = most.saturating_sub(items.len()).clamp(1, PAGE).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }
}

/// Opens the guard for exactly the server's host and port.
fn allow(url: &str) -> anyhow::Result<Allow> {
    let parsed = url::Url::parse(url).ok();
    let server =
        parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let (host, port) =
        server.context("the server's URL must be like https://keyward.example.com")?;
    Allow::parse(&format!("{host}:{port}")).context("the server's URL")
}

/// A path segment, percent-encoded (RFC 3986 section 3.3).
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{encoded}")
}

/// What the server refused: its problem (RFC 9457), printed with a line for each fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe(problem))]
pub(crate) struct Refused {
    pub(crate) problem: Value,
}

fn read_answer(status: u16, body: &[u8]) -> anyhow::Result<Value> {
    let value = if body.is_empty() { Some(Value::Null) } else { serde_json::from_slice(body).ok() };
    match (status, value) {
        (200..=299, Some(value)) => Ok(value),
        (400..=599, Some(value)) if value.get("title").is_some() => {
            Err(Refused { problem: value }.into())
        }
        _ => anyhow::bail!(
            "the server answered with status {status} and not as Keyward does; is the URL right?"
        ),
    }
}

/// A problem (RFC 9457) for people: title, detail, and a line for each fault.
fn describe(problem: &Value) -> String {
    let text = |value: &Value, name: &str| {
        super::table::plain(value.get(name).and_then(Value::as_str).unwrap_or_default())
    };
    let mut out = format!("{}: {}", text(problem, "title"), text(problem, "detail"));
    for fault in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        let pointer = match text(fault, "pointer") {
            pointer if pointer.is_empty() => "/".to_owned(),
            pointer => pointer,
        };
        let _ = write!(out, "\n  {pointer}: {} ({})", text(fault, "detail"), text(fault, "code"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Result<Value, &str>) {
        match (read_answer(status, body.as_bytes()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{status} {body}"),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected),
            (found, expected) => panic!("{status} {body}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn answers_and_problems_are_told_apart() {
        check(200, r#"{"id":"x"}"#, Ok(json!({ "id": "x" })));
        check(204, "", Ok(Value::Null));
        check(404, r#"{"title":"Not found","detail":"nothing"}"#, Err("Not found: nothing"));
        let faults = json!({ "title": "Bad", "detail": "2 members", "errors": [
            { "pointer": "/fields", "detail": "is needed", "code": "missing" },
            { "pointer": "", "detail": "\u{1b}[31mred", "code": "x" },
        ] });
        let expected = "Bad: 2 members\n  /fields: is needed (missing)\n  /: \\u{1b}[31mred (x)";
        check(422, &faults.to_string(), Err(expected));
        let foreign = |status| {
            format!(
                "the server answered with status {status} and not as Keyward does; is the URL right?"
            )
        };
        check(502, "<html>", Err(&foreign(502)));
        check(302, "", Err(&foreign(302)));
        check(200, "<html>", Err(&foreign(200)));
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        assert_eq!(segment("my team/ä"), "my%20team%2F%C3%A4");
        assert_eq!(with_query("/x", &[("q", "a b&c")]), "/x?q=a+b%26c");
        assert_eq!(with_query("/x", &[]), "/x");
    }

    #[test]
    fn only_the_server_itself_is_opened() {
        assert!(allow("http://127.0.0.1:7411").is_ok());
        assert!(allow("https://[::1]").is_ok());
        assert!(allow("https://keyward.example.com/base").is_ok());
        assert!(allow("keyward.example.com").is_err());
    }
}
