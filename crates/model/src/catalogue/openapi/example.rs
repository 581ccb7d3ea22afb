//! Values that fit a schema, for an action's example.

mod pattern;

use crate::json_schema::Schema;
use serde_json::{Map, Value, json};

/// How many schemas deep an example is made.
const MAX_DEPTH: usize = 12;
/// How many schemas one example is made for, those in vain among them.
const MAX_SAMPLES: usize = 300;
/// How many of several forms are tried.
const MAX_FORMS: usize = 5;

/// The schema and a value that fits it. Where none is found, the schema keeps nothing but its type
/// and words, at first only without its pattern: the service checks its own rules anyway.
pub(super) fn fitting(schema: Value) -> (Value, Value) {
    if let Some(sample) = sample(&schema, 0, &mut { MAX_SAMPLES }) {
        return (schema, sample);
    }
    let mut loose = schema;
    for kept in [
        &["type", "title", "description", "format", "minLength", "maxLength"][..],
        &["type", "title", "description"],
    ] {
        if let Some(members) = loose.as_object_mut() {
            members.retain(|name, _| kept.contains(&name.as_str()));
        }
        if let Some(sample) = sample(&loose, 0, &mut { MAX_SAMPLES }) {
            return (loose, sample);
        }
    }
    (json!({}), Value::Null)
}

/// A value that the schema takes: the author's own, or one made up.
fn sample(schema: &Value, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1).filter(|_| depth <= MAX_DEPTH)?;
    let compiled = Schema::parse(schema).ok()?;
    let fits = |value: &Value| compiled.validate(value, "").is_empty();
    let own = [schema.pointer("/examples/0"), schema.get("default"), schema.pointer("/enum/0")];
    let own = own.into_iter().flatten().chain(schema.get("const")).filter(|own| !own.is_null());
    if let Some(found) = own.cloned().chain(patterned(schema)).find(fits) {
        return Some(found);
    }
    let forms = schema.get("anyOf").and_then(Value::as_array);
    for form in forms.into_iter().flatten().take(MAX_FORMS) {
        if let Some(found) = sample(form, depth + 1, left).filter(fits) {
            return Some(found);
        }
    }
    made(schema, depth, left).filter(fits)
}

/// Texts for a pattern, longer and longer.
fn patterned(schema: &Value) -> impl Iterator<Item = Value> {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(2).min(100) as usize;
    let extras =
        pattern.into_iter().flat_map(move |pattern| [0, 1, least].map(|extra| (pattern, extra)));
    extras.filter_map(|(pattern, extra)| pattern::text(pattern, extra)).map(Value::from)
}

fn made(schema: &Value, depth: usize, left: &mut usize) -> Option<Value> {
    let kind = super::schema::kind(schema);
    let forms = ["anyOf", "allOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    let forms: Vec<_> = forms.flatten().collect();
    Some(match kind {
        Some("string") => text(schema).into(),
        Some("integer" | "number") => number(schema)?,
        Some("boolean") => Value::Bool(true),
        Some("null") => Value::Null,
        Some("array") => array(schema, depth, left)?,
        Some("object") => object(schema, &forms, depth, left)?,
        _ if schema.get("properties").is_some() || schema.get("allOf").is_some() => {
            object(schema, &forms, depth, left)?
        }
        _ => "text".into(),
    })
}

fn text(schema: &Value) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("email") => "ada@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("date") => "2026-01-31",
        Some("uuid") => "3f1e7a52-0f0c-4cf3-9a5f-6a1d2f0b7c11",
        _ => "text",
    };
    let count = |name: &str| schema.get(name).and_then(Value::as_u64);
    let least = count("minLength").unwrap_or(0).min(1000) as usize;
    let most = count("maxLength").map_or(usize::MAX, |most| most.min(1000) as usize);
    let repeated = text.chars().chain(std::iter::repeat('x'));
    repeated.take(text.len().max(least).min(most)).collect()
}

fn number(schema: &Value) -> Option<Value> {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let step = limit("multipleOf").unwrap_or(1.0);
    let above = limit("exclusiveMinimum").map(|least| least + step);
    let below = limit("exclusiveMaximum").map(|most| most - step);
    let number = above.or(limit("minimum")).unwrap_or(1.0);
    let number = below.or(limit("maximum")).map_or(number, |most| number.min(most));
    let number = (number / step).ceil() * step;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let whole = (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64);
    whole.map(Value::from).or_else(|| serde_json::Number::from_f64(number).map(Value::Number))
}

fn array(schema: &Value, depth: usize, left: &mut usize) -> Option<Value> {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(20) as usize;
    let any = json!({});
    let first = schema.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
    let rest = schema.get("items").unwrap_or(&any);
    let items = first.iter().chain(std::iter::repeat(rest)).take(least.max(first.len()));
    items.map(|item| sample(item, depth + 1, left)).collect::<Option<Vec<_>>>().map(Value::Array)
}

/// The members that must be there, of the schema itself and of its other forms.
fn object(schema: &Value, forms: &[&Value], depth: usize, left: &mut usize) -> Option<Value> {
    let mut members = Map::new();
    let all = schema.get("allOf").is_some();
    let forms = if all { forms } else { forms.get(..1).unwrap_or(&[]) };
    let mut other = None;
    for form in forms {
        match sample(form, depth + 1, left)? {
            Value::Object(found) => members.extend(found),
            found => other = other.or(Some(found)),
        }
    }
    if members.is_empty() && schema.get("properties").is_none() && other.is_some() {
        return other;
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let any = json!({});
        let property = schema.get("properties").and_then(|all| all.get(name)).unwrap_or(&any);
        if !members.contains_key(name) {
            members.insert(name.to_owned(), sample(property, depth + 1, left)?);
        }
    }
    Some(Value::Object(members))
}
