//! Holds values against compiled schemas.

use super::{Array, Node, NodeId, Object, Range, Rules, Text, canonical, number};
use crate::json::{Fault, child};
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many steps one check may take; a schema is applied to a value in one.
const MAX_STEPS: usize = 2_000_000;
/// How many schemas may be being applied within each other.
const MAX_NESTING: usize = 256;
/// Faults beyond this many are not listed.
const MAX_FAULTS: usize = 100;
/// The longest text that is held against a pattern, in bytes.
const MAX_MATCHED: usize = 65_536;
/// How many names or values a fault's text lists.
const MAX_LISTED: usize = 20;

pub(super) fn faults(
    nodes: &[Node],
    value: &Value,
    pointer: &str,
    is_hole: &dyn Fn(&Value) -> bool,
) -> Vec<Fault> {
    let mut check = Check { nodes, is_hole, steps: 0 };
    let mut faults = Vec::new();
    check.apply(0, &Place { value, pointer, nesting: 0 }, &mut faults);
    if check.is_over() {
        let detail = "is too large or too deep to be held against its schema";
        return vec![Fault::new(pointer, "too_complex", detail)];
    }
    faults.dedup();
    faults
}

struct Check<'s> {
    nodes: &'s [Node],
    is_hole: &'s dyn Fn(&Value) -> bool,
    steps: usize,
}

/// A value and where it stands.
struct Place<'v> {
    value: &'v Value,
    pointer: &'v str,
    nesting: usize,
}

impl Place<'_> {
    fn fault(&self, faults: &mut Vec<Fault>, code: &'static str, detail: impl Into<String>) {
        note(faults, Fault::new(self.pointer, code, detail));
    }
}

fn note(faults: &mut Vec<Fault>, fault: Fault) {
    if faults.len() < MAX_FAULTS {
        faults.push(fault);
    }
}

impl<'s> Check<'s> {
    fn is_over(&self) -> bool {
        self.steps > MAX_STEPS
    }

    fn apply(&mut self, id: NodeId, place: &Place<'_>, faults: &mut Vec<Fault>) {
        self.steps += if place.nesting > MAX_NESTING { MAX_STEPS + 1 } else { 1 };
        if self.is_over() || (self.is_hole)(place.value) {
            return;
        }
        match self.nodes.get(id) {
            Some(Node::Rules(rules)) => self.rules(rules, place, faults),
            Some(Node::Always(false)) => {
                place.fault(faults, "invalid_value", "nothing can stand here");
            }
            Some(Node::Always(true)) | None => {}
        }
    }

    fn rules(&mut self, rules: &'s Rules, place: &Place<'_>, faults: &mut Vec<Fault>) {
        if rules.nullable && place.value.is_null() {
            return;
        }
        if !rules.types.is_empty() && !rules.types.iter().any(|kind| kind.takes(place.value)) {
            let names: Vec<_> = rules.types.iter().map(|kind| kind.name()).collect();
            return place.fault(faults, "wrong_type", format!("must be {}", names.join(" or ")));
        }
        self.values(rules, place, faults);
        match place.value {
            Value::String(text) => self.text(&rules.text, text, place, faults),
            Value::Number(number) => check_range(&rules.number, number, place, faults),
            Value::Array(items) => self.array(&rules.array, items, place, faults),
            Value::Object(members) => self.object(&rules.object, members, place, faults),
            Value::Null | Value::Bool(_) => {}
        }
        let inner = Place { nesting: place.nesting + 1, ..*place };
        for id in rules.reference.iter().chain(&rules.all_of) {
            self.apply(*id, &inner, faults);
        }
        self.choices(rules, &inner, faults);
    }

    /// `enum` and `const`.
    fn values(&mut self, rules: &Rules, place: &Place<'_>, faults: &mut Vec<Fault>) {
        let constant = rules.constant.as_ref().map(std::slice::from_ref);
        for allowed in [rules.one_of_values.as_deref(), constant].into_iter().flatten() {
            if self.holds_hole(place.value) {
                return;
            }
            let found = canonical(place.value);
            self.steps += found.len() / 64;
            if !allowed.contains(&found) {
                let detail = format!("must be {}", listed(allowed));
                place.fault(faults, "invalid_value", detail);
            }
        }
    }

    fn text(&mut self, rules: &Text, text: &str, place: &Place<'_>, faults: &mut Vec<Fault>) {
        if rules.min.is_some() || rules.max.is_some() {
            let length = text.chars().count() as u64;
            check_count(length, rules.min, rules.max, "characters", place, faults);
        }
        if rules.format.is_some_and(|format| !format.takes(text)) {
            let name = rules.format.map_or("", |format| format.name());
            place.fault(faults, "invalid_value", format!("must be {name}"));
        }
        let Some(pattern) = &rules.pattern else { return };
        self.steps += text.len();
        if text.len() > MAX_MATCHED {
            let detail = format!("has a pattern and so takes at most {MAX_MATCHED} bytes");
            place.fault(faults, "too_long", detail);
        } else if !self.is_over() && !pattern.is_match(text) {
            place.fault(faults, "invalid_value", format!("must match the pattern `{pattern}`"));
        }
    }

    fn array(
        &mut self,
        rules: &'s Array,
        items: &[Value],
        place: &Place<'_>,
        faults: &mut Vec<Fault>,
    ) {
        check_count(items.len() as u64, rules.min, rules.max, "items", place, faults);
        if rules.unique {
            self.unique(items, place, faults);
        }
        for (at, item) in items.iter().enumerate() {
            let Some(id) = rules.first.get(at).copied().or(rules.rest) else { return };
            self.inside(id, item, &at.to_string(), place, faults);
            if self.is_over() {
                return;
            }
        }
    }

    fn unique(&mut self, items: &[Value], place: &Place<'_>, faults: &mut Vec<Fault>) {
        let mut seen = BTreeSet::new();
        for item in items {
            self.steps += 1;
            if self.is_over() || self.holds_hole(item) {
                continue;
            }
            let item = canonical(item);
            self.steps += item.len() / 64;
            if !seen.insert(item) {
                return place.fault(faults, "invalid_value", "must not hold the same item twice");
            }
        }
    }

    fn object(
        &mut self,
        rules: &'s Object,
        members: &Map<String, Value>,
        place: &Place<'_>,
        faults: &mut Vec<Fault>,
    ) {
        check_count(members.len() as u64, rules.min, rules.max, "members", place, faults);
        for name in rules.required.iter().filter(|name| !members.contains_key(name.as_str())) {
            note(faults, Fault::new(child(place.pointer, name), "missing", "is needed"));
        }
        for (name, value) in members {
            match (rules.properties.get(name), rules.others) {
                (Some(id), _) => self.inside(*id, value, name, place, faults),
                (None, Some(id)) if matches!(self.nodes.get(id), Some(Node::Always(false))) => {
                    let known = rules.properties.keys().take(MAX_LISTED);
                    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
                    let detail = format!("no such member; known here: {known}");
                    note(faults, Fault::new(child(place.pointer, name), "unknown_member", detail));
                }
                (None, Some(id)) => self.inside(id, value, name, place, faults),
                (None, None) => {}
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn inside(
        &mut self,
        id: NodeId,
        value: &Value,
        name: &str,
        place: &Place<'_>,
        faults: &mut Vec<Fault>,
    ) {
        let pointer = child(place.pointer, name);
        let inner = Place { value, pointer: &pointer, nesting: place.nesting + 1 };
        self.apply(id, &inner, faults);
    }

    /// `anyOf`, `oneOf` and `not`.
    fn choices(&mut self, rules: &Rules, place: &Place<'_>, faults: &mut Vec<Fault>) {
        let any = self.fitting(&rules.any_of, place, faults);
        let one = self.fitting(&rules.one_of, place, faults);
        if any.is_none_or(|fitting| fitting > 0)
            && one.is_some_and(|fitting| fitting > 1)
            && !self.holds_hole(place.value)
        {
            let detail = "fits several of the forms of which it must have one";
            place.fault(faults, "invalid_value", detail);
        }
        let Some(not) = rules.not else { return };
        let mut refusals = Vec::new();
        self.apply(not, place, &mut refusals);
        if refusals.is_empty() && !self.is_over() && !self.holds_hole(place.value) {
            place.fault(faults, "invalid_value", "has a form that is excluded here");
        }
    }

    /// How many of the schemas fit; where none does, why.
    fn fitting(
        &mut self,
        ids: &[NodeId],
        place: &Place<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<usize> {
        let mut fitting = 0;
        let mut near = Vec::new();
        for id in ids {
            let mut refusals = Vec::new();
            self.apply(*id, place, &mut refusals);
            let other_type =
                |fault: &Fault| fault.code == "wrong_type" && fault.pointer == place.pointer;
            if refusals.is_empty() {
                fitting += 1;
            } else if !refusals.iter().any(other_type) {
                near.push(refusals);
            }
        }
        if ids.is_empty() {
            return None;
        }
        match (fitting, near.as_mut_slice()) {
            // Only one form is of this type, as with what may be null: its faults say more.
            (0, [only]) => only.drain(..).for_each(|fault| note(faults, fault)),
            (0, _) => place.fault(faults, "invalid_value", "has none of the forms allowed here"),
            _ => {}
        }
        Some(fitting)
    }

    /// Whether a part of the value is not known yet.
    fn holds_hole(&mut self, value: &Value) -> bool {
        self.steps += 1;
        let inside = match value {
            Value::Array(items) => items.iter().any(|item| self.holds_hole(item)),
            Value::Object(members) => members.values().any(|member| self.holds_hole(member)),
            _ => false,
        };
        inside || (self.is_hole)(value)
    }
}

fn check_range(rules: &Range, number: &Number, place: &Place<'_>, faults: &mut Vec<Fault>) {
    let mut hold = |limit: &Option<Number>, broken: &[Ordering], rule: &str| {
        let Some(limit) = limit else { return };
        if broken.contains(&number::compare(number, limit)) {
            place.fault(faults, "invalid_value", format!("must be {rule} {limit}"));
        }
    };
    hold(&rules.min, &[Ordering::Less], "at least");
    hold(&rules.max, &[Ordering::Greater], "at most");
    hold(&rules.above, &[Ordering::Less, Ordering::Equal], "above");
    hold(&rules.below, &[Ordering::Greater, Ordering::Equal], "below");
    if let Some(of) = &rules.multiple_of
        && !number::is_multiple(number, of)
    {
        place.fault(faults, "invalid_value", format!("must be a multiple of {of}"));
    }
}

fn check_count(
    count: u64,
    min: Option<u64>,
    max: Option<u64>,
    what: &str,
    place: &Place<'_>,
    faults: &mut Vec<Fault>,
) {
    if let Some(min) = min.filter(|min| count < *min) {
        place.fault(faults, "invalid_value", format!("must have at least {min} {what}"));
    }
    if let Some(max) = max.filter(|max| count > *max) {
        place.fault(faults, "invalid_value", format!("must have at most {max} {what}"));
    }
}

/// The schema's own values, for people.
fn listed(values: &[String]) -> String {
    let shown = values.iter().take(MAX_LISTED).map(|value| value.get(..80).unwrap_or(value));
    let shown: Vec<_> = shown.collect();
    match shown.as_slice() {
        [only] => (*only).to_owned(),
        shown if values.len() > MAX_LISTED => format!("one of {}, ...", shown.join(", ")),
        shown => format!("one of: {}", shown.join(", ")),
    }
}
