//! Values on their way into MiniJinja and out of it, counted so that no result grows without bound.

use super::engine::too_large;
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use serde_json::{Map, Number};
use std::fmt::Write as _;

/// The most bytes that one rendering may read into an expression, and the most that it may give:
/// over a trigger body and a step output together.
pub(super) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How deep a result may be nested: the data's own depth and some brackets of the template.
const MAX_DEPTH: usize = 200;
/// What every value costs beside its text.
const EACH: usize = 8;

/// Bytes left to spend.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn full() -> Self {
        Self(MAX_BYTES)
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }
}

/// Copies JSON into MiniJinja's form.
pub(super) fn from_json(value: &serde_json::Value, budget: &mut Budget) -> Result<Value, Error> {
    budget.spend(EACH)?;
    Ok(match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => {
            budget.spend(text.len())?;
            Value::from(text.as_str())
        }
        serde_json::Value::Array(items) => {
            let items: Result<Vec<_>, _> =
                items.iter().map(|item| from_json(item, budget)).collect();
            Value::from(items?)
        }
        serde_json::Value::Object(members) => {
            let mut pairs = Vec::with_capacity(members.len());
            for (name, value) in members {
                budget.spend(name.len())?;
                pairs.push((name.as_str(), from_json(value, budget)?));
            }
            Value::from_pairs(pairs)
        }
    })
}

/// Copies a result back into JSON.
pub(super) fn to_json(value: &Value, budget: &mut Budget) -> Result<serde_json::Value, Error> {
    nested(value, budget, 0)
}

fn nested(value: &Value, budget: &mut Budget, depth: usize) -> Result<serde_json::Value, Error> {
    budget.spend(EACH)?;
    if depth > MAX_DEPTH {
        return Err(too_large());
    }
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Ok(serde_json::Value::Null),
        ValueKind::Bool => Ok(serde_json::Value::Bool(value.is_true())),
        ValueKind::Number => number(value).map(serde_json::Value::Number),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            budget.spend(text.len())?;
            Ok(serde_json::Value::String(text.to_owned()))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?;
            let items: Result<_, _> = items.map(|item| nested(&item, budget, depth + 1)).collect();
            items.map(serde_json::Value::Array)
        }
        ValueKind::Map => {
            let mut object = Map::new();
            for key in value.try_iter()? {
                let item = nested(&value.get_item(&key)?, budget, depth + 1)?;
                let name = name(&key)?;
                budget.spend(name.len())?;
                object.insert(name, item);
            }
            Ok(serde_json::Value::Object(object))
        }
        _ => Err(Error::from(ErrorKind::BadSerialization)),
    }
}

/// JSON holds integers of 64 bits here, and no infinities.
fn number(value: &Value) -> Result<Number, Error> {
    let unfit = || Error::from(ErrorKind::BadSerialization);
    if !value.is_integer() {
        return f64::try_from(value.clone()).ok().and_then(Number::from_f64).ok_or_else(unfit);
    }
    let signed = i64::try_from(value.clone()).map(Number::from);
    signed.or_else(|_| u64::try_from(value.clone()).map(Number::from)).map_err(|_| unfit())
}

fn name(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(key.to_string()),
        _ => Err(Error::from(ErrorKind::NonKey)),
    }
}

/// Adds a value as text: strings as they are, all else as JSON.
pub(super) fn text(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::String(string) => out.push_str(string),
        other => {
            write!(out, "{other}").ok();
        }
    }
}

/// About how many bytes a value holds.
pub(super) fn weight(value: &serde_json::Value) -> usize {
    EACH + match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(weight).sum(),
        serde_json::Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + weight(value)).sum()
        }
        _ => 0,
    }
}
