//! One operation of a description as an action of a manifest.

use super::body;
use super::document::{Document, Found, line};
use super::inputs::Inputs;
use super::parameters::{self, Placed};
use super::schema::{Converter, Limits};
use super::security::{self, Way};
use super::server::{self, Server};
use crate::json::Fault;
use serde_json::{Map, Value, json};

/// An action, and what its app needs for it.
#[derive(Debug)]
pub(super) struct Made<'d> {
    pub(super) action: Value,
    pub(super) server: Server,
    pub(super) ways: Vec<Way<'d>>,
    /// Whether it says itself that it needs no credential.
    pub(super) says_open: bool,
}

/// What all operations of one import share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'c, 'd> {
    pub(super) document: Document<'d>,
    pub(super) server_url: Option<&'c str>,
    /// Parameters that credentials fill.
    pub(super) filled: &'c Placed,
    pub(super) limits: Limits,
}

/// Makes an action of an operation.
///
/// # Errors
/// The first thing about it that actions cannot do.
pub(super) fn of<'d>(shared: Shared<'_, 'd>, found: &Found<'d>) -> Result<Made<'d>, Fault> {
    let Shared { document, server_url, filled, limits } = shared;
    if found.method == "trace" {
        return Err(found.operation.fault("unsupported_method", "TRACE requests are not sent"));
    }
    let ways = security::ways(document, found)?;
    let server = server::of(document, found, server_url)?;
    let mut converter = Converter::new(document, limits);
    let mut inputs = Inputs::default();
    let parts = parameters::read(document, found, filled, &mut converter, &mut inputs)?;
    let body = body::read(document, found, &mut converter, &mut inputs)?;

    let base = if server.plain { "{{ credential.base_url }}" } else { server.base.as_str() };
    let mut headers = parts.headers;
    if let Some(accepted) = body::accepted(document, found) {
        headers.insert("Accept".to_owned(), accepted.into());
    }
    let mut request = Map::new();
    request.insert("method".to_owned(), found.method.to_ascii_uppercase().into());
    request.insert("url".to_owned(), format!("{base}{}", parts.path).into());
    if let Some(body) = body {
        request.insert(body.member.to_owned(), body.template);
        headers.extend(body.content_type.map(|kind| ("Content-Type".to_owned(), kind.into())));
    }
    for (name, members) in [("headers", headers), ("query", parts.query)] {
        if !members.is_empty() {
            request.insert(name.to_owned(), Value::Object(members));
        }
    }
    let (schema, example) = inputs.into_schema();
    let mut action = Map::new();
    action.insert("id".to_owned(), found.id.clone().into());
    action.insert("name".to_owned(), name(found).into());
    let description = description(found, &parts.left_out);
    action
        .extend((!description.is_empty()).then(|| ("description".to_owned(), description.into())));
    let docs = found.operation.get("externalDocs").and_then(|docs| docs.text("url"));
    action.extend(docs.filter(|url| is_https(url)).map(|url| ("docs".to_owned(), url.into())));
    action.insert("reads".to_owned(), json!(matches!(found.method, "get" | "head")));
    action.insert("inputs".to_owned(), schema);
    action.insert("request".to_owned(), Value::Object(request));
    action.insert("example".to_owned(), Value::Object(example));
    let says_open = found.operation.get("security").is_some() && ways.is_empty();
    Ok(Made { action: Value::Object(action), server, ways, says_open })
}

pub(super) fn is_https(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.scheme() == "https")
}

/// The summary, or what stands for one.
pub(super) fn name(found: &Found<'_>) -> String {
    let summary = line(found.operation.text("summary").unwrap_or_default(), 100);
    let own = || found.own_id.map(|own| line(own, 100)).filter(|own| !own.is_empty());
    if !summary.is_empty() {
        return summary;
    }
    own().unwrap_or_else(|| {
        line(&format!("{} {}", found.method.to_ascii_uppercase(), found.path), 100)
    })
}

fn description(found: &Found<'_>, left_out: &[String]) -> String {
    let mut text = line(found.operation.text("description").unwrap_or_default(), 1000);
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.iter().map(|name| line(name, 50)).collect();
        let separator = if text.is_empty() { "" } else { " " };
        text.push_str(&format!("{separator}Not taken over: {}.", names.join(", ")));
    }
    text
}
