//! Expressions: what a value is made of.

use super::heap::Object;
use super::value::Value;
use super::{Callee, Flow, GiveUp};
use crate::compile::bare;
use crate::shape::{How, Segment};
use swc_ecma_ast::{
    ArrayLit, AssignExpr, AssignOp, BinExpr, BinaryOp, Expr, MemberExpr, MemberProp, ObjectLit,
    OptChainBase, Prop, PropOrSpread, UnaryExpr, UnaryOp,
};

/// Names that lead from a value to code that can change anything.
const FORBIDDEN: [&str; 7] = [
    "constructor", "prototype", "__proto__", "__defineGetter__", "__defineSetter__",
    "__lookupGetter__", "__lookupSetter__",
];
/// Globals that can change anything.
const FORBIDDEN_GLOBALS: [&str; 7] =
    ["eval", "Function", "globalThis", "Reflect", "Proxy", "arguments", "AsyncFunction"];
/// Globals that hold nothing.
const CONSTANTS: [&str; 5] = ["undefined", "NaN", "Infinity", "run", "Math"];

impl<'a> Flow<'a> {
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Result<Value, GiveUp> {
        self.nest(|flow| flow.expr_inner(expr))
    }

    fn expr_inner(&mut self, expr: &'a Expr) -> Result<Value, GiveUp> {
        match expr {
            Expr::Lit(_) => Ok(Value::constant()),
            Expr::Ident(name) => self.name(&name.sym),
            Expr::This(_) => Ok(Value::unknown()),
            Expr::Paren(inner) => self.expr(&inner.expr),
            Expr::TsAs(inner) => self.expr(&inner.expr),
            Expr::TsNonNull(inner) => self.expr(&inner.expr),
            Expr::TsSatisfies(inner) => self.expr(&inner.expr),
            Expr::TsConstAssertion(inner) => self.expr(&inner.expr),
            Expr::TsTypeAssertion(inner) => self.expr(&inner.expr),
            Expr::TsInstantiation(inner) => self.expr(&inner.expr),
            // A promise is taken for what it brings.
            Expr::Await(inner) => self.expr(&inner.arg),
            Expr::Array(array) => self.array(array),
            Expr::Object(object) => self.object(object),
            Expr::Tpl(template) => self.template(&template.exprs),
            Expr::Bin(binary) => self.binary(binary),
            Expr::Unary(unary) => self.unary(unary),
            // What it applies to is read twice.
            Expr::Update(update) => self.maybe(|flow| {
                let old = flow.expr(&update.arg)?;
                let new = flow.made(&[old], How::Cut)?;
                flow.assign_expr(&update.arg, new.clone())?;
                Ok(new)
            }),
            Expr::Assign(assign) if assign.op == AssignOp::Assign => {
                let value = self.expr(&assign.right)?;
                self.assign(&assign.left, value.clone())?;
                Ok(value)
            }
            Expr::Assign(assign) if assign.left.as_ident().is_some() => self.operate(assign),
            Expr::Assign(assign) => self.maybe(|flow| flow.operate(assign)),
            Expr::Member(member) => self.read_member(member),
            Expr::Cond(choice) => {
                self.expr(&choice.test)?;
                let yes = self.maybe(|flow| flow.expr(&choice.cons))?;
                let no = self.maybe(|flow| flow.expr(&choice.alt))?;
                Ok(yes.or(&no))
            }
            Expr::Seq(sequence) => {
                let mut last = Value::constant();
                for expr in &sequence.exprs {
                    last = self.expr(expr)?;
                }
                Ok(last)
            }
            Expr::Call(call) => self.call(call),
            Expr::New(new) => self.new_object(new),
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => self.maybe(|flow| flow.read_member(member)),
                OptChainBase::Call(call) => {
                    self.maybe(|flow| flow.call_of(call.span, &call.callee, &call.args))
                }
            },
            Expr::Arrow(arrow) => {
                self.later(Callee::Arrow(arrow))?;
                Ok(Value::unknown())
            }
            Expr::Fn(function) => self.in_scope(|flow| {
                if let Some(name) = &function.ident {
                    flow.declare(&name.sym, Some(Value::unknown()));
                }
                flow.later(Callee::Function(&function.function))?;
                Ok(Value::unknown())
            }),
            _ => Err(GiveUp),
        }
    }

    fn template(&mut self, parts: &'a [Box<Expr>]) -> Result<Value, GiveUp> {
        let mut made = Value::constant();
        for part in parts {
            let part = self.expr(part)?;
            made.join(&self.made(&[part], How::Within)?);
        }
        Ok(made)
    }

    fn name(&mut self, name: &str) -> Result<Value, GiveUp> {
        if let Some(value) = self.variable(name)? {
            return Ok(value);
        }
        match name {
            "trigger" | "steps" => Ok(Value::global(name)),
            _ if CONSTANTS.contains(&name) => Ok(Value::constant()),
            _ if FORBIDDEN_GLOBALS.contains(&name) => Err(GiveUp),
            _ => Ok(Value::unknown()),
        }
    }

    /// Whether a name means the global of this name.
    pub(super) fn is_global(&self, name: &str) -> bool {
        self.scope_of(name).is_none()
    }

    /// The segment of a member; any, where its name is computed, and what that is made of.
    pub(super) fn segment_of(&mut self, prop: &'a MemberProp) -> Result<(Segment, Value), GiveUp> {
        match prop {
            MemberProp::Ident(name) => Ok((Segment::named(&name.sym), Value::constant())),
            MemberProp::Computed(computed) => self.key(&computed.expr),
            MemberProp::PrivateName(_) => Err(GiveUp),
        }
    }

    pub(super) fn read_member(&mut self, member: &'a MemberExpr) -> Result<Value, GiveUp> {
        let object = self.expr(&member.obj)?;
        let (segment, _) = self.segment_of(&member.prop)?;
        self.member(&object, &segment)
    }

    /// A member that is read, not called.
    pub(super) fn member(&mut self, value: &Value, segment: &Segment) -> Result<Value, GiveUp> {
        if let Segment::Member(name) = segment {
            let name = name.as_str();
            let data = value.objects.is_empty() && !value.unknown;
            let changes = super::methods::MUTATORS.contains(&name);
            let calls = super::methods::CALLERS.contains(&name) && !data;
            if FORBIDDEN.contains(&name) || changes || calls {
                return Err(GiveUp);
            }
        }
        self.at(value, segment)
    }

    fn array(&mut self, literal: &'a ArrayLit) -> Result<Value, GiveUp> {
        let mut array = Object::array();
        for item in &literal.elems {
            let Some(item) = item else {
                array.push(Value::constant());
                continue;
            };
            let value = self.expr(&item.expr)?;
            if item.spread.is_some() {
                array.open = true;
                let items = self.each(&value)?;
                array.push(items);
            } else {
                array.push(value);
            }
        }
        self.make(literal.span, array)
    }

    fn object(&mut self, literal: &'a ObjectLit) -> Result<Value, GiveUp> {
        let mut object = Object::default();
        for prop in &literal.props {
            let prop = match prop {
                PropOrSpread::Spread(spread) => {
                    let source = self.expr(&spread.expr)?;
                    self.spread(&mut object, &source)?;
                    continue;
                }
                PropOrSpread::Prop(prop) => &**prop,
            };
            let ((segment, name), value) = match prop {
                Prop::Shorthand(name) => {
                    let told = (Segment::named(&name.sym), Value::constant());
                    (told, self.name(&name.sym)?)
                }
                Prop::KeyValue(pair) => (self.name_of(&pair.key)?, self.expr(&pair.value)?),
                Prop::Method(method) => {
                    let name = self.name_of(&method.key)?;
                    self.later(Callee::Function(&method.function))?;
                    (name, Value::unknown())
                }
                Prop::Getter(_) | Prop::Setter(_) | Prop::Assign(_) => return Err(GiveUp),
            };
            if matches!(&segment, Segment::Member(name) if name == "__proto__") {
                return Err(GiveUp);
            }
            if segment == Segment::Any {
                self.spend(object.weight())?;
            }
            object.set(&segment, &value, true);
            object.names.join(&name);
        }
        self.make(literal.span, object)
    }

    fn unary(&mut self, unary: &'a UnaryExpr) -> Result<Value, GiveUp> {
        if unary.op == UnaryOp::Delete {
            // What is left is no more than before.
            if let Expr::Member(member) = bare(&unary.arg) {
                self.expr(&member.obj)?;
                self.segment_of(&member.prop)?;
                return Ok(Value::constant());
            }
            return Err(GiveUp);
        }
        let value = self.expr(&unary.arg)?;
        match unary.op {
            UnaryOp::TypeOf | UnaryOp::Void => Ok(Value::constant()),
            _ => self.made(&[value], How::Cut),
        }
    }

    /// A chain of operators, however long: `a + b + c` leans to the left.
    fn binary(&mut self, binary: &'a BinExpr) -> Result<Value, GiveUp> {
        let mut waiting = vec![binary];
        let mut first = bare(&binary.left);
        while let Expr::Bin(inner) = first {
            waiting.push(inner);
            first = bare(&inner.left);
        }
        let mut left = self.expr(first)?;
        while let Some(binary) = waiting.pop() {
            left = match binary.op {
                BinaryOp::LogicalOr | BinaryOp::NullishCoalescing => {
                    left.or(&self.maybe(|flow| flow.expr(&binary.right))?)
                }
                // Where the left side is the result, it is empty.
                BinaryOp::LogicalAnd => self.maybe(|flow| flow.expr(&binary.right))?,
                operator => {
                    let how = if operator == BinaryOp::Add { How::Within } else { How::Cut };
                    let right = self.expr(&binary.right)?;
                    self.made(&[left, right], how)?
                }
            };
        }
        Ok(left)
    }

    /// `target += value` and the like, whose target is read twice.
    fn operate(&mut self, assign: &'a AssignExpr) -> Result<Value, GiveUp> {
        let old = self.held(&assign.left)?;
        let value = self.expr(&assign.right)?;
        let value = match assign.op {
            AssignOp::AndAssign | AssignOp::OrAssign | AssignOp::NullishAssign => old.or(&value),
            AssignOp::AddAssign => self.made(&[old, value], How::Within)?,
            _ => self.made(&[old, value], How::Cut)?,
        };
        self.assign(&assign.left, value.clone())?;
        Ok(value)
    }
}
