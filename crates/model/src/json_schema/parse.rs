//! Compiles a schema document, noting every fault.

use super::format::Format;
use super::{Keywords, Node, NodeId, Rules, Type, canonical};
use crate::json::{Fault, MAX_DEPTH, child};
use percent_encoding::percent_decode_str;
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// How many schemas one document may hold.
const MAX_NODES: usize = 20_000;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1000;
/// How large a compiled pattern may be, in bytes: together with the longest text, its time.
const MAX_PROGRAM: usize = 1 << 16;
/// Faults beyond this many are not listed.
const MAX_FAULTS: usize = 100;

/// Keywords that say something and demand nothing.
const ANNOTATIONS: &[&str] = &[
    "title", "description", "default", "examples", "example", "deprecated", "readOnly",
    "writeOnly", "$comment", "$schema", "$id", "$defs", "definitions", "externalDocs", "xml",
    "discriminator", "contentMediaType", "contentEncoding",
];

/// Every schema of the document, the root first.
pub(super) fn nodes(document: &Value, keywords: Keywords) -> Result<Vec<Node>, Vec<Fault>> {
    let mut parser = Parser { document, keywords, ..Parser::default() };
    parser.schema(document, "", 0);
    // One after the other, so that long chains of references take no stack.
    while let Some((id, schema, pointer)) = parser.referred.pop() {
        parser.fill(id, schema, &pointer, 0);
    }
    if parser.faults.is_empty() && has_circle(&parser.nodes) {
        parser.fault(
            "",
            "circular_reference",
            "references lead in a circle without a member between",
        );
    }
    if parser.faults.is_empty() { Ok(parser.nodes) } else { Err(parser.faults) }
}

struct Parser<'d> {
    document: &'d Value,
    keywords: Keywords,
    nodes: Vec<Node>,
    /// Where each `$ref` that was met leads.
    by_reference: BTreeMap<String, NodeId>,
    /// What references lead to and is not compiled yet.
    referred: Vec<(NodeId, &'d Value, String)>,
    faults: Vec<Fault>,
}

impl Default for Parser<'_> {
    fn default() -> Self {
        Self {
            document: &Value::Null,
            keywords: Keywords::Strict,
            nodes: Vec::new(),
            by_reference: BTreeMap::new(),
            referred: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl<'d> Parser<'d> {
    fn fault(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault::new(pointer, code, detail));
        }
    }

    /// Takes a place for one more schema.
    fn place(&mut self) -> NodeId {
        self.nodes.push(Node::Always(true));
        self.nodes.len() - 1
    }

    fn schema(&mut self, schema: &'d Value, pointer: &str, depth: usize) -> NodeId {
        let id = self.place();
        self.fill(id, schema, pointer, depth);
        id
    }

    fn fill(&mut self, id: NodeId, schema: &'d Value, pointer: &str, depth: usize) {
        if depth >= MAX_DEPTH || id >= MAX_NODES {
            return self.fault(
                pointer,
                "too_large",
                "the schema is too deep or has too many parts",
            );
        }
        let node = match schema {
            Value::Bool(always) => Node::Always(*always),
            Value::Object(members) => {
                Node::Rules(Box::new(Reading { parser: self, pointer, depth }.rules(members)))
            }
            _ => return self.fault(pointer, "wrong_type", "must be an object, true or false"),
        };
        if let Some(place) = self.nodes.get_mut(id) {
            *place = node;
        }
    }

    fn reference(&mut self, reference: &str, pointer: &str) -> Option<NodeId> {
        if let Some(known) = self.by_reference.get(reference) {
            return Some(*known);
        }
        let Some(target) = reference.strip_prefix('#') else {
            self.fault(pointer, "external_reference", "must lead within the document: `#/...`");
            return None;
        };
        let target = percent_decode_str(target).decode_utf8().unwrap_or_default();
        let Some(schema) = self.document.pointer(&target) else {
            self.fault(pointer, "unresolved_reference", "leads to nothing in the document");
            return None;
        };
        if target.is_empty() {
            return Some(0);
        }
        let id = self.place();
        self.by_reference.insert(reference.to_owned(), id);
        self.referred.push((id, schema, target.into_owned()));
        Some(id)
    }
}

/// One schema object that is being compiled.
struct Reading<'p, 'd> {
    parser: &'p mut Parser<'d>,
    pointer: &'p str,
    depth: usize,
}

impl<'d> Reading<'_, 'd> {
    fn rules(mut self, members: &'d Map<String, Value>) -> Rules {
        let mut rules = Rules::default();
        for (keyword, value) in members {
            self.keyword(&mut rules, keyword, value);
        }
        // Draft 4 and OpenAPI 3.0 write these as flags beside the limit.
        if members.get("exclusiveMinimum") == Some(&Value::Bool(true)) {
            rules.number.above = rules.number.min.take();
        }
        if members.get("exclusiveMaximum") == Some(&Value::Bool(true)) {
            rules.number.below = rules.number.max.take();
        }
        rules
    }

    fn keyword(&mut self, rules: &mut Rules, keyword: &'d str, value: &'d Value) {
        match keyword {
            "$ref" => rules.reference = self.reference(value),
            "type" => rules.types = self.types(value),
            "nullable" => rules.nullable = self.flag(keyword, value),
            "enum" => {
                let values = self.array(keyword, value);
                rules.one_of_values = Some(values.iter().map(canonical).collect());
            }
            "const" => rules.constant = Some(canonical(value)),
            "minLength" => rules.text.min = self.count(keyword, value),
            "maxLength" => rules.text.max = self.count(keyword, value),
            "pattern" => rules.text.pattern = self.pattern(value),
            "format" => rules.text.format = value.as_str().and_then(Format::parse),
            "minimum" => rules.number.min = self.number(keyword, value),
            "maximum" => rules.number.max = self.number(keyword, value),
            "multipleOf" => rules.number.multiple_of = self.divisor(value),
            "items" => rules.array.rest = Some(self.inner(keyword, value)),
            "prefixItems" => rules.array.first = self.list(keyword, value),
            "minItems" => rules.array.min = self.count(keyword, value),
            "maxItems" => rules.array.max = self.count(keyword, value),
            "uniqueItems" => rules.array.unique = self.flag(keyword, value),
            "required" => rules.object.required = self.names(value),
            "properties" => rules.object.properties = self.properties(value),
            "additionalProperties" => rules.object.others = Some(self.inner(keyword, value)),
            "minProperties" => rules.object.min = self.count(keyword, value),
            "maxProperties" => rules.object.max = self.count(keyword, value),
            "allOf" => rules.all_of = self.list(keyword, value),
            "anyOf" => rules.any_of = self.list(keyword, value),
            "oneOf" => rules.one_of = self.list(keyword, value),
            "not" => rules.not = Some(self.inner(keyword, value)),
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {}
            "exclusiveMinimum" => rules.number.above = self.number(keyword, value),
            "exclusiveMaximum" => rules.number.below = self.number(keyword, value),
            _ if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-") => {}
            _ if self.parser.keywords == Keywords::Lenient => {}
            _ => self.fault(keyword, "unknown_keyword", "is not checked here; leave it out"),
        }
    }

    fn fault(&mut self, keyword: &str, code: &'static str, detail: &str) {
        self.parser.fault(&child(self.pointer, keyword), code, detail);
    }

    fn reference(&mut self, value: &'d Value) -> Option<NodeId> {
        let Some(reference) = value.as_str() else {
            self.fault("$ref", "wrong_type", "must be text");
            return None;
        };
        let pointer = child(self.pointer, "$ref");
        self.parser.reference(reference, &pointer)
    }

    fn inner(&mut self, keyword: &str, value: &'d Value) -> NodeId {
        self.parser.schema(value, &child(self.pointer, keyword), self.depth + 1)
    }

    fn list(&mut self, keyword: &str, value: &'d Value) -> Vec<NodeId> {
        let pointer = child(self.pointer, keyword);
        let items = self.array(keyword, value).iter().enumerate();
        items
            .map(|(at, item)| {
                self.parser.schema(item, &child(&pointer, &at.to_string()), self.depth + 1)
            })
            .collect()
    }

    fn properties(&mut self, value: &'d Value) -> BTreeMap<String, NodeId> {
        let Some(members) = value.as_object() else {
            self.fault("properties", "wrong_type", "must be an object");
            return BTreeMap::new();
        };
        let pointer = child(self.pointer, "properties");
        let each = members.iter().map(|(name, schema)| {
            let id = self.parser.schema(schema, &child(&pointer, name), self.depth + 1);
            (name.clone(), id)
        });
        each.collect()
    }

    fn array(&mut self, keyword: &str, value: &'d Value) -> &'d [Value] {
        match value.as_array() {
            Some(items) if !items.is_empty() => items,
            _ => {
                self.fault(keyword, "wrong_type", "must be an array with something in it");
                &[]
            }
        }
    }

    fn types(&mut self, value: &'d Value) -> Vec<Type> {
        let words = match value {
            Value::Array(words) => words.as_slice(),
            word => std::slice::from_ref(word),
        };
        let types: Option<Vec<_>> = words.iter().map(|word| Type::parse(word.as_str()?)).collect();
        types.filter(|types| !types.is_empty()).unwrap_or_else(|| {
            let known = Type::WORDS.map(|(word, ..)| word).join(", ");
            self.fault("type", "invalid_value", &format!("must be one or a list of: {known}"));
            Vec::new()
        })
    }

    fn names(&mut self, value: &'d Value) -> Vec<String> {
        let names = value.as_array().map(|names| names.iter().map(|name| name.as_str()));
        let names: Option<Vec<_>> =
            names.and_then(|names| names.map(|n| n.map(str::to_owned)).collect());
        names.unwrap_or_else(|| {
            self.fault("required", "wrong_type", "must be an array of names");
            Vec::new()
        })
    }

    fn flag(&mut self, keyword: &str, value: &'d Value) -> bool {
        value.as_bool().unwrap_or_else(|| {
            self.fault(keyword, "wrong_type", "must be true or false");
            false
        })
    }

    fn count(&mut self, keyword: &str, value: &'d Value) -> Option<u64> {
        let whole = |number: &f64| number.fract() == 0.0 && (0.0..1e15).contains(number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let float = || value.as_f64().filter(whole).map(|number| number as u64);
        let count = value.as_u64().or_else(float);
        if count.is_none() {
            self.fault(keyword, "wrong_type", "must be a whole number from 0");
        }
        count
    }

    fn number(&mut self, keyword: &str, value: &'d Value) -> Option<Number> {
        if !value.is_number() {
            self.fault(keyword, "wrong_type", "must be a number");
        }
        value.as_number().cloned()
    }

    fn divisor(&mut self, value: &'d Value) -> Option<Number> {
        let number = self.number("multipleOf", value)?;
        if number.as_f64().is_some_and(|number| number > 0.0) {
            return Some(number);
        }
        self.fault("multipleOf", "invalid_value", "must be above 0");
        None
    }

    fn pattern(&mut self, value: &'d Value) -> Option<Regex> {
        let Some(text) = value.as_str() else {
            self.fault("pattern", "wrong_type", "must be text");
            return None;
        };
        let short = text.len() <= MAX_PATTERN;
        let pattern = short.then(|| RegexBuilder::new(text).size_limit(MAX_PROGRAM).build());
        match pattern {
            Some(Ok(pattern)) => return Some(pattern),
            _ if self.parser.keywords == Keywords::Lenient => {}
            _ => self.fault(
                "pattern",
                "invalid_pattern",
                "must be a regular expression of moderate size, without look-around or back-references",
            ),
        }
        None
    }
}

/// Whether a schema leads back to itself for one and the same value, so that no check would end:
/// taking away again and again what nothing leads to leaves only circles.
fn has_circle(nodes: &[Node]) -> bool {
    let in_place = |node: &Node| match node {
        Node::Rules(rules) => rules.in_place(),
        Node::Always(_) => Vec::new(),
    };
    let mut leading: Vec<usize> = vec![0; nodes.len()];
    for id in nodes.iter().flat_map(in_place) {
        leading.get_mut(id).into_iter().for_each(|count| *count += 1);
    }
    let free = leading.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut free: Vec<NodeId> = free.map(|(id, _)| id).collect();
    let mut taken = 0;
    while let Some(id) = free.pop() {
        taken += 1;
        for next in nodes.get(id).map(in_place).unwrap_or_default() {
            let Some(count) = leading.get_mut(next) else { continue };
            *count -= 1;
            if *count == 0 {
                free.push(next);
            }
        }
    }
    taken < nodes.len()
}

impl Rules {
    /// The schemas that this one applies to the same value.
    fn in_place(&self) -> Vec<NodeId> {
        let lists = [&self.all_of, &self.any_of, &self.one_of];
        let lists = lists.into_iter().flatten();
        lists.chain(&self.reference).chain(&self.not).copied().collect()
    }
}
