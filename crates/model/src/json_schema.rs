//! JSON Schema (a subset of draft 2020-12, with OpenAPI 3.0's `nullable`) for what actions take.
//!
//! Work is bounded: references form no circle in place, patterns take linear time, and one check
//! does so many steps at most.

mod check;
mod format;
mod number;
mod parse;

use crate::json::Fault;
use format::Format;
use regex_lite::Regex;
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// What becomes of keywords that are neither checked here nor known as mere annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keywords {
    /// Each is a fault, so that no rule is written that nobody holds anybody to.
    Strict,
    /// They are passed over, as are patterns that cannot be compiled.
    Lenient,
}

/// A schema, compiled.
#[derive(Debug, Clone)]
pub struct Schema {
    document: Value,
    nodes: Vec<Node>,
}

impl Schema {
    /// Compiles a schema, every keyword of which must be known.
    ///
    /// # Errors
    /// Every keyword that is unknown or has a value that it cannot have, each reference that leads
    /// nowhere, out of the document or in a circle, and a schema of too many parts.
    pub fn parse(document: &Value) -> Result<Self, Vec<Fault>> {
        Self::parse_with(document, Keywords::Strict)
    }

    /// Like [`Schema::parse`], with a choice of what becomes of unknown keywords.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_with(document: &Value, keywords: Keywords) -> Result<Self, Vec<Fault>> {
        let nodes = parse::nodes(document, keywords)?;
        Ok(Self { document: document.clone(), nodes })
    }

    /// Holds a value against the schema; `pointer` is where it stands, and the faults' pointers
    /// begin with it. No fault's text holds anything of the value.
    pub fn validate(&self, value: &Value, pointer: &str) -> Vec<Fault> {
        check::faults(&self.nodes, value, pointer, &|_| false)
    }

    /// Like [`Schema::validate`], where some parts are not known yet: what `is_hole` is true of
    /// fits everything. Members of objects and literals beside holes are checked.
    pub fn check_partial(
        &self,
        value: &Value,
        pointer: &str,
        is_hole: &dyn Fn(&Value) -> bool,
    ) -> Vec<Fault> {
        check::faults(&self.nodes, value, pointer, is_hole)
    }

    /// The schema as it was written.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

/// The place of a compiled schema among its document's; the root's is 0.
type NodeId = usize;

/// One compiled schema.
#[derive(Debug, Clone)]
enum Node {
    /// Everything fits, or nothing does.
    Always(bool),
    /// What must hold, all of it.
    Rules(Box<Rules>),
}

/// The assertions of one schema object.
#[derive(Debug, Clone, Default)]
struct Rules {
    reference: Option<NodeId>,
    types: Vec<Type>,
    nullable: bool,
    /// The values of `enum`, in the form that compares them.
    one_of_values: Option<Vec<String>>,
    /// The value of `const`, in the form that compares it.
    constant: Option<String>,
    text: Text,
    number: Range,
    array: Array,
    object: Object,
    all_of: Vec<NodeId>,
    any_of: Vec<NodeId>,
    one_of: Vec<NodeId>,
    not: Option<NodeId>,
}

/// What holds for strings.
#[derive(Debug, Clone, Default)]
struct Text {
    min: Option<u64>,
    max: Option<u64>,
    pattern: Option<Regex>,
    format: Option<Format>,
}

/// What holds for numbers.
#[derive(Debug, Clone, Default)]
struct Range {
    min: Option<Number>,
    max: Option<Number>,
    above: Option<Number>,
    below: Option<Number>,
    multiple_of: Option<Number>,
}

/// What holds for arrays.
#[derive(Debug, Clone, Default)]
struct Array {
    min: Option<u64>,
    max: Option<u64>,
    unique: bool,
    first: Vec<NodeId>,
    rest: Option<NodeId>,
}

/// What holds for objects.
#[derive(Debug, Clone, Default)]
struct Object {
    required: Vec<String>,
    properties: BTreeMap<String, NodeId>,
    others: Option<NodeId>,
    min: Option<u64>,
    max: Option<u64>,
}

/// The types of JSON, and whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    const WORDS: [(&'static str, Self, &'static str); 7] = [
        ("null", Self::Null, "null"),
        ("boolean", Self::Boolean, "true or false"),
        ("integer", Self::Integer, "a whole number"),
        ("number", Self::Number, "a number"),
        ("string", Self::String, "text"),
        ("array", Self::Array, "an array"),
        ("object", Self::Object, "an object"),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, ..)| *known == word).map(|(_, found, _)| *found)
    }

    fn name(self) -> &'static str {
        Self::WORDS.iter().find(|(_, known, _)| *known == self).map_or("", |(.., name)| name)
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => matches!(value, Value::Number(number) if number::is_whole(number)),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }
}

/// A value as text that is the same for equal values: members sorted, `1.0` as `1`.
fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => text.push_str(&number::canonical(number)),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests;
