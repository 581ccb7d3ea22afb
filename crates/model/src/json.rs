//! Strict reading of JSON bodies: UTF-8, bounded depth, no duplicate keys, and faults without values.

mod typed;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deeply arrays and objects may be nested; the outermost counts as 1 (security.md's figure).
pub const MAX_DEPTH: usize = 64;

/// Bytes that are no document Keyward takes, with the place and never with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct JsonFault {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1; 0 before the line's first character.
    pub column: usize,
    /// What is wrong.
    pub reason: SyntaxReason,
}

/// Why bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxReason {
    /// The bytes are not UTF-8.
    #[error("not valid UTF-8")]
    NotUtf8,
    /// Arrays and objects are nested deeper than [`MAX_DEPTH`].
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An object names a member twice.
    #[error("the same key stands twice in one object")]
    DuplicateKey,
    /// The grammar is broken; one of the parser's fixed texts.
    #[error("{0}")]
    Syntax(String),
    /// YAML that JSON has no counterpart for, such as anchors.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// One broken rule, pointing into the document that was sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901); empty for the document itself.
    pub pointer: String,
    /// Which rule, a stable word.
    pub code: &'static str,
    /// What to do about it; holds no value that was sent.
    pub detail: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// Why a body could not be read as a `T`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Faults {
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] JsonFault),
    /// It is JSON of another form; at least one fault.
    #[error("{} of the body's members break a rule", .0.len())]
    Rules(Vec<Fault>),
}

/// Adds a member or index to a JSON pointer. A name that is no plain word, or that is long and has
/// digits as tokens do, is left out, and the pointer then names what holds it: a mistaken key can
/// be a pasted secret.
pub fn child(pointer: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.$/~".contains(c);
    let most = if name.contains(|c: char| c.is_ascii_digit()) { 20 } else { 64 };
    if name.is_empty() || name.len() > most || !name.chars().all(plain) {
        return pointer.to_owned();
    }
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Reads one JSON document (RFC 8259), strictly.
///
/// # Errors
/// Anything but one document in UTF-8, nested at most [`MAX_DEPTH`] deep, without duplicate keys.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    let text = utf8(bytes)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut refused = None;
    let value = Tree { depth: 0, refused: &mut refused }.deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| JsonFault {
        line: error.line(),
        column: error.column(),
        reason: refused.take().unwrap_or_else(|| SyntaxReason::Syntax(grammar(&error))),
    })
}

/// Reads one JSON document as a `T`, naming each unknown member and the first other fault.
/// Members that `T` does not declare are refused whether or not `T` asks for that.
///
/// # Errors
/// [`Faults::Json`] where the bytes are no JSON, [`Faults::Rules`] where the form is another.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Faults> {
    read_value(&parse(bytes)?).map_err(Faults::Rules)
}

/// Like [`read`], from a document that is parsed already.
///
/// # Errors
/// The faults found, at least one.
pub fn read_value<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<Fault>> {
    typed::read(value)
}

pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, JsonFault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = position(bytes.get(..error.valid_up_to()).unwrap_or_default());
        JsonFault { line, column, reason: SyntaxReason::NotUtf8 }
    })
}

/// Line and column, from 1, of what follows `before`.
pub(crate) fn position(before: &[u8]) -> (usize, usize) {
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line + 1, column + 1)
}

/// The parser's own words without their place; grammar errors are fixed texts and hold no input.
fn grammar(error: &serde_json::Error) -> String {
    if error.is_data() {
        return "not valid JSON".to_owned();
    }
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// Builds a value from any format's events, bounded in depth and without duplicate keys.
pub(crate) struct Tree<'a> {
    /// How many arrays and objects stand around this value.
    pub(crate) depth: usize,
    /// Why the reading was broken off, where it was not the grammar.
    pub(crate) refused: &'a mut Option<SyntaxReason>,
}

impl Tree<'_> {
    fn refuse<E: serde::de::Error>(&mut self, reason: SyntaxReason) -> E {
        *self.refused = Some(reason);
        E::custom("refused")
    }

    fn inner<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse(SyntaxReason::TooDeep));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<Value, E> {
        let refused = SyntaxReason::Unsupported("a number that JSON cannot hold");
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.refuse(refused))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Tree { depth, refused: self.refused })? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.refuse(SyntaxReason::DuplicateKey));
            }
            let value = members.next_value_seed(Tree { depth, refused: self.refused })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let found = parse(text.as_bytes());
        let found = found.map(|value| value.to_string()).map_err(|fault| fault.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn one_document_is_read_with_its_order_and_numbers() {
        check(
            r#" {"b":1,"a":[true,null,-2,1.5,"x"]} "#,
            Ok(r#"{"b":1,"a":[true,null,-2,1.5,"x"]}"#),
        );
        check("18446744073709551615", Ok("18446744073709551615"));
        check(r#""\ud83d\ude00""#, Ok("\"😀\""));
    }

    #[test]
    fn what_is_no_strict_json_is_refused_with_its_place() {
        check("", Err("line 1, column 0: EOF while parsing a value"));
        check("{\"a\":1}\n x", Err("line 2, column 2: trailing characters"));
        check("[1,]", Err("line 1, column 4: trailing comma"));
        check("[NaN]", Err("line 1, column 2: expected value"));
        check(
            "{\"a\":1,\n\"a\":2}",
            Err("line 2, column 3: the same key stands twice in one object"),
        );
        check(
            "{\"a\":1,\"\\u0061\":2}",
            Err("line 1, column 15: the same key stands twice in one object"),
        );
        check("1e999", Err("line 1, column 5: number out of range"));
        check("\u{feff}1", Err("line 1, column 1: expected value"));
        check("// note\n1", Err("line 1, column 1: expected value"));
        let fault = parse(b"[\n \"ab\xff\"]").expect_err("not UTF-8");
        assert_eq!(fault.to_string(), "line 2, column 5: not valid UTF-8");
    }

    #[test]
    fn depth_is_counted_from_the_outermost() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        let fault = parse(nested(MAX_DEPTH + 1).as_bytes()).expect_err("too deep");
        assert_eq!(fault.reason, SyntaxReason::TooDeep);
        assert!(parse("{\"a\":".repeat(200_000).as_bytes()).is_err());
    }

    #[test]
    fn pointers_are_escaped_and_leave_out_odd_names() {
        assert_eq!(child("/a", "b/c~d"), "/a/b~1c~0d");
        assert_eq!(child("/a", "has space"), "/a");
        assert_eq!(child("/a", &"x".repeat(64)), format!("/a/{}", "x".repeat(64)));
        assert_eq!(child("/a", &"x".repeat(65)), "/a");
        assert_eq!(child("/a", "x-amz-content-sha256"), "/a/x-amz-content-sha256");
        assert_eq!(child("/a", "sk_test_4eC39HqLyjWDar"), "/a");
    }
}
