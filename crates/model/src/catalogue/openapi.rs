//! Manifests from OpenAPI descriptions (versions 3.0 and 3.1): operations become actions, security
//! schemes become schemes.
//!
//! Nothing is guessed that a description does not say: no pagination, no connection test, no secret
//! outputs. Whoever imports can add these to the manifest.

mod action;
mod body;
mod document;
mod example;
mod id;
mod inputs;
mod parameters;
mod schema;
mod security;
mod server;

use crate::json::Fault;
use action::{Made, Shared};
use document::{Document, Found, line};
use schema::Limits;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The largest description that is read, in bytes of its text.
pub const MAX_DESCRIPTION_BYTES: usize = 5 << 20;
/// How many operations one import takes.
pub const MAX_OPERATIONS: usize = 200;
/// The largest manifest that an import makes, in bytes.
const MAX_MANIFEST_BYTES: usize = 1 << 20;
/// How much of the schemas is taken over, tried from the most on until the manifest is small enough.
const LIMITS: [Limits; 3] = [
    Limits { depth: 10, bytes: 32 << 10, patterns: 20 },
    Limits { depth: 5, bytes: 8 << 10, patterns: 5 },
    Limits { depth: 3, bytes: 2 << 10, patterns: 0 },
];

/// What a description says of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationSummary {
    /// The id that its action has, unique within the description.
    pub id: String,
    /// In capitals.
    pub method: String,
    /// With its `{parameters}`.
    pub path: String,
    /// One line of text.
    pub summary: String,
    /// The groups that it belongs to.
    pub tags: Vec<String>,
    /// Whether an action can do it, or why not, with the place in the description.
    pub supported: Result<(), Fault>,
}

/// What of a description becomes an app.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// The app's id.
    pub app_id: String,
    /// The app's name; the description's title where none is given.
    pub name: Option<String>,
    /// Ids as [`operations`] gives them, or the description's own; all that are supported where this
    /// is left out, [`MAX_OPERATIONS`] at most.
    pub operations: Option<Vec<String>>,
    /// Where the service is, in place of what the description says. Where this is a mere origin and
    /// the description's server is a path, that path follows it.
    pub server_url: Option<String>,
}

/// The operations of a description, in its order.
///
/// # Errors
/// Where it is no OpenAPI 3 description, or holds no operation.
pub fn operations(description: &Value) -> Result<Vec<OperationSummary>, Vec<Fault>> {
    let document = Document::open(description).map_err(|fault| vec![fault])?;
    let filled = security::filled(document);
    // Where the service is will be asked for, so that this makes no operation unsupported.
    let server_url = Some("https://example.com");
    let [.., limits] = LIMITS;
    let shared = Shared { document, server_url, filled: &filled, limits };
    let summary = |found: Found<'_>| OperationSummary {
        supported: action::of(shared, &found).map(|_| ()),
        method: found.method.to_ascii_uppercase(),
        path: found.path.to_owned(),
        summary: action::name(&found),
        tags: tags(&found),
        id: found.id,
    };
    Ok(document.operations()?.into_iter().map(summary).collect())
}

fn tags(found: &Found<'_>) -> Vec<String> {
    let tags = found.operation.get("tags").map(|tags| tags.items()).unwrap_or_default();
    tags.iter().filter_map(|tag| tag.value.as_str()).map(|tag| line(tag, 100)).collect()
}

/// A manifest, as a person could have written it, of the operations that are chosen.
///
/// # Errors
/// Every chosen operation that actions cannot do, with the reason and the place in the description;
/// ids that there are not; a description that does not say where the service is.
pub fn to_manifest(description: &Value, choice: &Choice) -> Result<Value, Vec<Fault>> {
    let document = Document::open(description).map_err(|fault| vec![fault])?;
    let server_url = choice.server_url.as_deref();
    if let Some(Err(fault)) = server_url.map(server::asked_for) {
        return Err(vec![fault]);
    }
    let chosen = chosen(document, choice.operations.as_deref())?;
    let filled = security::filled(document);
    for limits in LIMITS {
        let shared = Shared { document, server_url, filled: &filled, limits };
        let made = made(shared, &chosen, choice.operations.is_some())?;
        let manifest = assembled(document, choice, made)?;
        if manifest.to_string().len() <= MAX_MANIFEST_BYTES {
            return Ok(manifest);
        }
    }
    let detail = format!(
        "the manifest would be larger than {MAX_MANIFEST_BYTES} bytes; choose fewer operations"
    );
    Err(vec![Fault::new("/paths", "too_large", detail)])
}

/// The operations of these ids, or all.
fn chosen<'d>(
    document: Document<'d>,
    ids: Option<&[String]>,
) -> Result<Vec<Found<'d>>, Vec<Fault>> {
    let found = document.operations()?;
    let Some(ids) = ids else { return Ok(found) };
    let mut faults = Vec::new();
    let mut wanted = BTreeSet::new();
    for (at, id) in ids.iter().enumerate() {
        let same = |found: &&Found<'d>| found.id == *id || found.own_id == Some(id);
        match found.iter().find(same) {
            Some(found) => drop(wanted.insert(found.id.clone())),
            None => {
                let detail = format!(
                    "the description has no operation of the id chosen as number {}",
                    at + 1
                );
                faults.push(Fault::new("/paths", "unknown_operation", detail));
            }
        }
    }
    if ids.is_empty() {
        faults.push(Fault::new("/paths", "missing", "no operation is chosen"));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(found.into_iter().filter(|found| wanted.contains(&found.id)).collect())
}

/// Actions of these operations. What is not supported is a fault where it was `named`, and passed
/// over otherwise.
fn made<'d>(
    shared: Shared<'_, 'd>,
    chosen: &[Found<'d>],
    named: bool,
) -> Result<Vec<Made<'d>>, Vec<Fault>> {
    let (mut made, mut faults) = (Vec::new(), Vec::new());
    for found in chosen {
        match action::of(shared, found) {
            Ok(action) => made.push(action),
            Err(fault) => faults.push(fault),
        }
        if made.len() > MAX_OPERATIONS {
            let detail = format!("choose at most {MAX_OPERATIONS} operations");
            return Err(vec![Fault::new("/paths", "too_many_operations", detail)]);
        }
    }
    // What is wrong with the server is wrong with all of them.
    faults.dedup();
    if made.is_empty() || (named && !faults.is_empty()) { Err(faults) } else { Ok(made) }
}

fn assembled(
    document: Document<'_>,
    choice: &Choice,
    made: Vec<Made<'_>>,
) -> Result<Value, Vec<Fault>> {
    let mut servers = Vec::new();
    let mut ways = Vec::new();
    for one in &made {
        if !servers.contains(&one.server) {
            servers.push(one.server.clone());
        }
        ways.extend(one.ways.iter().cloned());
    }
    if servers.len() > 1 && servers.iter().any(|server| server.plain) {
        let detail =
            "the operations have several servers, so that none can be reached in plain text";
        return Err(vec![Fault::new("/servers", "plain_http", detail)]);
    }
    if ways.is_empty() && document.get("security").is_none() {
        ways = unsaid(document, &made);
    }
    let info = document.get("info");
    let text = |name: &str, most| {
        let text = info.as_ref().and_then(|info| info.text(name)).map(|text| line(text, most));
        text.filter(|text| !text.is_empty())
    };
    let title = || text("title", 100).unwrap_or_else(|| choice.app_id.clone());
    let name = choice.name.clone().unwrap_or_else(title);
    let mut manifest = Map::new();
    manifest.insert("id".to_owned(), choice.app_id.clone().into());
    manifest.insert("name".to_owned(), name.clone().into());
    let description = text("description", 500).unwrap_or_else(|| line(&name, 500));
    manifest.insert("description".to_owned(), description.into());
    let docs = document.get("externalDocs");
    let docs = docs.as_ref().and_then(|docs| docs.text("url")).filter(|url| action::is_https(url));
    manifest.extend(docs.map(|url| ("docs".to_owned(), url.into())));
    manifest.insert("schemes".to_owned(), security::manifest(&ways, &servers).into());
    let actions: Vec<_> = made.into_iter().map(|made| made.action).collect();
    manifest.insert("actions".to_owned(), actions.into());
    Ok(Value::Object(manifest))
}

/// Many descriptions list their security schemes and never say what takes them: then each is on
/// offer, unless every operation says that it takes none.
fn unsaid<'d>(document: Document<'d>, made: &[Made<'d>]) -> Vec<security::Way<'d>> {
    if made.iter().all(|made| made.says_open) { Vec::new() } else { security::all(document) }
}

#[cfg(test)]
mod tests;
