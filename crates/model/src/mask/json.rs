//! Masks step outputs: strings, keys and numbers one by one, and lists of bytes as a whole.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::cover::Cover;
use super::index::Index;
use super::pattern::Header;
use super::stream::{Surface, replace};
use super::{Inner, MARK, all_covers, masked_bytes};

/// Fewer numbers are no list of bytes.
const FEWEST: usize = 6;

/// The masked form of a step's output.
pub(super) fn masked(masker: &Arc<Inner>, index: &Index, value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) => match leaf(masker, index, &number.to_string(), false) {
            Some(hidden) => Value::String(hidden),
            None => value.clone(),
        },
        Value::String(text) => Value::String(string(masker, index, text)),
        Value::Array(items) => array(masker, index, items),
        Value::Object(fields) => object(masker, index, fields),
    }
}

fn string(masker: &Arc<Inner>, index: &Index, text: &str) -> String {
    leaf(masker, index, text, true).unwrap_or_else(|| text.to_owned())
}

/// A leaf with what it hides replaced; none if it hides nothing.
fn leaf(masker: &Arc<Inner>, index: &Index, text: &str, is_string: bool) -> Option<String> {
    if is_string {
        for (_, secret) in index.secrets() {
            if secret.needles.tiny().any(|tiny| tiny == text.trim().as_bytes()) {
                return Some(secret.placeholder.to_string());
            }
        }
    }
    let hidden = masked_bytes(masker, index, text.as_bytes(), Surface::Output)?;
    Some(String::from_utf8_lossy(&hidden).into_owned())
}

fn array(masker: &Arc<Inner>, index: &Index, items: &[Value]) -> Value {
    if let Some(hidden) = bytes(index, items.iter()) {
        return Value::Array(hidden);
    }
    // Headers as pairs.
    if let [Value::String(name), Value::String(value)] = items
        && let Some(header) = Header::named(name)
    {
        let value = masked_header(masker, index, header, value);
        return Value::Array(vec![Value::String(name.clone()), value]);
    }
    Value::Array(items.iter().map(|item| masked(masker, index, item)).collect())
}

fn object(masker: &Arc<Inner>, index: &Index, fields: &Map<String, Value>) -> Value {
    // A typed array in JSON: `{"0":107,"1":119}`.
    let indexed = fields.len() >= FEWEST && (0..).zip(fields).all(|(i, (key, _))| is_index(key, i));
    if indexed && let Some(hidden) = bytes(index, fields.values()) {
        return Value::Array(hidden);
    }
    let mut out = Map::with_capacity(fields.len());
    for (key, value) in fields {
        let value = match (Header::named(key), value) {
            (Some(header), Value::String(value)) => masked_header(masker, index, header, value),
            (Some(header), Value::Array(values)) => {
                let each = values.iter().map(|value| match value {
                    Value::String(value) => masked_header(masker, index, header, value),
                    other => masked(masker, index, other),
                });
                Value::Array(each.collect())
            }
            _ => masked(masker, index, value),
        };
        out.insert(free_key(&out, &string(masker, index, key)), value);
    }
    Value::Object(out)
}

fn is_index(key: &str, i: usize) -> bool {
    key.parse() == Ok(i)
}

/// Two keys that hide the same value stay two.
fn free_key(taken: &Map<String, Value>, key: &str) -> String {
    let mut free = key.to_owned();
    let mut number = 2;
    while taken.contains_key(&free) {
        free = format!("{key}_{number}");
        number += 1;
    }
    free
}

/// The value of a header that hides what stands in it.
fn masked_header(masker: &Arc<Inner>, index: &Index, header: Header, value: &str) -> Value {
    let value = string(masker, index, value);
    let mut ranges = Vec::new();
    header.hidden(value.as_bytes(), 0, &mut ranges);
    let mut out = String::with_capacity(value.len());
    let mut done = 0;
    for range in ranges {
        out.push_str(value.get(done..range.start).unwrap_or_default());
        let hidden = value.get(range.clone()).unwrap_or_default();
        if hidden.contains("kws1_") {
            // A sealed value goes on working.
            out.push_str(hidden);
        } else {
            out.push_str(MARK);
        }
        done = range.end;
    }
    out.push_str(value.get(done..).unwrap_or_default());
    Value::String(out)
}

/// If the items are byte values that hide something: the items with that replaced.
fn bytes<'a>(index: &Index, items: impl Iterator<Item = &'a Value> + Clone) -> Option<Vec<Value>> {
    let mut list = String::new();
    let mut spans: Vec<Range<usize>> = Vec::new();
    for item in items.clone() {
        let byte = item.as_i64().filter(|n| (-128..256).contains(n))?;
        let start = list.len();
        write!(list, "{byte}").ok()?;
        spans.push(start..list.len());
        list.push(',');
    }
    if spans.len() < FEWEST || index.is_empty() {
        return None;
    }
    let covers = all_covers(index, list.as_bytes(), Surface::Output);
    if covers.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    for (item, span) in items.zip(spans) {
        let cover = covers.iter().find(|c| c.range.start < span.end && span.start < c.range.end);
        match cover {
            None => out.push(item.clone()),
            Some(cover) if cover.range.start >= span.start || out.is_empty() => {
                out.push(Value::String(mark(index, cover)));
            }
            Some(_) => {}
        }
    }
    Some(out)
}

fn mark(index: &Index, cover: &Cover) -> String {
    let mut out = Vec::new();
    let all = Cover { range: 0..0, ..cover.clone() };
    replace(index, Surface::Output, b"", &[all], &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
