//! Static paths into a run's data: what a template reads, as far as its text says so.

use serde_json::Value;
use std::fmt;

/// The name that a path starts at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// The event that started the run.
    Trigger,
    /// The output of the step of this id: `steps.<id>.output`.
    Step(String),
    /// The run: its id, workflow and attempt.
    Run,
    /// The item that a `for_each` step is at.
    Item,
    /// In an app's manifest: the inputs of the action.
    Inputs,
    /// In an app's manifest: the fields of the credential, secret ones as sealed values.
    Credential,
    /// In an app's manifest: what the service answered.
    Answer,
}

/// One step down from an object or array.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A member of an object.
    Member(String),
    /// An item of an array, from 0.
    Index(usize),
}

/// A path such as `trigger.body.token` or `steps.lookup.output.rows[0].x`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Where it starts.
    pub root: Root,
    /// The way down; for a step, from its output.
    pub segments: Vec<Segment>,
}

impl Path {
    /// What stands at this path below `start`, the value of the root.
    pub fn lookup<'v>(&self, start: &'v Value) -> Option<&'v Value> {
        self.segments.iter().try_fold(start, |value, segment| match segment {
            Segment::Member(name) => value.as_object()?.get(name),
            Segment::Index(index) => value.as_array()?.get(*index),
        })
    }

    /// Like [`Path::lookup`], to change what stands there.
    pub fn lookup_mut<'v>(&self, start: &'v mut Value) -> Option<&'v mut Value> {
        self.segments.iter().try_fold(start, |value, segment| match segment {
            Segment::Member(name) => value.as_object_mut()?.get_mut(name),
            Segment::Index(index) => value.as_array_mut()?.get_mut(*index),
        })
    }

    /// Whether reading one of the two paths reads something of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.root == other.root && self.segments.iter().zip(&other.segments).all(|(a, b)| a == b)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Trigger => f.write_str("trigger")?,
            Root::Step(id) => write!(f, "steps.{id}.output")?,
            Root::Run => f.write_str("run")?,
            Root::Item => f.write_str("item")?,
            Root::Inputs => f.write_str("inputs")?,
            Root::Credential => f.write_str("credential")?,
            Root::Answer => f.write_str("answer")?,
        }
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Member(name) if is_name(name) => write!(f, ".{name}"),
            Segment::Member(name) => write!(f, "[{name:?}]"),
            Segment::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// Whether a name can stand behind a dot.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
