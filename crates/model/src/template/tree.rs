//! A JSON document whose strings are templates.

use super::value::Budget;
use super::{Context, Dialect, Path, Template, TemplateError, TemplateReason};
use crate::json::{Fault, child};
use serde_json::{Map, Value};

/// JSON whose strings were compiled as templates; names of members are literal.
#[derive(Debug)]
pub struct TemplatedValue(Node);

/// What becomes of a member whose path is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    Fails,
    LeftOut,
}

#[derive(Debug)]
enum Node {
    Literal(Value),
    Template(Template),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl TemplatedValue {
    /// Compiles every string in `value`, which stands at `pointer`.
    ///
    /// # Errors
    /// Each string that is no template.
    pub fn compile(value: &Value, pointer: &str) -> Result<Self, Vec<Fault>> {
        Self::compile_in(Dialect::Workflow, value, pointer)
    }

    /// Like [`TemplatedValue::compile`], with the names of that dialect.
    ///
    /// # Errors
    /// As there.
    pub fn compile_in(dialect: Dialect, value: &Value, pointer: &str) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let node = Node::compile(dialect, value, pointer, &mut faults);
        if faults.is_empty() { Ok(Self(node)) } else { Err(faults) }
    }

    /// The document with all templates filled in. What they read and give is bounded together.
    ///
    /// # Errors
    /// The first expression that gives nothing, with its place in the document.
    pub fn render(&self, context: &Context) -> Result<Value, TemplateError> {
        self.0.render(context, &mut Budget::full(), "", Absent::Fails)
    }

    /// Like [`TemplatedValue::render`], except that a member of an object or an item of an array that
    /// is nothing but one hole is left out where that reads what is not there or comes to nothing:
    /// `{{ inputs.x }}`, `{{ {"name": inputs.x} }}`, `{{ 1 if inputs.x }}`.
    ///
    /// # Errors
    /// As there.
    pub fn render_given(&self, context: &Context) -> Result<Value, TemplateError> {
        self.0.render(context, &mut Budget::full(), "", Absent::LeftOut)
    }

    /// Every template with its pointer within the document.
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let mut found = Vec::new();
        self.0.collect("", &mut found);
        found
    }

    /// Every path that the document reads, as far as its text says.
    pub fn references(&self) -> Vec<&Path> {
        self.templates().into_iter().flat_map(|(_, template)| template.references()).collect()
    }
}

impl Node {
    fn compile(dialect: Dialect, value: &Value, pointer: &str, faults: &mut Vec<Fault>) -> Self {
        match value {
            Value::String(text) => match Template::compile_in(dialect, text) {
                Ok(template) if template.is_literal() => Self::Literal(value.clone()),
                Ok(template) => Self::Template(template),
                Err(fault) => {
                    faults.push(Fault::new(pointer, fault.code(), fault.to_string()));
                    Self::Literal(Value::Null)
                }
            },
            Value::Array(items) => {
                let each = items.iter().enumerate();
                let each = each.map(|(at, item)| {
                    Self::compile(dialect, item, &child(pointer, &at.to_string()), faults)
                });
                Self::folded_array(each.collect())
            }
            Value::Object(members) => {
                let each = members.iter().map(|(name, value)| {
                    (name.clone(), Self::compile(dialect, value, &child(pointer, name), faults))
                });
                Self::folded_object(each.collect())
            }
            literal => Self::Literal(literal.clone()),
        }
    }

    /// One literal where all items are, so that rendering is one copy.
    fn folded_array(items: Vec<Self>) -> Self {
        if !items.iter().all(|item| matches!(item, Self::Literal(_))) {
            return Self::Array(items);
        }
        let literals = items.into_iter().filter_map(Self::literal);
        Self::Literal(Value::Array(literals.collect()))
    }

    fn folded_object(members: Vec<(String, Self)>) -> Self {
        if !members.iter().all(|(_, value)| matches!(value, Self::Literal(_))) {
            return Self::Object(members);
        }
        let literals = members.into_iter().filter_map(|(name, node)| Some((name, node.literal()?)));
        Self::Literal(Value::Object(literals.collect()))
    }

    fn literal(self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn render(
        &self,
        context: &Context,
        budget: &mut Budget,
        pointer: &str,
        absent: Absent,
    ) -> Result<Value, TemplateError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Template(template) => {
                let located = |e| TemplateError { pointer: pointer.to_owned(), ..e };
                template.render_within(context, budget).map_err(located)
            }
            Self::Array(items) => {
                let mut array = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    let below = child(pointer, &at.to_string());
                    let value = item.render(context, budget, &below, absent);
                    array.extend(item.unless_absent(value, absent)?);
                }
                Ok(Value::Array(array))
            }
            Self::Object(members) => {
                let mut object = Map::with_capacity(members.len());
                for (name, node) in members {
                    let value = node.render(context, budget, &child(pointer, name), absent);
                    if let Some(value) = node.unless_absent(value, absent)? {
                        object.insert(name.clone(), value);
                    }
                }
                Ok(Value::Object(object))
            }
        }
    }

    /// `None` where this node is a lone hole that comes to nothing, and may be absent.
    fn unless_absent(
        &self,
        rendered: Result<Value, TemplateError>,
        absent: Absent,
    ) -> Result<Option<Value>, TemplateError> {
        let is_lone = matches!(self, Self::Template(template) if template.is_lone_hole());
        match rendered {
            Err(TemplateError {
                reason: TemplateReason::Undefined(_) | TemplateReason::NoValue,
                ..
            }) if is_lone && absent == Absent::LeftOut => Ok(None),
            rendered => rendered.map(Some),
        }
    }

    fn collect<'n>(&'n self, pointer: &str, found: &mut Vec<(String, &'n Template)>) {
        match self {
            Self::Literal(_) => {}
            Self::Template(template) => found.push((pointer.to_owned(), template)),
            Self::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    item.collect(&child(pointer, &at.to_string()), found);
                }
            }
            Self::Object(members) => {
                for (name, value) in members {
                    value.collect(&child(pointer, name), found);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn what_is_not_given_is_left_out() {
        let inputs = Arc::new(json!({"a": 1, "none": null, "off": false}));
        let context = Context::of_action(inputs, Arc::new(json!({})));
        let check = |written: Value, expected: Option<Value>| {
            let tree = TemplatedValue::compile_in(Dialect::Manifest, &written, "").expect("a tree");
            assert_eq!(tree.render_given(&context).ok(), expected, "{written}");
        };
        check(json!({"x": "{{ inputs.a }}"}), Some(json!({"x": 1})));
        check(json!({"x": "{{ inputs.b }}"}), Some(json!({})));
        check(json!(["{{ inputs.b }}", "{{ inputs.a }}"]), Some(json!([1])));
        check(json!({"x": {"y": "{{ inputs.b }}"}}), Some(json!({"x": {}})));
        check(json!({"x": "{{ {'y': inputs.a} }}"}), Some(json!({"x": {"y": 1}})));
        check(json!({"x": "{{ {'y': inputs.b} }}"}), Some(json!({})));
        check(json!({"x": "{{ inputs.b ~ '!' }}"}), Some(json!({})));
        check(json!({"x": "{{ 7 if inputs.off }}"}), Some(json!({})));
        check(json!({"x": "{{ inputs.none }}"}), Some(json!({"x": null})));
        check(json!({"x": "{{ inputs.b | default(2) }}"}), Some(json!({"x": 2})));
        check(json!({"x": "to {{ inputs.b }}"}), None);
        check(json!({"x": "{{ inputs.a + 'text' }}"}), None);
    }
}
