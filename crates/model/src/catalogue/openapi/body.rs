//! Request bodies: inputs, and what is sent of them.

use super::document::{Document, Found, Node, line};
use super::inputs::{Inputs, Reader};
use super::schema::{self, Converter, Members};
use crate::json::Fault;
use serde_json::{Map, Value, json};

/// A body as a manifest's request has it.
#[derive(Debug)]
pub(super) struct Body {
    /// `json`, `form`, `text` or `base64`.
    pub(super) member: &'static str,
    pub(super) template: Value,
    /// Where it is not what such a body is sent as anyway.
    pub(super) content_type: Option<String>,
}

/// The kinds of bodies, the most useful first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Json,
    OtherJson,
    Form,
    Text,
    OtherText,
    Bytes,
}

/// A media type without its parameters, in lower case.
fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is JSON (RFC 6839 §3.1).
pub(super) fn is_json(media: &str) -> bool {
    let media = essence(media);
    media == "application/json" || media.ends_with("+json") || media == "*/*"
}

/// Whether a media type names one type and can stand in a header.
fn is_plain(media: &str) -> bool {
    media.chars().all(|c| c.is_ascii_alphanumeric() || "/+-._;= ".contains(c))
}

fn kind(media: &str) -> Option<Kind> {
    let media = essence(media);
    Some(match media.as_str() {
        "application/json" | "*/*" | "application/*" => Kind::Json,
        "application/x-www-form-urlencoded" => Kind::Form,
        "text/plain" => Kind::Text,
        media if media.starts_with("multipart/") => return None,
        media if media.ends_with("+json") => Kind::OtherJson,
        "application/xml" | "application/yaml" | "application/x-ndjson" => Kind::OtherText,
        media if media.starts_with("text/") || media.ends_with("+xml") => Kind::OtherText,
        _ => Kind::Bytes,
    })
}

/// Reads the body of an operation, if it has one.
pub(super) fn read<'d>(
    document: Document<'d>,
    found: &Found<'d>,
    converter: &mut Converter<'d>,
    inputs: &mut Inputs,
) -> Result<Option<Body>, Fault> {
    let Some(node) = found.operation.get("requestBody") else { return Ok(None) };
    let node = document.resolve(&node)?;
    let offered = node.get("content").map(|content| content.members()).unwrap_or_default();
    let mut kinds: Vec<_> = offered
        .iter()
        .filter_map(|(media, content)| Some((kind(media)?, *media, content)))
        .collect();
    kinds.sort_by_key(|(kind, ..)| *kind);
    let Some((kind, media, content)) = kinds.into_iter().next() else {
        let Some((_, content)) = offered.first() else { return Ok(None) };
        let detail = "the body is sent in parts (multipart), which actions cannot do";
        return Err(content.fault("unsupported_body", detail));
    };
    // Many forget to say it, and a body is sent in any case: only an express no counts.
    let is_needed = node.value.get("required") != Some(&Value::Bool(false));
    let mut reading = Reading { document, content, converter, inputs };
    let (member, template) = match kind {
        Kind::Json | Kind::OtherJson => ("json", reading.json(is_needed)?),
        Kind::Form => ("form", reading.form(is_needed)?),
        Kind::Text | Kind::OtherText => ("text", reading.whole(json!({"type": "string"}), &node)),
        Kind::Bytes => {
            let words = "The bytes, as base64.";
            let schema = json!({"type": "string", "description": words});
            ("base64", reading.whole(schema, &node))
        }
    };
    let named = matches!(kind, Kind::OtherJson | Kind::OtherText | Kind::Bytes);
    let content_type = (named && is_plain(media)).then(|| media.to_owned());
    Ok(Some(Body { member, template, content_type }))
}

struct Reading<'c, 'd> {
    document: Document<'d>,
    content: &'c Node<'d>,
    converter: &'c mut Converter<'d>,
    inputs: &'c mut Inputs,
}

impl<'d> Reading<'_, 'd> {
    /// One input for all of the body.
    fn whole(&mut self, mut schema: Value, body: &Node<'d>) -> Value {
        if let (Some(text), Some(members)) = (body.text("description"), schema.as_object_mut()) {
            members.entry("description").or_insert_with(|| line(text, 400).into());
        }
        let name = self.inputs.add("body", "request", schema, true);
        Reader::of(&name).lone().into()
    }

    /// The members of the body, where it lists them and each can be an input of its own name.
    fn members(&self) -> Result<Option<Members<'d>>, Fault> {
        let Some(schema) = self.content.get("schema") else { return Ok(None) };
        let members = schema::members(self.document, &schema)?;
        let free = |members: &Members<'d>| {
            members.properties.iter().all(|(name, _)| self.inputs.is_free(name))
        };
        Ok(members.filter(free))
    }

    fn json(&mut self, is_needed: bool) -> Result<Value, Fault> {
        if let Some(members) = self.members()? {
            let mut template = Map::new();
            for (name, node) in members.properties {
                let schema = self.converter.convert(&node)?;
                let required = is_needed && members.required.contains(&name);
                let name = self.inputs.add(name, "body", schema, required);
                template.insert(name.clone(), Reader::of(&name).lone().into());
            }
            return Ok(Value::Object(template));
        }
        let schema = self.content.get("schema").map(|schema| self.converter.convert(&schema));
        let schema = schema.transpose()?.unwrap_or_else(|| json!({}));
        let can_be_empty = matches!(schema::kind(&schema), Some("object") | None);
        let name = self.inputs.add("body", "request", schema, is_needed || !can_be_empty);
        let reader = Reader::of(&name);
        let template = match is_needed || !can_be_empty {
            true => reader.lone(),
            false => reader.always_with("default({})"),
        };
        Ok(template.into())
    }

    fn form(&mut self, is_needed: bool) -> Result<Value, Fault> {
        let listed =
            self.content.get("schema").map(|schema| schema::members(self.document, &schema));
        let Some(listed) = listed.transpose()?.flatten() else {
            let detail = "a form needs a schema that lists its members";
            return Err(self.content.fault("unsupported_body", detail));
        };
        let own = listed.properties.iter().all(|(name, _)| self.inputs.is_free(name));
        let mut schemas = Map::new();
        let mut template = Map::new();
        let whole = if own { None } else { Some(self.free_body()) };
        for (name, node) in &listed.properties {
            let schema = self.converter.convert(node)?;
            let reader = match &whole {
                Some(body) => body.member(name).ok_or_else(|| {
                    node.fault("unsupported_body", "a member's name is too odd for a template")
                })?,
                None => Reader::of(name),
            };
            let (key, text) = self.member(name, &schema, &reader);
            template.insert(key, text.into());
            schemas.insert((*name).to_owned(), schema);
        }
        let required = |name: &str| is_needed && listed.required.contains(&name);
        if own {
            for (name, schema) in schemas {
                let required = required(&name);
                self.inputs.add(&name, "body", schema, required);
            }
        } else {
            let names: Vec<_> = schemas.keys().filter(|name| required(name)).cloned().collect();
            let mut schema = json!({"type": "object", "properties": schemas});
            if let (false, Some(members)) = (names.is_empty(), schema.as_object_mut()) {
                members.insert("required".to_owned(), json!(names));
            }
            self.inputs.add("body", "request", schema, is_needed);
        }
        Ok(Value::Object(template))
    }

    /// What reads the input that `whole` bodies get.
    fn free_body(&self) -> Reader {
        Reader::of(if self.inputs.is_free("body") { "body" } else { "request_body" })
    }

    /// A form's member: its name and template (OpenAPI 3.1 §4.8.15).
    fn member(&self, name: &str, schema: &Value, reader: &Reader) -> (String, String) {
        let encoding = self.content.get("encoding").and_then(|all| all.get(name));
        let is_deep = encoding.as_ref().and_then(|node| node.text("style")) == Some("deepObject");
        let explode = encoding.and_then(|node| node.value.get("explode")?.as_bool());
        let of_objects = schema.get("items").and_then(schema::kind) == Some("object");
        match schema::kind(schema) {
            Some("array") if is_deep && !of_objects => (format!("{name}[]"), reader.lone()),
            Some("array") if explode == Some(false) => {
                (name.to_owned(), reader.with("join(\",\")"))
            }
            Some("object") if !is_deep => (name.to_owned(), reader.with("tojson")),
            _ => (name.to_owned(), reader.lone()),
        }
    }
}

/// What an answer is asked to be, where that is some JSON with a name of its own.
pub(super) fn accepted(document: Document<'_>, found: &Found<'_>) -> Option<String> {
    let responses = found.operation.get("responses")?.members();
    let (_, success) = responses.into_iter().find(|(status, _)| status.starts_with('2'))?;
    let content = document.resolve(&success).ok()?.get("content")?.members();
    if content.iter().any(|(media, _)| kind(media) == Some(Kind::Json)) {
        return None;
    }
    let mut named =
        content.iter().filter(|(media, _)| kind(media) == Some(Kind::OtherJson) && is_plain(media));
    named.next().map(|(media, _)| essence(media))
}
