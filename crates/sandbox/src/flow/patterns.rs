//! Where values go: variables, members, and patterns of both.

use super::heap::Object;
use super::value::Value;
use super::{Flow, GiveUp};
use crate::compile::bare;
use crate::shape::{How, Segment};
use swc_common::Spanned;
use swc_ecma_ast::{
    ArrayPat, AssignTarget, AssignTargetPat, Expr, MemberExpr, ObjectPat, ObjectPatProp, Pat,
    PropName, SimpleAssignTarget,
};

/// What a pattern's names are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// Variables that begin here.
    New,
    /// Variables that are there already.
    Old,
}

impl<'a> Flow<'a> {
    /// Gives every name and member of a pattern its part of a value.
    pub(super) fn bind(
        &mut self,
        pattern: &'a Pat,
        value: Value,
        target: Target,
    ) -> Result<(), GiveUp> {
        self.nest(|flow| match pattern {
            Pat::Ident(name) => match target {
                Target::New => {
                    flow.declare(&name.id.sym, Some(value));
                    Ok(())
                }
                Target::Old => flow.set_variable(&name.id.sym, value),
            },
            Pat::Array(array) => flow.bind_array(array, &value, target),
            Pat::Object(object) => flow.bind_object(object, &value, target),
            Pat::Assign(assign) => {
                let other = flow.maybe(|flow| flow.expr(&assign.right))?;
                flow.bind(&assign.left, value.or(&other), target)
            }
            Pat::Expr(expr) => flow.assign_expr(expr, value),
            Pat::Rest(_) | Pat::Invalid(_) => Err(GiveUp),
        })
    }

    fn bind_array(
        &mut self,
        array: &'a ArrayPat,
        value: &Value,
        target: Target,
    ) -> Result<(), GiveUp> {
        for (at, item) in array.elems.iter().enumerate() {
            match item {
                None => {}
                Some(Pat::Rest(rest)) => {
                    let others = self.each(value)?;
                    let others = self.make(rest.span(), Object::array_of(others))?;
                    self.bind(&rest.arg, others, target)?;
                }
                Some(pattern) => {
                    let index = u32::try_from(at).map_err(|_| GiveUp)?;
                    let item = self.at(value, &Segment::Index(index))?;
                    self.bind(pattern, item, target)?;
                }
            }
        }
        Ok(())
    }

    fn bind_object(
        &mut self,
        object: &'a ObjectPat,
        value: &Value,
        target: Target,
    ) -> Result<(), GiveUp> {
        for prop in &object.props {
            match prop {
                ObjectPatProp::KeyValue(pair) => {
                    let (segment, _) = self.name_of(&pair.key)?;
                    let member = self.member(value, &segment)?;
                    self.bind(&pair.value, member, target)?;
                }
                ObjectPatProp::Assign(name) => {
                    let mut member = self.member(value, &Segment::named(&name.key.id.sym))?;
                    if let Some(default) = &name.value {
                        member.join(&self.maybe(|flow| flow.expr(default))?);
                    }
                    match target {
                        Target::New => self.declare(&name.key.id.sym, Some(member)),
                        Target::Old => self.set_variable(&name.key.id.sym, member)?,
                    }
                }
                // It lacks the members named before; to hold them too is harmless.
                ObjectPatProp::Rest(rest) => {
                    let mut others = Object::default();
                    self.spread(&mut others, value)?;
                    let others = self.make(rest.span(), others)?;
                    self.bind(&rest.arg, others, target)?;
                }
            }
        }
        Ok(())
    }

    /// Gives a function's parameter its argument; `arguments` begin with it, none are unknown.
    pub(super) fn parameter(
        &mut self,
        param: &'a Pat,
        arguments: Option<&[Value]>,
    ) -> Result<(), GiveUp> {
        if let Pat::Rest(rest) = param {
            let others = match arguments {
                None => Value::unknown(),
                Some(all) => all.iter().fold(Value::constant(), Value::or),
            };
            let others = self.make(rest.span(), Object::array_of(others))?;
            return self.bind(&rest.arg, others, Target::New);
        }
        let value = match arguments {
            None => Value::unknown(),
            Some(all) => all.first().cloned().unwrap_or_default(),
        };
        self.bind(param, value, Target::New)
    }

    /// The segment of a property's name; any, where it is computed, and what that is made of.
    pub(super) fn name_of(&mut self, name: &'a PropName) -> Result<(Segment, Value), GiveUp> {
        let told = match name {
            PropName::Ident(name) => Segment::named(&name.sym),
            PropName::Str(text) => text.value.as_str().map(Segment::named).ok_or(GiveUp)?,
            PropName::Num(number) => numbered(number.value),
            PropName::Computed(computed) => return self.key(&computed.expr),
            PropName::BigInt(_) => return Err(GiveUp),
        };
        Ok((told, Value::constant()))
    }

    /// The same of `[key]`.
    pub(super) fn key(&mut self, key: &'a Expr) -> Result<(Segment, Value), GiveUp> {
        if let Some(text) = crate::compile::literal(key) {
            return Ok((Segment::named(&text), Value::constant()));
        }
        if let Expr::Lit(swc_ecma_ast::Lit::Num(number)) = bare(key) {
            return Ok((numbered(number.value), Value::constant()));
        }
        let value = self.expr(key)?;
        Ok((Segment::Any, self.made(&[value], How::Cut)?))
    }

    /// `target = value`
    pub(super) fn assign(&mut self, target: &'a AssignTarget, value: Value) -> Result<(), GiveUp> {
        let inner = match target {
            AssignTarget::Pat(AssignTargetPat::Array(array)) => {
                return self.bind_array(array, &value, Target::Old);
            }
            AssignTarget::Pat(AssignTargetPat::Object(object)) => {
                return self.bind_object(object, &value, Target::Old);
            }
            AssignTarget::Pat(AssignTargetPat::Invalid(_)) => return Err(GiveUp),
            AssignTarget::Simple(simple) => simple,
        };
        match inner {
            SimpleAssignTarget::Ident(name) => self.set_variable(&name.id.sym, value),
            SimpleAssignTarget::Member(member) => self.assign_member(member, &value),
            _ => self.assign_expr(inner_of(inner).ok_or(GiveUp)?, value),
        }
    }

    /// What stands at a target now, for `+=` and the like.
    pub(super) fn held(&mut self, target: &'a AssignTarget) -> Result<Value, GiveUp> {
        match target {
            AssignTarget::Simple(SimpleAssignTarget::Ident(name)) => {
                self.variable(&name.id.sym)?.ok_or(GiveUp)
            }
            AssignTarget::Simple(SimpleAssignTarget::Member(member)) => self.read_member(member),
            AssignTarget::Simple(simple) => self.expr(inner_of(simple).ok_or(GiveUp)?),
            AssignTarget::Pat(_) => Err(GiveUp),
        }
    }

    pub(super) fn assign_expr(&mut self, target: &'a Expr, value: Value) -> Result<(), GiveUp> {
        match bare(target) {
            Expr::Ident(name) => self.set_variable(&name.sym, value),
            Expr::Member(member) => self.assign_member(member, &value),
            _ => Err(GiveUp),
        }
    }

    fn assign_member(&mut self, member: &'a MemberExpr, value: &Value) -> Result<(), GiveUp> {
        let object = self.expr(&member.obj)?;
        let (segment, name) = self.segment_of(&member.prop)?;
        if matches!(&segment, Segment::Member(name) if name == "__proto__") {
            return Err(GiveUp);
        }
        let whole = segment == Segment::Any;
        self.change(&object, whole, |object, replace| {
            object.set(&segment, value, replace);
            object.names.join(&name);
        })
    }
}

fn inner_of(target: &SimpleAssignTarget) -> Option<&Expr> {
    match target {
        SimpleAssignTarget::Paren(inner) => Some(&inner.expr),
        SimpleAssignTarget::TsAs(inner) => Some(&inner.expr),
        SimpleAssignTarget::TsSatisfies(inner) => Some(&inner.expr),
        SimpleAssignTarget::TsNonNull(inner) => Some(&inner.expr),
        SimpleAssignTarget::TsTypeAssertion(inner) => Some(&inner.expr),
        _ => None,
    }
}

/// The segment of a number; a fraction or the like names no member that JSON has.
fn numbered(number: f64) -> Segment {
    match number {
        _ if number >= 0.0 && number < f64::from(u32::MAX) && number.fract() == 0.0 => {
            Segment::Index(number as u32)
        }
        _ => Segment::Any,
    }
}
