//! Follows the values of a code step from its input to what it returns, without running it.
//!
//! One pass over the syntax tree keeps, for each variable and each object that the source makes,
//! everything it may hold. In the straight line of the step's own function a new value takes the
//! place of the old one; wherever code may run never or often (branches, loops, callbacks), values
//! only add up, and loops are read until nothing is added any more. Code that may run at a time
//! that is not known (other functions) is read once where it is made: what it changes is unknown
//! from then on. A change to anything but an object of the source, and every construct not listed
//! here, gives the whole up: the answer is then `Unknown`.
//!
//! What the source decides by (`if`, `===` on its way to a constant) is not followed: only what
//! values are made of. Nor is code followed that reaches a built-in by a computed name.

mod calls;
mod expressions;
mod heap;
mod methods;
mod names;
mod patterns;
mod statements;
#[cfg(test)]
mod tests;
mod value;

use crate::shape::Shape;
use heap::Object;
use names::Names;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use swc_ecma_ast::{ArrowExpr, ArrowFunctionBody, Expr, Function, Pat, Stmt};
use value::{Id, Value};

/// How deep the tree is followed.
const MAX_DEPTH: usize = 200;
/// How much work is done, in about the number of values looked at.
const FUEL: usize = 500_000;
/// How often a loop is read until nothing is added.
const MAX_ROUNDS: usize = 8;
/// The longest shape, in bytes of JSON.
const MAX_BYTES: usize = 64 << 10;

/// The source does something that is not followed.
#[derive(Debug)]
struct GiveUp;

/// What a function with these statements returns.
pub(crate) fn returns(body: &[Stmt]) -> Shape {
    let mut flow = Flow::new(Names::of(body));
    let shape = match flow.step(body) {
        Ok(()) => join(flow.returned),
        Err(GiveUp) => Shape::Unknown,
    };
    match serde_json::to_vec(&shape) {
        Ok(json) if json.len() <= MAX_BYTES => shape,
        _ => Shape::Unknown,
    }
}

fn join(returned: BTreeSet<Shape>) -> Shape {
    let mut shapes: Vec<Shape> = returned.into_iter().collect();
    match shapes.pop() {
        None => Shape::Reads(Vec::new()),
        Some(only) if shapes.is_empty() => only,
        Some(last) => {
            shapes.push(last);
            Shape::Any(shapes)
        }
    }
}

struct Flow<'a> {
    names: Names,
    scopes: Vec<Scope<'a>>,
    heap: Vec<Object>,
    /// Which object a place of the source makes.
    places: BTreeMap<(u32, u32, bool), Id>,
    /// How many branches, loops and callbacks lie around what is read.
    maybe: usize,
    /// The function that is read as one that runs at a time that is not known.
    deferred: Option<Deferred>,
    /// The loops that are being read until nothing is added.
    regions: Vec<Region>,
    /// What the callbacks that are being read have returned.
    callbacks: Vec<Value>,
    /// What the step has returned.
    returned: BTreeSet<Shape>,
    depth: usize,
    fuel: usize,
    nodes: usize,
}

/// Variables of a block or function. None stands for one that has no value yet.
type Scope<'a> = BTreeMap<Cow<'a, str>, Option<Value>>;

struct Deferred {
    /// The first scope of its own.
    scope: usize,
    /// The objects that it makes itself.
    own: BTreeSet<Id>,
}

struct Region {
    /// The first scope of its own.
    scope: usize,
    changed: bool,
}

/// A function as it is called.
#[derive(Clone, Copy)]
enum Callee<'a> {
    Arrow(&'a ArrowExpr),
    Function(&'a Function),
}

impl<'a> Callee<'a> {
    /// The function that an expression is.
    fn of(expr: &'a Expr) -> Option<Self> {
        match crate::compile::bare(expr) {
            Expr::Arrow(arrow) => Some(Self::Arrow(arrow)),
            // Its own name would be a variable of its own.
            Expr::Fn(function) if function.ident.is_none() => {
                Some(Self::Function(&function.function))
            }
            _ => None,
        }
    }

    fn is_async(self) -> bool {
        match self {
            Self::Arrow(arrow) => arrow.is_async,
            Self::Function(function) => function.is_async,
        }
    }

    fn is_generator(self) -> bool {
        match self {
            Self::Arrow(arrow) => arrow.is_generator,
            Self::Function(function) => function.is_generator,
        }
    }

    fn params(self) -> Vec<&'a Pat> {
        match self {
            Self::Arrow(arrow) => arrow.params.iter().collect(),
            Self::Function(function) => function.params.iter().map(|param| &param.pat).collect(),
        }
    }
}

impl<'a> Flow<'a> {
    fn new(names: Names) -> Self {
        Self {
            names,
            scopes: Vec::new(),
            heap: Vec::new(),
            places: BTreeMap::new(),
            maybe: 0,
            deferred: None,
            regions: Vec::new(),
            callbacks: Vec::new(),
            returned: BTreeSet::new(),
            depth: 0,
            fuel: FUEL,
            nodes: 0,
        }
    }

    fn step(&mut self, body: &'a [Stmt]) -> Result<(), GiveUp> {
        self.enter_function(body);
        self.statements(body)
    }

    fn enter_function(&mut self, body: &'a [Stmt]) {
        let hoisted = names::hoisted(body).into_iter();
        let hoisted = hoisted.map(|(name, function)| (name.into(), function.then(Value::unknown)));
        self.scopes.push(hoisted.collect());
    }

    /// Whether what is read runs exactly once, in its order.
    fn is_straight(&self) -> bool {
        self.maybe == 0 && self.deferred.is_none()
    }

    fn spend(&mut self, work: usize) -> Result<(), GiveUp> {
        self.fuel = self.fuel.checked_sub(work).ok_or(GiveUp)?;
        Ok(())
    }

    /// Goes one level down into the tree.
    fn nest<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, GiveUp>) -> Result<T, GiveUp> {
        self.spend(1)?;
        if self.depth >= MAX_DEPTH {
            return Err(GiveUp);
        }
        self.depth += 1;
        let found = inner(self)?;
        self.depth -= 1;
        Ok(found)
    }

    /// Reads what may or may not run.
    fn maybe<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, GiveUp>,
    ) -> Result<T, GiveUp> {
        self.maybe += 1;
        let found = inner(self)?;
        self.maybe -= 1;
        Ok(found)
    }

    /// Reads what may run any number of times.
    fn repeat<T>(
        &mut self,
        mut inner: impl FnMut(&mut Self) -> Result<T, GiveUp>,
    ) -> Result<T, GiveUp> {
        for _ in 0..MAX_ROUNDS {
            self.regions.push(Region { scope: self.scopes.len(), changed: false });
            let found = self.maybe(&mut inner)?;
            if self.regions.pop().is_some_and(|region| !region.changed) {
                return Ok(found);
            }
        }
        Err(GiveUp)
    }

    fn in_scope<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, GiveUp>,
    ) -> Result<T, GiveUp> {
        self.scopes.push(Scope::default());
        let found = inner(self)?;
        self.scopes.pop();
        Ok(found)
    }

    /// The scope that a name belongs to.
    fn scope_of(&self, name: &str) -> Option<usize> {
        self.scopes.iter().rposition(|scope| scope.contains_key(name))
    }

    /// What a variable holds; none where there is none of this name.
    fn variable(&mut self, name: &str) -> Result<Option<Value>, GiveUp> {
        self.spend(1)?;
        let Some(at) = self.scope_of(name) else { return Ok(None) };
        if self.names.changes_inside(name) {
            return Ok(Some(Value::unknown()));
        }
        let value = self.scopes.get(at).and_then(|scope| scope.get(name)).cloned().flatten();
        let later = self.deferred.as_ref().is_some_and(|deferred| at < deferred.scope);
        Ok(Some(match value {
            _ if later && self.names.changes(name) => Value::unknown(),
            None if later => Value::unknown(),
            // Reading it now is an error, or gives `undefined`.
            None => Value::constant(),
            Some(value) => value,
        }))
    }

    /// Declares a variable in the innermost scope.
    fn declare(&mut self, name: &'a str, value: Option<Value>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.into(), value);
        }
    }

    /// Gives a variable a value; gives up where there is none of this name.
    fn set_variable(&mut self, name: &str, value: Value) -> Result<(), GiveUp> {
        self.spend(value.weight())?;
        let at = self.scope_of(name).ok_or(GiveUp)?;
        let straight = self.is_straight();
        let held = self.scopes.get_mut(at).and_then(|scope| scope.get_mut(name));
        let held = held.ok_or(GiveUp)?;
        let changed = match held {
            Some(old) if !straight => old.join(&value),
            _ => {
                *held = Some(value);
                true
            }
        };
        if changed {
            let outer = self.regions.iter_mut().filter(|region| at < region.scope);
            outer.for_each(|region| region.changed = true);
        }
        Ok(())
    }

    /// Reads a function as one that runs later, with arguments that are not known.
    fn later(&mut self, callee: Callee<'a>) -> Result<(), GiveUp> {
        self.function(callee, None, true).map(drop)
    }

    /// Reads a callback that runs for these arguments: now, or where it is async perhaps later.
    fn callback(&mut self, callee: Callee<'a>, arguments: &[Value]) -> Result<Value, GiveUp> {
        if callee.is_async() {
            return self.function(callee, Some(arguments), true);
        }
        self.repeat(|flow| flow.function(callee, Some(arguments), false))
    }

    fn function(
        &mut self,
        callee: Callee<'a>,
        arguments: Option<&[Value]>,
        later: bool,
    ) -> Result<Value, GiveUp> {
        if callee.is_generator() {
            return Err(GiveUp);
        }
        let scope = self.scopes.len();
        let outer = match later {
            true => self.deferred.replace(Deferred { scope, own: BTreeSet::new() }),
            false => None,
        };
        self.callbacks.push(Value::constant());
        self.nest(|flow| flow.maybe(|flow| flow.body(callee, arguments)))?;
        self.scopes.truncate(scope);
        if later {
            let own = std::mem::replace(&mut self.deferred, outer).map(|deferred| deferred.own);
            if let (Some(outer), Some(own)) = (&mut self.deferred, own) {
                outer.own.extend(own);
            }
        }
        self.callbacks.pop().ok_or(GiveUp)
    }

    fn body(&mut self, callee: Callee<'a>, arguments: Option<&[Value]>) -> Result<(), GiveUp> {
        let statements: &'a [Stmt] = match callee {
            Callee::Arrow(arrow) => match &*arrow.body {
                ArrowFunctionBody::FunctionBody(body) => &body.stmts,
                ArrowFunctionBody::Expr(_) => &[],
            },
            Callee::Function(function) => {
                function.body.as_ref().map_or(&[], |body| body.stmts.as_slice())
            }
        };
        self.enter_function(statements);
        for (at, param) in callee.params().into_iter().enumerate() {
            names::each_name(param, &mut |name| self.declare(name, None));
            let rest = arguments.map(|arguments| arguments.get(at..).unwrap_or_default());
            self.parameter(param, rest)?;
        }
        if let Callee::Arrow(arrow) = callee
            && let ArrowFunctionBody::Expr(expr) = &*arrow.body
        {
            let value = self.expr(expr)?;
            return self.give_back(&value);
        }
        self.statements(statements)
    }

    /// Ends the function that is read, in one of its ways, with a value.
    fn give_back(&mut self, value: &Value) -> Result<(), GiveUp> {
        if let Some(returned) = self.callbacks.last_mut() {
            returned.join(value);
            return Ok(());
        }
        let shape = self.shape(value, 0)?;
        self.returned.insert(shape);
        Ok(())
    }
}
