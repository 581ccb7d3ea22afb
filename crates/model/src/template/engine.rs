//! MiniJinja as Keyward uses it: no filter or function here can make more than its inputs are
//! worth, so an expression's work is bounded by its text and the data that it names.

use super::value::{Budget, MAX_BYTES, from_json, text, to_json};
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters, tests};
use std::sync::LazyLock;

/// The functions that an expression may call.
pub(super) const FUNCTIONS: &[&str] = &["range"];

/// The filters that an expression may use.
pub(super) const FILTERS: &[&str] = &[
    "abs", "attr", "bool", "capitalize", "chain", "count", "d", "default", "dictsort", "e",
    "escape", "first", "float", "groupby", "int", "items", "join", "last", "length", "lines",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round",
    "select", "selectattr", "sort", "split", "string", "sum", "title", "tojson", "trim", "unique",
    "upper", "urlencode", "zip",
];

/// The tests that may follow `is`.
pub(super) const TESTS: &[&str] = &[
    "boolean", "defined", "divisibleby", "endingwith", "eq", "equalto", "even", "false", "float",
    "ge", "greaterthan", "gt", "int", "integer", "iterable", "le", "lessthan", "lower", "lt",
    "mapping", "ne", "none", "number", "odd", "sequence", "startingwith", "string", "true",
    "undefined", "upper",
];

/// Filters that `map` may apply to each item: those that take nothing else and make no more.
const MAPPABLE: &[&str] = &[
    "abs", "bool", "capitalize", "count", "e", "escape", "first", "float", "int", "last", "length",
    "lower", "max", "min", "round", "string", "sum", "title", "tojson", "trim", "upper",
    "urlencode",
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
    add_functions(&mut engine);
    add_filters(&mut engine);
    add_tests(&mut engine);
    engine
});

fn add_functions(engine: &mut Environment<'static>) {
    engine.add_function("range", range);
    engine.add_function("_mul", multiply);
    engine.add_function("_cat", concatenate);
}

fn add_filters(engine: &mut Environment<'static>) {
    engine.add_filter("abs", filters::abs);
    engine.add_filter("attr", filters::attr);
    engine.add_filter("bool", filters::bool);
    engine.add_filter("capitalize", filters::capitalize);
    engine.add_filter("chain", filters::chain);
    engine.add_filter("count", filters::length);
    engine.add_filter("d", filters::default);
    engine.add_filter("default", filters::default);
    engine.add_filter("dictsort", filters::dictsort);
    engine.add_filter("e", filters::escape);
    engine.add_filter("escape", filters::escape);
    engine.add_filter("first", filters::first);
    engine.add_filter("float", filters::float);
    engine.add_filter("groupby", filters::groupby);
    engine.add_filter("int", filters::int);
    engine.add_filter("items", filters::items);
    engine.add_filter("join", join);
    engine.add_filter("last", filters::last);
    engine.add_filter("length", filters::length);
    engine.add_filter("lines", filters::lines);
    engine.add_filter("list", filters::list);
    engine.add_filter("lower", filters::lower);
    engine.add_filter("map", map);
    engine.add_filter("max", filters::max);
    engine.add_filter("min", filters::min);
    engine.add_filter("reject", filters::reject);
    engine.add_filter("rejectattr", filters::rejectattr);
    engine.add_filter("replace", replace);
    engine.add_filter("reverse", filters::reverse);
    engine.add_filter("round", filters::round);
    engine.add_filter("select", filters::select);
    engine.add_filter("selectattr", filters::selectattr);
    engine.add_filter("sort", filters::sort);
    engine.add_filter("split", filters::split);
    engine.add_filter("string", string);
    engine.add_filter("sum", sum);
    engine.add_filter("title", filters::title);
    engine.add_filter("tojson", to_json_text);
    engine.add_filter("trim", filters::trim);
    engine.add_filter("unique", filters::unique);
    engine.add_filter("upper", filters::upper);
    engine.add_filter("urlencode", urlencode);
    engine.add_filter("zip", filters::zip);
}

/// `in` is left out: with `select` it would compare every item with every other.
fn add_tests(engine: &mut Environment<'static>) {
    engine.add_test("boolean", tests::is_boolean);
    engine.add_test("defined", tests::is_defined);
    engine.add_test("divisibleby", tests::is_divisibleby);
    engine.add_test("endingwith", tests::is_endingwith);
    for name in ["eq", "equalto"] {
        engine.add_test(name, tests::is_eq);
    }
    engine.add_test("even", tests::is_even);
    engine.add_test("false", tests::is_false);
    engine.add_test("float", tests::is_float);
    engine.add_test("ge", tests::is_ge);
    for name in ["gt", "greaterthan"] {
        engine.add_test(name, tests::is_gt);
    }
    for name in ["int", "integer"] {
        engine.add_test(name, tests::is_integer);
    }
    engine.add_test("iterable", tests::is_iterable);
    engine.add_test("le", tests::is_le);
    engine.add_test("lower", tests::is_lower);
    for name in ["lt", "lessthan"] {
        engine.add_test(name, tests::is_lt);
    }
    engine.add_test("mapping", tests::is_mapping);
    engine.add_test("ne", tests::is_ne);
    engine.add_test("none", tests::is_none);
    engine.add_test("number", tests::is_number);
    engine.add_test("odd", tests::is_odd);
    engine.add_test("sequence", tests::is_sequence);
    engine.add_test("startingwith", tests::is_startingwith);
    engine.add_test("string", tests::is_string);
    engine.add_test("true", tests::is_true);
    engine.add_test("undefined", tests::is_undefined);
    engine.add_test("upper", tests::is_upper);
}

/// A refusal without any value in it.
fn refuse(detail: &'static str) -> Error {
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

fn string(value: &Value) -> Result<String, Error> {
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
