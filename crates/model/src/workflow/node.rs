//! Reading a document member by member while every fault is noted and the reading goes on.

use super::available::Feature;
use crate::json::{Fault, child};
use crate::template::{Path, Template, TemplatedValue};
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

/// Faults beyond this many are not listed, so that an answer stays in proportion to its question.
const MAX_FAULTS: usize = 1000;

/// What a reading gathers beside the result.
pub(super) struct Notes<'a> {
    faults: RefCell<Vec<Fault>>,
    reads: RefCell<Vec<Read>>,
    /// The step that is being read.
    pub(super) step: Cell<usize>,
    available: &'a [Feature],
}

/// One path that a step's template reads.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// The step's position.
    pub(super) step: usize,
    /// Where the template stands.
    pub(super) pointer: String,
    /// What it reads.
    pub(super) path: Path,
}

impl<'a> Notes<'a> {
    pub(super) fn new(available: &'a [Feature]) -> Self {
        let (faults, reads) = (RefCell::default(), RefCell::default());
        Self { faults, reads, step: Cell::new(0), available }
    }

    pub(super) fn fault(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(fault);
        }
    }

    pub(super) fn read(&self, pointer: &str, path: &Path) {
        let read = Read { step: self.step.get(), pointer: pointer.to_owned(), path: path.clone() };
        self.reads.borrow_mut().push(read);
    }

    pub(super) fn reads(&self) -> Vec<Read> {
        self.reads.borrow().clone()
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults.into_inner()
    }
}

/// A value of the document and where it stands.
#[derive(Clone)]
pub(super) struct Node<'d> {
    pub(super) value: &'d Value,
    pub(super) pointer: String,
    pub(super) notes: &'d Notes<'d>,
}

impl<'d> Node<'d> {
    pub(super) fn root(value: &'d Value, notes: &'d Notes<'d>) -> Self {
        Self { value, pointer: String::new(), notes }
    }

    fn inner(&self, value: &'d Value, name: &str) -> Self {
        Self { value, pointer: child(&self.pointer, name), notes: self.notes }
    }

    /// Notes a fault here.
    pub(super) fn fault<T>(&self, code: &'static str, detail: impl Into<String>) -> Option<T> {
        self.notes.fault(Fault::new(self.pointer.clone(), code, detail));
        None
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        if is_reference(self.value) {
            return self.fault("credential_in_data", REFERENCE_PLACE);
        }
        self.fault("wrong_type", format!("must be {wanted}"))
    }

    /// Notes that this server does not run what stands here, unless it does.
    pub(super) fn require(&self, feature: Feature) {
        if !self.notes.available.contains(&feature) {
            self.notes.fault(Fault::new(self.pointer.clone(), "not_available", feature.refusal()));
        }
    }

    /// An object of these members; every other one is a fault.
    pub(super) fn object(&self, known: &[&str]) -> Option<Object<'d>> {
        let object = self.open_object()?;
        for name in object.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let pointer = child(&self.pointer, name);
            let detail = format!("no such member; known here: {}", known.join(", "));
            self.notes.fault(Fault::new(pointer, "unknown_member", detail));
        }
        Some(object)
    }

    /// An object of any members.
    pub(super) fn open_object(&self) -> Option<Object<'d>> {
        match self.value {
            Value::Object(members) => Some(Object { node: self.clone(), members }),
            _ => self.wrong_type("an object"),
        }
    }

    pub(super) fn items(&self) -> Option<Vec<Node<'d>>> {
        match self.value {
            Value::Array(items) => {
                let each = items.iter().enumerate();
                Some(each.map(|(at, item)| self.inner(item, &at.to_string())).collect())
            }
            _ => self.wrong_type("an array"),
        }
    }

    pub(super) fn text(&self) -> Option<&'d str> {
        self.value.as_str().or_else(|| self.wrong_type("a string"))
    }

    /// A string of 1 to `max` characters, none of them a control character.
    pub(super) fn line(&self, max: usize) -> Option<String> {
        let text = self.text()?;
        if text.trim().is_empty() || text.chars().count() > max || text.contains(char::is_control) {
            return self
                .fault("invalid_value", format!("must be one line of 1 to {max} characters"));
        }
        Some(text.to_owned())
    }

    /// A string that names one of the words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault("invalid_value", format!("must be one of: {}", words.join(", ")))
        })
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong_type("true or false"))
    }

    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let (least, most) = (range.start(), range.end());
        let wanted = format!("a whole number from {least} to {most}");
        if !self.value.is_number() {
            return self.wrong_type(&wanted);
        }
        let number = self.value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        number.or_else(|| self.fault("invalid_value", format!("must be {wanted}")))
    }

    /// A time in seconds, fractions allowed.
    pub(super) fn seconds(&self, range: RangeInclusive<f64>) -> Option<std::time::Duration> {
        let wanted = format!("a number of seconds from {} to {}", range.start(), range.end());
        let Some(seconds) = self.value.as_f64() else { return self.wrong_type(&wanted) };
        if !range.contains(&seconds) {
            return self.fault("invalid_value", format!("must be {wanted}"));
        }
        Some(std::time::Duration::from_secs_f64(seconds))
    }

    /// A string that is a template; what it reads is noted.
    pub(super) fn template(&self) -> Option<Template> {
        match Template::compile(self.text()?) {
            Ok(template) => {
                template.references().for_each(|path| self.notes.read(&self.pointer, path));
                Some(template)
            }
            Err(fault) => self.fault(fault.code(), fault.to_string()),
        }
    }

    /// A string that is one `{{ }}` and nothing else but space around it.
    pub(super) fn lone_template(&self) -> Option<Template> {
        let text = self.text()?.trim();
        match Template::compile(text) {
            Ok(template) if template.is_lone_hole() => {
                template.references().for_each(|path| self.notes.read(&self.pointer, path));
                Some(template)
            }
            Ok(_) => self.fault("template_needed", "must be one {{ expression }} and nothing else"),
            Err(fault) => self.fault(fault.code(), fault.to_string()),
        }
    }

    /// JSON whose strings are templates, and which names no credential.
    pub(super) fn data(&self) -> Option<TemplatedValue> {
        self.refuse_references();
        match TemplatedValue::compile(self.value, &self.pointer) {
            Ok(value) => {
                for (below, template) in value.templates() {
                    let pointer = format!("{}{below}", self.pointer);
                    template.references().for_each(|path| self.notes.read(&pointer, path));
                }
                Some(value)
            }
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.notes.fault(fault));
                None
            }
        }
    }

    fn refuse_references(&self) {
        if is_reference(self.value) {
            self.notes.fault(Fault::new(&*self.pointer, "credential_in_data", REFERENCE_PLACE));
            return;
        }
        match self.value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.inner(item, &at.to_string()).refuse_references();
                }
            }
            Value::Object(members) => {
                members
                    .iter()
                    .for_each(|(name, value)| self.inner(value, name).refuse_references());
            }
            _ => {}
        }
    }
}

const REFERENCE_PLACE: &str =
    "a credential can be named only in a step's `credential`; elsewhere the value would be data";

pub(super) fn is_reference(value: &Value) -> bool {
    let names = ["$credential", "$external"];
    value.as_object().is_some_and(|object| names.iter().any(|name| object.contains_key(*name)))
}

/// An object of the document.
pub(super) struct Object<'d> {
    pub(super) node: Node<'d>,
    members: &'d Map<String, Value>,
}

impl<'d> Object<'d> {
    /// A member, if it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Node<'d>> {
        let value = self.members.get(name).filter(|value| !value.is_null())?;
        Some(self.node.inner(value, name))
    }

    /// Whether the member is there, null or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member, null or not.
    pub(super) fn member(&self, name: &str) -> Option<Node<'d>> {
        self.members.get(name).map(|value| self.node.inner(value, name))
    }

    /// A member that must be there.
    pub(super) fn required(&self, name: &str) -> Option<Node<'d>> {
        self.get(name).or_else(|| {
            let pointer = child(&self.node.pointer, name);
            self.node.notes.fault(Fault::new(pointer, "missing", "is needed"));
            None
        })
    }

    /// A member read by `read`, or the default where it is absent.
    pub(super) fn or_default<T: Default>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'d>) -> Option<T>,
    ) -> Option<T> {
        self.get(name).map_or_else(|| Some(T::default()), |node| read(&node))
    }

    /// A member read by `read`, if it is there; the outer `None` stands for a fault.
    pub(super) fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Node<'d>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.get(name).map_or(Some(None), |node| read(&node).map(Some))
    }

    /// All members.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'d str, Node<'d>)> {
        let named =
            |(name, value): (&'d String, &'d Value)| (name.as_str(), self.node.inner(value, name));
        self.members.iter().map(named)
    }
}
