//! Calls of functions by name: the source's own, the globals', and `new`.

use super::heap::Object;
use super::value::Value;
use super::{Callee, Flow, GiveUp};
use crate::compile::bare;
use crate::shape::{How, Segment};
use swc_common::Span;
use swc_ecma_ast::{
    CallExpr, Callee as Called, Expr, ExprOrSpread, Lit, MemberExpr, NewExpr, OptChainBase,
};

/// Globals whose methods only compute.
const COMPUTING: [&str; 7] = ["Math", "Number", "String", "Date", "performance", "BigInt", "URL"];

impl<'a> Flow<'a> {
    pub(super) fn call(&mut self, call: &'a CallExpr) -> Result<Value, GiveUp> {
        match &call.callee {
            Called::Expr(callee) => self.call_of(call.span, callee, &call.args),
            Called::Super(_) | Called::Import(_) => Err(GiveUp),
        }
    }

    pub(super) fn call_of(
        &mut self,
        place: Span,
        callee: &'a Expr,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        match bare(callee) {
            Expr::Ident(name) if self.is_global(&name.sym) => {
                self.global_call(&name.sym, arguments)
            }
            Expr::Ident(name) if self.names.is_function(&name.sym) => {
                self.arguments(arguments)?;
                Ok(Value::unknown())
            }
            Expr::Member(member) => self.member_call(place, member, arguments),
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => {
                    self.maybe(|flow| flow.member_call(place, member, arguments))
                }
                OptChainBase::Call(_) => Err(GiveUp),
            },
            other => {
                // A function that is called where it stands.
                if arguments.iter().any(|argument| argument.spread.is_some()) {
                    return Err(GiveUp);
                }
                let callee = Callee::of(other).ok_or(GiveUp)?;
                let values = self.arguments(arguments)?;
                self.callback(callee, &values)
            }
        }
    }

    /// The values of arguments. Behind a spread, each may be any of what follows.
    pub(super) fn arguments(
        &mut self,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Vec<Value>, GiveUp> {
        let mut values = Vec::with_capacity(arguments.len());
        let mut spread = None::<Value>;
        for argument in arguments {
            let value = self.expr(&argument.expr)?;
            let value = if argument.spread.is_some() { self.each(&value)? } else { value };
            match &mut spread {
                Some(spread) => drop(spread.join(&value)),
                None if argument.spread.is_some() => spread = Some(value),
                None => values.push(value),
            }
        }
        if let Some(spread) = spread {
            // More arguments than anything here looks at.
            values.resize(values.len() + 8, spread);
        }
        Ok(values)
    }

    fn global_call(&mut self, name: &str, arguments: &'a [ExprOrSpread]) -> Result<Value, GiveUp> {
        let values = self.arguments(arguments)?;
        match name {
            "credential" | "Date" | "clearTimeout" | "clearInterval" | "setTimeout"
            | "setInterval" | "queueMicrotask" => Ok(Value::constant()),
            "fetch" => Ok(Value::fetched()),
            "String" | "btoa" | "encodeURIComponent" | "encodeURI" => {
                self.made(&values, How::Within)
            }
            "Number" | "Boolean" | "BigInt" | "parseInt" | "parseFloat" | "isNaN" | "isFinite"
            | "decodeURIComponent" | "decodeURI" | "escape" | "unescape" => {
                self.made(&values, How::Cut)
            }
            "structuredClone" => match values.into_iter().next() {
                Some(value) if value.objects.is_empty() => Ok(value),
                _ => Ok(Value::unknown()),
            },
            // A placeholder is no base64.
            "atob" | "Symbol" | "Array" | "Object" | "RegExp" | "Error" | "TypeError"
            | "RangeError" => Ok(Value::unknown()),
            _ => Err(GiveUp),
        }
    }

    fn member_call(
        &mut self,
        place: Span,
        member: &'a MemberExpr,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let global = match bare(&member.obj) {
            Expr::Ident(name) if self.is_global(&name.sym) => Some(&*name.sym),
            _ => None,
        };
        let receiver = match global {
            Some(_) => None,
            None => Some(self.expr(&member.obj)?),
        };
        let (Segment::Member(method), _) = self.segment_of(&member.prop)? else {
            return Err(GiveUp);
        };
        match (global, receiver) {
            (Some(global), _) if !matches!(global, "trigger" | "steps" | "run") => {
                self.namespace_call(place, (global, &method), arguments)
            }
            (_, Some(receiver)) => self.method_call(place, &receiver, &method, arguments),
            (_, None) => {
                let receiver = self.expr(&member.obj)?;
                self.method_call(place, &receiver, &method, arguments)
            }
        }
    }

    /// `Object.keys(…)` and the like.
    fn namespace_call(
        &mut self,
        place: Span,
        (global, method): (&str, &str),
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        match (global, method) {
            ("Object", _) => self.object_call(place, method, arguments),
            ("Array", "from") => self.array_from(place, arguments),
            ("Promise", _) => self.promise_call(place, method, arguments),
            ("JSON", "parse") => {
                self.arguments(arguments)?;
                Ok(Value::unknown())
            }
            ("JSON", "stringify") => {
                let values = self.arguments(arguments)?;
                let plain = match arguments.get(1).map(|argument| bare(&argument.expr)) {
                    None | Some(Expr::Lit(Lit::Null(_))) => true,
                    Some(Expr::Ident(name)) => name.sym == *"undefined",
                    Some(_) => false,
                };
                match plain {
                    true => self.made(&values, How::Within),
                    false => Ok(Value::unknown()),
                }
            }
            ("Array", "of") => {
                let values = self.arguments(arguments)?;
                let others = values.iter().fold(Value::constant(), Value::or);
                self.make(place, Object::array_of(others))
            }
            ("Array", "isArray") => {
                self.arguments(arguments)?;
                Ok(Value::constant())
            }
            ("console" | "credential", _) | ("crypto", "randomUUID") => {
                self.arguments(arguments)?;
                Ok(Value::constant())
            }
            (name, _) if COMPUTING.contains(&name) => {
                let values = self.arguments(arguments)?;
                self.made(&values, How::Cut)
            }
            _ => {
                let receiver = self.expr_of_global(global)?;
                self.method_call(place, &receiver, method, arguments)
            }
        }
    }

    fn expr_of_global(&mut self, global: &str) -> Result<Value, GiveUp> {
        match global {
            "crypto" | "AbortSignal" | "Intl" | "Response" | "Headers" | "Request"
            | "Uint8Array" | "Symbol" | "Error" => Ok(Value::unknown()),
            _ => Err(GiveUp),
        }
    }

    fn object_call(
        &mut self,
        place: Span,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let values = self.arguments(arguments)?;
        let first = values.first().cloned().unwrap_or_default();
        match method {
            "assign" if arguments.iter().any(|argument| argument.spread.is_some()) => Err(GiveUp),
            "assign" => {
                for source in values.get(1..).unwrap_or_default() {
                    let mut added = Object::default();
                    self.spread(&mut added, source)?;
                    self.change(&first, true, |object, _| object.spread_object(&added))?;
                }
                Ok(first)
            }
            "freeze" | "seal" => Ok(first),
            "keys" => self.names_in(&first),
            "values" => {
                let others = self.at(&first, &Segment::Any)?;
                self.make(place, Object::array_of(others))
            }
            "entries" => self.entries(place, &first),
            "fromEntries" => {
                let entry = self.each(&first)?;
                let value = self.at(&entry, &Segment::Index(1))?;
                let name = self.at(&entry, &Segment::Index(0))?;
                let names = self.made(&[name], How::Cut)?;
                let mut object = Object { names, ..Object::default() };
                object.set(&Segment::Any, &value, false);
                self.make(place, object)
            }
            "hasOwn" | "is" => self.made(&values, How::Cut),
            _ => Err(GiveUp),
        }
    }

    /// The names of the members of a value.
    pub(super) fn names_in(&mut self, value: &Value) -> Result<Value, GiveUp> {
        let mut names = value.data().kept(How::Cut);
        for &id in &value.objects {
            let object = self.look(id)?;
            let unknown = Value { unknown: object.spoilt, ..Value::constant() };
            names.join(&object.spread.or(&object.names).or(&unknown).kept(How::Cut));
        }
        Ok(names)
    }

    /// An array of pairs of name and value.
    pub(super) fn entries(&mut self, place: Span, value: &Value) -> Result<Value, GiveUp> {
        let mut pair = Object::array();
        pair.push(self.names_in(value)?);
        pair.push(self.at(value, &Segment::Any)?);
        // Two objects of one call: the inner one is told apart by its end.
        let inner = Span { lo: place.hi, hi: place.lo };
        let pair = self.make(inner, pair)?;
        self.make(place, Object::array_of(pair))
    }

    fn array_from(&mut self, place: Span, arguments: &'a [ExprOrSpread]) -> Result<Value, GiveUp> {
        let [source, rest @ ..] = arguments else { return Ok(Value::unknown()) };
        if source.spread.is_some() {
            return Err(GiveUp);
        }
        let source = self.expr(&source.expr)?;
        let item = self.at(&source, &Segment::Any)?;
        let others = match rest.first() {
            None => item,
            Some(with) => self.call_back(with, &[item, Value::constant()])?,
        };
        self.make(place, Object::array_of(others))
    }

    fn promise_call(
        &mut self,
        place: Span,
        method: &str,
        arguments: &'a [ExprOrSpread],
    ) -> Result<Value, GiveUp> {
        let values = self.arguments(arguments)?;
        let first = values.first().cloned().unwrap_or_default();
        match method {
            "resolve" => Ok(first),
            "race" | "any" => self.each(&first),
            "all" => {
                let mut only = first.objects.iter();
                let object = match (first.is_objects(), only.next(), only.next()) {
                    (true, Some(&id), None) => self.look(id)?,
                    _ => Object::array_of(self.each(&first)?),
                };
                self.make(place, Object { array: true, summary: false, ..object })
            }
            _ => Ok(Value::unknown()),
        }
    }

    pub(super) fn new_object(&mut self, new: &'a NewExpr) -> Result<Value, GiveUp> {
        let values = self.arguments(new.args.as_deref().unwrap_or_default())?;
        match bare(&new.callee) {
            Expr::Ident(name) if self.is_global(&name.sym) => match &*name.sym {
                "Date" => self.made(&values, How::Cut),
                "Function" | "Proxy" => Err(GiveUp),
                _ => Ok(Value::unknown()),
            },
            Expr::Ident(name) if self.names.is_function(&name.sym) => Ok(Value::unknown()),
            _ => Err(GiveUp),
        }
    }
}
