//! YAML as another spelling of JSON: no anchors, aliases, tags, merge keys or second documents.

use crate::json::{JsonFault, SyntaxReason, Tree, position, utf8};
use serde::de::DeserializeSeed;
use serde_json::Value;

const UNSUPPORTED: SyntaxReason =
    SyntaxReason::Unsupported("anchors, aliases and tags are not taken in YAML");

/// Flow brackets nested deeper than this are refused before the parser sees them: each open one costs
/// it time at every token. Far above what is taken, since brackets in scripts count here too.
const MAX_BRACKETS: usize = 2000;

/// Reads one YAML document as JSON.
///
/// # Errors
/// What JSON has no counterpart for, and what [`crate::json::parse`] refuses in JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonFault> {
    let text = utf8(bytes)?;
    refuse_brackets(text)?;
    refuse_extensions(text)?;
    let mut refused = None;
    let mut documents = serde_norway::Deserializer::from_str(text);
    let first = documents.next();
    let seed = Tree { depth: 0, refused: &mut refused };
    let value = match first {
        Some(document) => seed.deserialize(document),
        None => Ok(Value::Null),
    };
    let value = value.map_err(|error| fault(&error, refused))?;
    refuse_merge(&value)?;
    match documents.next() {
        None => Ok(value),
        Some(_) => Err(JsonFault {
            line: 1,
            column: 1,
            reason: SyntaxReason::Unsupported("more than one YAML document"),
        }),
    }
}

/// Anchors, aliases and tags are recognised by the parser itself: with their signs replaced by one
/// that can begin nothing, a text that holds any no longer parses, and all other texts still do.
fn refuse_extensions(text: &str) -> Result<(), JsonFault> {
    let blunted = text.replace(['&', '*', '!'], "@");
    for document in serde_norway::Deserializer::from_str(&blunted) {
        let Err(error) = <serde::de::IgnoredAny as serde::Deserialize>::deserialize(document)
        else {
            continue;
        };
        let at = error.location().map_or(0, |location| location.index());
        let sign = text.as_bytes().get(at);
        let reason = sign.filter(|byte| b"&*!".contains(byte)).map(|_| UNSUPPORTED);
        return Err(fault(&error, reason));
    }
    Ok(())
}

fn refuse_brackets(text: &str) -> Result<(), JsonFault> {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_BRACKETS {
            let (line, column) = position(text.as_bytes().get(..at).unwrap_or_default());
            return Err(JsonFault { line, column, reason: SyntaxReason::TooDeep });
        }
    }
    Ok(())
}

/// `<<` is YAML's merge key; here it would be a member of that name, which nobody means.
fn refuse_merge(value: &Value) -> Result<(), JsonFault> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_merge),
        Value::Object(members) if members.contains_key("<<") => Err(JsonFault {
            line: 1,
            column: 1,
            reason: SyntaxReason::Unsupported("merge keys are not taken in YAML"),
        }),
        Value::Object(members) => members.values().try_for_each(refuse_merge),
        _ => Ok(()),
    }
}

/// The parser's texts can repeat the input, so only the place is kept.
fn fault(error: &serde_norway::Error, refused: Option<SyntaxReason>) -> JsonFault {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let reason = refused.unwrap_or_else(|| SyntaxReason::Syntax("not valid YAML".to_owned()));
    JsonFault { line, column, reason }
}
