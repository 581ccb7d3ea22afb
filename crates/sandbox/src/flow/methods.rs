//! Calls of methods: what strings, arrays, answers of `fetch` and promises give back.

use super::heap::Object;
use super::value::Value;
use super::{Callee, Flow, GiveUp};
use crate::compile::bare;
use crate::shape::How;
use swc_common::Span;
use swc_ecma_ast::{Expr, ExprOrSpread};

/// Methods of built-ins that change objects.
pub(super) const MUTATORS: [&str; 17] = [
    "push",
    "pop",
    "shift",
    "unshift",
    "splice",
    "sort",
    "reverse",
    "fill",
    "copyWithin",
    "assign",
    "defineProperty",
    "defineProperties",
    "setPrototypeOf",
    "__defineGetter__",
    "__defineSetter__",
    "constructor",
    "getOwnPropertyDescriptor",
];
/// Methods of functions.
pub(super) const CALLERS: [&str; 3] = ["call", "apply", "bind"];
/// Methods of strings, numbers and dates after which a placeholder is damaged, or none is left.
const CUTTING: [&str; 42] = [
    "charAt", "charCodeAt", "codePointAt", "endsWith", "every", "exec", "findIndex",
    "findLastIndex", "has", "hasOwnProperty", "includes", "indexOf", "isWellFormed", "keys",
    "lastIndexOf", "localeCompare", "match", "matchAll", "normalize", "replace", "replaceAll",
    "search", "some", "split", "startsWith", "substr", "substring", "test", "toDateString",
    "toExponential", "toFixed", "toISOString", "toJSON", "toLocaleDateString", "toLocaleLowerCase",
    "toLocaleTimeString", "toLocaleUpperCase", "toLowerCase", "toPrecision", "toUTCString",
    "toUpperCase", "valueOf",
];
/// Methods that keep the whole text.
const KEEPING: [&str; 9] = [
    "join", "padEnd", "padStart", "toLocaleString", "toString", "toWellFormed", "trim", "trimEnd",
    "trimStart",
];

impl<'a> Flow<'a> {
    pub(super) fn method_call(
        &mut self,
        place: Span,
        receiver: &Value,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        if MUTATORS.contains(&method) {
            return self.mutate(place, receiver, method, arguments);
        }
        if CALLERS.contains(&method) || method.starts_with("__") {
            return Err(GiveUp);
        }
        let mut built_in = !receiver.unknown;
        for &id in &receiver.objects {
            let object = self.look(id)?;
            built_in &= object.array && !object.spoilt;
        }
        if !built_in {
            self.arguments(arguments)?;
            return Ok(Value::unknown());
        }
        match method {
            "map" | "flatMap" | "filter" | "find" | "findLast" | "forEach" | "some" | "every"
            | "findIndex" | "findLastIndex" | "reduce" | "toSorted" | "then" | "catch"
            | "finally" => self.calling_back(place, receiver, method, arguments),
            _ => self.computing(place, receiver, method, arguments),
        }
    }

    /// Methods that are given functions.
    fn calling_back(
        &mut self,
        place: Span,
        receiver: &Value,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        if arguments.iter().any(|argument| argument.spread.is_some()) {
            return Err(GiveUp);
        }
        let item = self.each(receiver)?;
        // The names of an answer's headers came with it; else it is an index.
        let at = Value { fetched: receiver.fetched, ..Value::constant() };
        let given = [item.clone(), at, receiver.clone()];
        let Some(function) = arguments.first() else {
            return match method {
                "toSorted" => self.make(place, Object::array_of(item)),
                _ => Err(GiveUp),
            };
        };
        match method {
            "map" => {
                let others = self.call_back(function, &given)?;
                self.make(place, Object::array_of(others))
            }
            "flatMap" => {
                let found = self.call_back(function, &given)?;
                let others = self.each(&found)?.or(&found);
                self.make(place, Object::array_of(others))
            }
            "toSorted" => {
                self.call_back(function, &[item.clone(), item.clone()])?;
                self.make(place, Object::array_of(item))
            }
            "filter" => {
                self.call_back(function, &given)?;
                self.make(place, Object::array_of(item))
            }
            "find" | "findLast" => {
                self.call_back(function, &given)?;
                Ok(item)
            }
            "forEach" => self.call_back(function, &given).map(|_| Value::constant()),
            "reduce" => self.reduce(&given, arguments),
            "then" => {
                let mut found = self.call_back(function, std::slice::from_ref(receiver))?;
                if let Some(failed) = arguments.get(1) {
                    found.join(&self.call_back(failed, &[Value::unknown()])?);
                }
                Ok(found)
            }
            "catch" => {
                let found = self.call_back(function, &[Value::unknown()])?;
                Ok(found.or(receiver))
            }
            "finally" => {
                self.call_back(function, &[])?;
                Ok(receiver.clone())
            }
            _ => {
                self.call_back(function, &given)?;
                self.made(std::slice::from_ref(receiver), How::Cut)
            }
        }
    }

    /// What a callback returns for these arguments.
    pub(super) fn call_back(
        &mut self,
        function: &'a ExprOrSpread,
        given: &[Value],
    ) -> Result<Value, GiveUp> {
        if let Some(callee) = Callee::of(&function.expr) {
            return self.callback(callee, given);
        }
        let first = given.get(..1).unwrap_or_default();
        match bare(&function.expr) {
            Expr::Ident(name) if self.is_global(&name.sym) => match &*name.sym {
                "String" | "encodeURIComponent" | "btoa" => self.made(first, How::Within),
                "Number" | "Boolean" | "parseInt" | "parseFloat" => self.made(first, How::Cut),
                _ => Err(GiveUp),
            },
            Expr::Ident(name) if self.names.is_function(&name.sym) => Ok(Value::unknown()),
            Expr::Fn(_) => self.expr(&function.expr),
            _ => Err(GiveUp),
        }
    }

    fn reduce(
        &mut self,
        given: &[Value; 3],
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let [function, rest @ ..] = arguments else { return Err(GiveUp) };
        let mut sum = match rest.first() {
            Some(start) => self.expr(&start.expr)?,
            None => given.first().cloned().unwrap_or_default(),
        };
        for _ in 0..super::MAX_ROUNDS {
            let given: Vec<Value> = [sum.clone()].into_iter().chain(given.clone()).collect();
            let next = self.call_back(function, &given)?;
            if !sum.join(&next) {
                return Ok(sum);
            }
        }
        Err(GiveUp)
    }

    /// Methods that are given data.
    fn computing(
        &mut self,
        place: Span,
        receiver: &Value,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let values = self.arguments(arguments)?;
        match method {
            // Of a text, `each` is the text: see `InputPath`.
            "slice" | "concat" | "toReversed" | "toSpliced" | "with" | "flat" | "values" => {
                let mut others = self.each(receiver)?;
                if method == "flat" {
                    others = self.each(&others)?.or(&others);
                }
                for value in values.iter().filter(|_| method != "slice") {
                    others = self.each(value)?.or(&others).or(value);
                }
                self.make(place, Object::array_of(others))
            }
            "at" => self.each(receiver),
            "entries" => self.entries(place, receiver),
            _ => {
                // Of what `fetch` brings, whatever it has to offer, such as `json()`.
                let answer = receiver.fetched && receiver.inputs.is_empty();
                let how = match () {
                    () if KEEPING.contains(&method) => How::Within,
                    () if CUTTING.contains(&method) || method.starts_with("get") => How::Cut,
                    () if answer => How::Cut,
                    () => return Err(GiveUp),
                };
                let all: Vec<Value> = [receiver.clone()].into_iter().chain(values).collect();
                self.made(&all, how)
            }
        }
    }

    /// Methods that change the array they are called on.
    fn mutate(
        &mut self,
        place: Span,
        receiver: &Value,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let spread = arguments.iter().any(|argument| argument.spread.is_some());
        let values = self.arguments(arguments)?;
        for &id in &receiver.objects {
            if !self.look(id)?.array {
                return Err(GiveUp);
            }
        }
        let given = values.iter().fold(Value::constant(), Value::or);
        match method {
            "push" => {
                self.change(receiver, false, |array, replace| match replace && !spread {
                    true => values.iter().for_each(|value| array.push(value.clone())),
                    false => array.add(&given),
                })?;
                Ok(Value::constant())
            }
            "unshift" | "splice" | "fill" | "pop" | "shift" | "sort" | "reverse" | "copyWithin" => {
                self.change(receiver, true, |array, _| {
                    array.mix();
                    if matches!(method, "unshift" | "splice" | "fill") {
                        array.add(&given);
                    }
                })?;
                let items = self.each(receiver)?;
                match method {
                    "splice" => self.make(place, Object::array_of(items)),
                    "pop" | "shift" => Ok(items),
                    "unshift" => Ok(Value::constant()),
                    _ => Ok(receiver.clone()),
                }
            }
            _ => Err(GiveUp),
        }
    }
}
