//! The schemas of a description as schemas of our own dialect: references written out, only rules
//! that are checked here, and nothing that a service merely sends.

use super::document::{Document, Node, line};
use crate::json::Fault;
use crate::json_schema::Schema;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How much of a description's schemas one action takes over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many schemas may stand within each other.
    pub(super) depth: usize,
    /// Bytes of all schemas of one action, nearly.
    pub(super) bytes: usize,
    /// How many patterns: each has to be compiled.
    pub(super) patterns: usize,
}

/// Descriptions longer than this are cut, in characters.
const MAX_DESCRIPTION: usize = 400;
/// Examples and defaults larger than this are left out, in bytes.
const MAX_EXAMPLE: usize = 500;
/// How many values an `enum` may have to be taken over.
const MAX_VALUES: usize = 500;
/// How large these may be, in bytes.
const MAX_VALUES_BYTES: usize = 16 << 10;
/// How many members a body may have for each to be an input.
const MAX_MEMBERS: usize = 300;
/// How many parts of `allOf` are put together.
const MAX_PARTS: usize = 100;
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Writes schemas out, as far as the limits go; what lies beyond, and what leads back to itself, is
/// taken as it comes.
pub(super) struct Converter<'d> {
    document: Document<'d>,
    depth: usize,
    bytes: usize,
    patterns: usize,
    /// The schemas that are being written, by their pointers.
    open: Vec<String>,
}

impl<'d> Converter<'d> {
    pub(super) fn new(document: Document<'d>, limits: Limits) -> Self {
        let Limits { depth, bytes, patterns } = limits;
        Self { document, depth, bytes, patterns, open: Vec::new() }
    }

    /// A schema of ours; every value that the described one takes fits it.
    pub(super) fn convert(&mut self, node: &Node<'d>) -> Result<Value, Fault> {
        let target = self.document.resolve(node)?;
        let Some(members) = target.value.as_object() else {
            return Ok(json!({}));
        };
        // Even a schema that says nothing costs, since many can stand within each other.
        self.bytes = self.bytes.saturating_sub(8);
        let is_circle = self.open.contains(&target.pointer);
        if is_circle || self.open.len() >= self.depth || self.bytes == 0 {
            return Ok(stub(members));
        }
        self.open.push(target.pointer.clone());
        let converted = self.members(&target, members);
        self.open.pop();
        let mut converted = converted?;
        if node.value.get("$ref").is_some() {
            self.annotate(node, &mut converted);
        }
        make_nullable(&mut converted, node.flag("nullable") || target.flag("nullable"));
        Ok(Value::Object(converted))
    }

    /// What stands beside a `$ref` says more than what it leads to.
    fn annotate(&mut self, node: &Node<'d>, converted: &mut Map<String, Value>) {
        for name in ["title", "description", "default"] {
            if let Some(value) = node.value.get(name).and_then(|value| plain(name, value)) {
                converted.insert(name.to_owned(), self.spend(name, value));
            }
        }
    }

    fn spend(&mut self, name: &str, value: Value) -> Value {
        let size = name.len() + 4 + value.to_string().len();
        self.bytes = self.bytes.saturating_sub(size);
        value
    }

    fn members(
        &mut self,
        schema: &Node<'d>,
        members: &'d Map<String, Value>,
    ) -> Result<Map<String, Value>, Fault> {
        let mut out = Map::new();
        for (name, value) in members {
            let Some(node) = schema.get(name) else { continue };
            let converted = match name.as_str() {
                "properties" => Some(self.properties(&node)?),
                "required" => required(self.document, schema),
                "items" if value.is_object() => Some(self.convert(&node)?),
                "additionalProperties" if value.is_object() => Some(self.convert(&node)?),
                // All branches of an `allOf` see all members.
                "additionalProperties" if members.contains_key("allOf") => None,
                "allOf" => self.list(&node, true)?,
                "prefixItems" => self.list(&node, false)?,
                // Forms that overlap are common, and with rules left out they overlap more.
                "anyOf" | "oneOf" => self.list(&node, false)?,
                "pattern" if self.patterns == 0 => None,
                "pattern" => {
                    self.patterns -= 1;
                    plain(name, value).map(|value| self.spend(name, value))
                }
                _ => plain(name, value).map(|value| self.spend(name, value)),
            };
            let Some(converted) = converted else { continue };
            match name.as_str() {
                "oneOf" if !members.contains_key("anyOf") => out.insert("anyOf".into(), converted),
                "oneOf" => None,
                "example" => out.insert("examples".into(), json!([converted])),
                name => out.insert(name.to_owned(), converted),
            };
        }
        exclusive(members, &mut out, "minimum", "exclusiveMinimum");
        exclusive(members, &mut out, "maximum", "exclusiveMaximum");
        Ok(out)
    }

    fn properties(&mut self, node: &Node<'d>) -> Result<Value, Fault> {
        let mut out = Map::new();
        for (name, property) in node.members() {
            if !is_read_only(self.document, &property) {
                let converted = self.convert(&property)?;
                let converted = self.spend_name(name, converted);
                out.insert(name.to_owned(), converted);
            }
        }
        Ok(Value::Object(out))
    }

    fn spend_name(&mut self, name: &str, value: Value) -> Value {
        self.bytes = self.bytes.saturating_sub(name.len() + 8);
        value
    }

    fn list(&mut self, node: &Node<'d>, open: bool) -> Result<Option<Value>, Fault> {
        let mut schemas = Vec::new();
        for item in node.items() {
            let mut schema = self.convert(&item)?;
            if let Some(members) = schema.as_object_mut()
                && open
                && members.get("additionalProperties") == Some(&Value::Bool(false))
            {
                members.shift_remove("additionalProperties");
            }
            schemas.push(schema);
            if self.bytes == 0 {
                // The rest may be anything.
                schemas.push(json!({}));
                break;
            }
        }
        Ok((!schemas.is_empty()).then_some(Value::Array(schemas)))
    }
}

/// What is left of a schema that is not written out: its type.
fn stub(members: &Map<String, Value>) -> Value {
    let kind = members.get("type").and_then(|kind| plain("type", kind));
    let mut stub = Map::new();
    stub.extend(kind.map(|kind| ("type".to_owned(), kind)));
    let nullable = members.get("nullable") == Some(&Value::Bool(true));
    make_nullable(&mut stub, nullable);
    Value::Object(stub)
}

/// A keyword without schemas in it, where it is one that is known and well formed.
fn plain(name: &str, value: &Value) -> Option<Value> {
    let small = |value: &Value| value.to_string().len() <= MAX_EXAMPLE;
    let kept = match name {
        "type" => return kinds(value),
        "title" | "description" => {
            let text = line(value.as_str()?, MAX_DESCRIPTION);
            return (!text.is_empty()).then(|| text.into());
        }
        "default" | "example" => small(value),
        "examples" => value.as_array().is_some_and(|all| !all.is_empty()) && small(value),
        "enum" => {
            let values = value.as_array().map(Vec::len).unwrap_or_default();
            (1..=MAX_VALUES).contains(&values) && value.to_string().len() <= MAX_VALUES_BYTES
        }
        "const" => value.to_string().len() <= MAX_VALUES_BYTES,
        "format" => value.as_str().is_some_and(|text| text.len() <= 100),
        "pattern" => Schema::parse(&json!({ "pattern": value })).is_ok(),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|of| of > 0.0),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
            value.is_u64()
        }
        "uniqueItems" | "deprecated" | "additionalProperties" => value.is_boolean(),
        _ => false,
    };
    kept.then(|| value.clone())
}

fn kinds(value: &Value) -> Option<Value> {
    let known = |word: &Value| word.as_str().is_some_and(|word| TYPES.contains(&word));
    match value {
        Value::Array(words) if !words.is_empty() && words.iter().all(known) => Some(value.clone()),
        word if known(word) => Some(value.clone()),
        _ => None,
    }
}

/// OpenAPI 3.0 writes a flag beside the limit where JSON Schema now writes another limit.
fn exclusive(from: &Map<String, Value>, out: &mut Map<String, Value>, limit: &str, flag: &str) {
    if from.get(flag) == Some(&Value::Bool(true))
        && let Some(value) = out.shift_remove(limit)
    {
        out.insert(flag.to_owned(), value);
    }
}

/// `nullable` of OpenAPI 3.0 as a type and value of JSON Schema's.
fn make_nullable(schema: &mut Map<String, Value>, nullable: bool) {
    if !nullable {
        return;
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(words)) if !words.contains(&json!("null")) => words.push("null".into()),
        Some(word) if word.is_string() && *word != "null" => *word = json!([word.clone(), "null"]),
        Some(_) => {}
        None => {
            schema.insert("nullable".to_owned(), Value::Bool(true));
        }
    }
}

fn is_read_only(document: Document<'_>, property: &Node<'_>) -> bool {
    property.flag("readOnly") || document.resolve(property).is_ok_and(|node| node.flag("readOnly"))
}

/// The names that must be there, without what only the service sends.
fn required(document: Document<'_>, schema: &Node<'_>) -> Option<Value> {
    let properties: BTreeMap<_, _> = schema
        .get("properties")
        .map(|node| node.members())
        .unwrap_or_default()
        .into_iter()
        .collect();
    let sent = |name: &&str| !properties.get(name).is_some_and(|node| is_read_only(document, node));
    let names = schema.value.get("required")?.as_array()?.iter().filter_map(Value::as_str);
    let names: Vec<_> = names.filter(sent).collect();
    (!names.is_empty()).then(|| json!(names))
}

/// The members of an object schema, those of its `allOf` among them.
#[derive(Debug, Default)]
pub(super) struct Members<'d> {
    pub(super) properties: Vec<(&'d str, Node<'d>)>,
    pub(super) required: Vec<&'d str>,
    /// Names of members that only the service sends.
    read_only: BTreeSet<&'d str>,
    parts: usize,
}

/// The members that a schema lists, where it is nothing but a list of members: no other forms, no
/// further members, not all kinds of values.
pub(super) fn members<'d>(
    document: Document<'d>,
    node: &Node<'d>,
) -> Result<Option<Members<'d>>, Fault> {
    let mut members = Members::default();
    if !gather(document, node, &mut members)? || members.properties.is_empty() {
        return Ok(None);
    }
    members.required.retain(|name| !members.read_only.contains(name));
    // Required and described nowhere: without them no request would be right.
    let known: BTreeSet<_> = members.properties.iter().map(|(name, _)| *name).collect();
    let unknown: BTreeSet<_> =
        members.required.iter().copied().filter(|name| !known.contains(name)).collect();
    let any = || Node { value: &Value::Null, pointer: node.pointer.clone() };
    members.properties.extend(unknown.into_iter().map(|name| (name, any())));
    Ok(Some(members))
}

fn gather<'d>(
    document: Document<'d>,
    node: &Node<'d>,
    members: &mut Members<'d>,
) -> Result<bool, Fault> {
    let schema = document.resolve(node)?;
    let is_object = schema.value.get("type").is_none_or(|kind| kind == "object");
    let is_open = schema.value.get("additionalProperties").is_some_and(|more| *more != false);
    let only_requires = |form: &Node<'_>| {
        let form = form.value.as_object();
        form.is_some_and(|form| form.keys().all(|name| name == "required"))
    };
    let forms = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name));
    let has_forms = forms.flat_map(|forms| forms.items()).any(|form| !only_requires(&form));
    if !is_object || is_open || has_forms || schema.flag("nullable") {
        return Ok(false);
    }
    members.parts += 1;
    for part in schema.get("allOf").map(|all| all.items()).unwrap_or_default() {
        if members.parts > MAX_PARTS || !gather(document, &part, members)? {
            return Ok(false);
        }
    }
    for (name, property) in schema.get("properties").map(|all| all.members()).unwrap_or_default() {
        members.properties.retain(|(known, _)| *known != name);
        if is_read_only(document, &property) {
            members.read_only.insert(name);
        } else {
            members.properties.push((name, property));
        }
        if members.properties.len() > MAX_MEMBERS {
            return Ok(false);
        }
    }
    let required = schema.value.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    members.required.extend(required);
    Ok(true)
}

/// The one type of a converted schema, besides null.
pub(super) fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(word) => Some(word),
        Value::Array(words) => {
            let mut words = words.iter().filter_map(Value::as_str).filter(|word| *word != "null");
            words.next().filter(|_| words.next().is_none())
        }
        _ => None,
    }
}
