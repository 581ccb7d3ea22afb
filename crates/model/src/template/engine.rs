//! MiniJinja as Keyward uses it: no filter or function here can make more than its inputs are
//! worth, so an expression's work is bounded by its text and the data that it names.

use super::encode::{base64, base64url, encoded_word};
use super::value::{Budget, MAX_BYTES, from_json, text, to_json};
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters, tests};
use std::sync::LazyLock;

/// Lists names with what they stand for, and makes of that the list of the names and the function
/// that hands them to MiniJinja.
macro_rules! offered {
    ($(#[$doc:meta])* $list:ident by $add:ident with $method:ident: $($name:literal $target:expr,)*) => {
        $(#[$doc])*
        pub(super) const $list: &[&str] = &[$($name),*];

        fn $add(engine: &mut Environment<'static>) {
            $(engine.$method($name, $target);)*
        }
    };
}

offered! {
    /// The functions that an expression may call.
    FUNCTIONS by add_functions with add_function:
    "range" range,
}

offered! {
    /// The filters that an expression may use.
    FILTERS by add_filters with add_filter:
    "abs" filters::abs,
    "attr" filters::attr,
    "base64" base64,
    "base64url" base64url,
    "bool" filters::bool,
    "capitalize" filters::capitalize,
    "chain" filters::chain,
    "count" filters::length,
    "d" filters::default,
    "default" filters::default,
    "dictsort" filters::dictsort,
    "e" filters::escape,
    "encoded_word" encoded_word,
    "escape" filters::escape,
    "first" filters::first,
    "float" filters::float,
    "from_json" parse_json,
    "groupby" filters::groupby,
    "int" filters::int,
    "items" filters::items,
    "join" join,
    "last" filters::last,
    "length" filters::length,
    "lines" filters::lines,
    "list" filters::list,
    "lower" filters::lower,
    "map" map,
    "max" filters::max,
    "min" filters::min,
    "reject" filters::reject,
    "rejectattr" filters::rejectattr,
    "replace" replace,
    "reverse" filters::reverse,
    "round" filters::round,
    "select" filters::select,
    "selectattr" filters::selectattr,
    "sort" filters::sort,
    "split" filters::split,
    "string" string,
    "sum" sum,
    "title" filters::title,
    "tojson" to_json_text,
    "trim" filters::trim,
    "unique" filters::unique,
    "upper" filters::upper,
    "urlencode" urlencode,
    "zip" filters::zip,
}

offered! {
    /// The tests that may follow `is`. `in` is left out: with `select` it would compare every item
    /// with every other.
    TESTS by add_tests with add_test:
    "boolean" tests::is_boolean,
    "defined" tests::is_defined,
    "divisibleby" tests::is_divisibleby,
    "endingwith" tests::is_endingwith,
    "eq" tests::is_eq,
    "equalto" tests::is_eq,
    "even" tests::is_even,
    "false" tests::is_false,
    "float" tests::is_float,
    "ge" tests::is_ge,
    "greaterthan" tests::is_gt,
    "gt" tests::is_gt,
    "int" tests::is_integer,
    "integer" tests::is_integer,
    "iterable" tests::is_iterable,
    "le" tests::is_le,
    "lessthan" tests::is_lt,
    "lower" tests::is_lower,
    "lt" tests::is_lt,
    "mapping" tests::is_mapping,
    "ne" tests::is_ne,
    "none" tests::is_none,
    "number" tests::is_number,
    "odd" tests::is_odd,
    "sequence" tests::is_sequence,
    "startingwith" tests::is_startingwith,
    "string" tests::is_string,
    "true" tests::is_true,
    "undefined" tests::is_undefined,
    "upper" tests::is_upper,
}

/// Filters that `map` may apply to each item: those that take nothing else and make no more.
const MAPPABLE: &[&str] = &[
    "abs", "bool", "capitalize", "count", "e", "encoded_word", "escape", "first", "float", "int",
    "last", "length", "lower", "max", "min", "round", "string", "sum", "title", "tojson", "trim",
    "upper", "urlencode",
];

const MAX_RANGE: usize = 10_000;
/// Instructions of one evaluation; expressions cannot loop, so this is far above any need.
const FUEL: u64 = 100_000;

/// The one environment, shared by every expression.
pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::empty();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    engine.set_debug(false);
    engine.add_function("_mul", multiply);
    engine.add_function("_cat", concatenate);
    add_functions(&mut engine);
    add_filters(&mut engine);
    add_tests(&mut engine);
    engine
});

/// A refusal without any value in it.
pub(super) fn refuse(detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// The error for results over the limit; this kind is raised for nothing else here.
pub(super) fn too_large() -> Error {
    Error::from(ErrorKind::OutOfFuel)
}

fn defined(value: &Value) -> Result<&Value, Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value) }
}

/// Adds a value's text: strings as they are, all else as JSON.
fn append(out: &mut String, value: &Value) -> Result<(), Error> {
    match defined(value)?.as_str() {
        Some(string) => out.push_str(string),
        None => text(&to_json(value, &mut Budget::full())?, out),
    }
    if out.len() > MAX_BYTES { Err(too_large()) } else { Ok(()) }
}

pub(super) fn string(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    append(&mut out, value)?;
    Ok(out)
}

fn concatenate(left: &Value, right: &Value) -> Result<String, Error> {
    let mut out = string(left)?;
    append(&mut out, right)?;
    Ok(out)
}

/// `a * b` for numbers; repeating texts and lists is left to code steps.
fn multiply(left: &Value, right: &Value) -> Result<Value, Error> {
    if !defined(left)?.is_number() || !defined(right)?.is_number() {
        return Err(refuse("`*` multiplies numbers only"));
    }
    if left.is_integer() && right.is_integer() {
        let (left, right) = (i128::try_from(left.clone())?, i128::try_from(right.clone())?);
        return left.checked_mul(right).map(Value::from).ok_or_else(|| refuse("overflow"));
    }
    Ok(Value::from(f64::try_from(left.clone())? * f64::try_from(right.clone())?))
}

fn range(lower: i64, upper: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, end) = upper.map_or((0, lower), |upper| (lower, upper));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(refuse("`range` needs a step other than 0"));
    }
    let within = |at: &i64| if step > 0 { *at < end } else { *at > end };
    let numbers = std::iter::successors(Some(start), |at| at.checked_add(step));
    let numbers: Vec<i64> = numbers.take_while(within).take(MAX_RANGE + 1).collect();
    if numbers.len() > MAX_RANGE { Err(too_large()) } else { Ok(Value::from(numbers)) }
}

fn join(value: &Value, joiner: Option<String>) -> Result<String, Error> {
    let joiner = joiner.unwrap_or_default();
    let mut out = String::new();
    for (index, item) in defined(value)?.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(&joiner);
        }
        append(&mut out, &item)?;
    }
    Ok(out)
}

fn replace(value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let value = string(value)?;
    let growth = to.len().saturating_sub(from.len());
    if growth > 0 && value.matches(from).count().saturating_mul(growth) > MAX_BYTES {
        return Err(too_large());
    }
    Ok(value.replace(from, to))
}

fn sum(value: &Value) -> Result<Value, Error> {
    let (mut whole, mut fraction, mut exact) = (0_i128, 0.0_f64, true);
    for item in defined(value)?.try_iter()? {
        if !item.is_number() {
            return Err(refuse("`sum` adds numbers only"));
        }
        if item.is_integer() {
            let number = i128::try_from(item)?;
            whole = whole.checked_add(number).ok_or_else(|| refuse("overflow"))?;
        } else {
            exact = false;
            fraction += f64::try_from(item)?;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "as MiniJinja adds numbers of both kinds")]
    Ok(if exact { Value::from(whole) } else { Value::from(whole as f64 + fraction) })
}

fn to_json_text(value: &Value) -> Result<String, Error> {
    let value = to_json(defined(value)?, &mut Budget::full())?;
    serde_json::to_string(&value).map_err(|_| refuse("not JSON"))
}

/// What a JSON text says; none where it is not one.
fn parse_json(value: &Value) -> Result<Value, Error> {
    let text = string(value)?;
    match crate::json::parse(text.as_bytes()) {
        Ok(value) => from_json(&value, &mut Budget::full()),
        Err(_) => Ok(Value::from(())),
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters, `/` too: what comes from data
/// stays one part of the URL.
fn urlencode(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    for byte in string(value)?.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
        }
    }
    Ok(out)
}

/// MiniJinja's `map`, with the filters that cannot multiply what they are given.
fn map(state: &mut State, value: Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let by_name = match args.0.as_slice() {
        [only] if only.is_kwargs() => false,
        [only] if only.as_str().is_some_and(|name| MAPPABLE.contains(&name)) => true,
        _ => return Err(refuse("`map` takes attribute=... or the name of a simple filter")),
    };
    if !by_name
        && args
            .0
            .first()
            .is_some_and(|kwargs| kwargs.get_attr("default").is_ok_and(|d| !d.is_undefined()))
    {
        return Err(refuse("`map` takes no default; use `| default(...)` on the item"));
    }
    filters::map(state, value, args).map(Value::from)
}

/// A path's value for MiniJinja; what it copies is charged to `budget`.
pub(super) fn import(
    value: Option<&serde_json::Value>,
    budget: &mut Budget,
) -> Result<Value, Error> {
    value.map_or(Ok(Value::UNDEFINED), |value| from_json(value, budget))
}

#[cfg(test)]
mod names {
    use super::*;

    #[test]
    fn every_name_that_is_offered_is_there() {
        let unknown = |expression: String| {
            let compiled = ENGINE.compile_expression_owned(expression).unwrap();
            let error = compiled.eval(()).err().map(|error| error.kind());
            let kinds =
                [ErrorKind::UnknownFilter, ErrorKind::UnknownTest, ErrorKind::UnknownFunction];
            error.is_some_and(|kind| kinds.contains(&kind))
        };
        for name in FILTERS {
            assert!(!unknown(format!("[1] | {name}")), "{name}");
        }
        for name in MAPPABLE {
            assert!(FILTERS.contains(name), "{name}");
        }
        for name in TESTS {
            assert!(!unknown(format!("1 is {name}(1)")), "{name}");
        }
        for name in FUNCTIONS {
            assert!(!unknown(format!("{name}(1)")), "{name}");
        }
    }

    #[test]
    fn what_is_not_offered_is_not_there_either() {
        for name in ["in", "filter", "test", "safe", "format", "batch", "indent", "slice"] {
            let compiled = ENGINE.compile_expression_owned(format!("[1] | {name}")).unwrap();
            assert!(compiled.eval(()).is_err(), "{name}");
            let compiled =
                ENGINE.compile_expression_owned(format!("[1] | select('{name}')")).unwrap();
            assert!(compiled.eval(()).is_err(), "{name}");
        }
    }
}
