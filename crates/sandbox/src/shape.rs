//! What a code step's output is made of, as far as its source tells: see `flow`, which finds it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where the output of a code step comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// Made of these inputs and of constants alone; of constants where there are none.
    Reads(Vec<InputPath>),
    /// What a `fetch` brought: none of the inputs, yet possibly a new secret.
    Fetched,
    /// An object.
    Object {
        /// Members whose names the source says.
        members: BTreeMap<String, Shape>,
        /// Values of members whose names are computed.
        others: Vec<Shape>,
        /// Values whose own members are members here, unless `members` has the name.
        spread: Vec<Shape>,
        /// What computed names are made of.
        names: Vec<Shape>,
    },
    /// An array.
    Array {
        /// Its first items.
        items: Vec<Shape>,
        /// What any item behind those may be.
        others: Vec<Shape>,
    },
    /// One of these, or made of all of them.
    Any(Vec<Shape>),
    /// The source does not tell.
    #[default]
    Unknown,
}

/// One step down into JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// A member of an object.
    Member(String),
    /// An item of an array, from 0; of an object, the member that is called so.
    Index(u32),
    /// Any item of an array; where nothing follows, perhaps a piece of a text.
    Each,
    /// Any item of an array, any member of an object, or a piece of a text.
    Any,
}

/// How an input went into a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It is the value: nothing was changed.
    Whole,
    /// Its text stands in the value, plain or as base64: a placeholder in its place would be kept.
    Within,
    /// It was cut, changed or compared: a placeholder in its place would be damaged.
    Cut,
}

/// An input that a value is made of: see [`InputPath::place`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputPath {
    /// From the globals on: `trigger, …` or `steps, <id>, output, …`. It may be shorter, such as
    /// `steps` alone, and then means all that lies below.
    pub path: Vec<Segment>,
    /// What became of it.
    pub how: How,
}

/// All that a value is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    /// The inputs, sorted, each once.
    pub inputs: Vec<InputPath>,
    /// Whether an answer of `fetch` went into it.
    pub fetched: bool,
}

impl Segment {
    /// The segment of a name: an index where JavaScript takes the name for one.
    pub fn named(name: &str) -> Self {
        match name.parse::<u32>() {
            Ok(index) if index < u32::MAX && index.to_string() == name => Self::Index(index),
            _ => Self::Member(name.to_owned()),
        }
    }
}

impl InputPath {
    /// The place whose values, with all below it, hold whatever this is: only members, indices, and
    /// items of arrays lie on the way.
    ///
    /// An index on the way may still be a member of that name, where the value is an object.
    pub fn place(&self) -> &[Segment] {
        let computed = self.path.iter().position(|segment| *segment == Segment::Any);
        let mut place = self.path.get(..computed.unwrap_or(self.path.len())).unwrap_or_default();
        // Pieces of a text have no place of their own, and all items lie at their array.
        while let Some((Segment::Each | Segment::Index(_), before)) = place.split_last() {
            place = before;
        }
        place
    }
}

impl Shape {
    /// All inputs that the output is made of at a path; none where that cannot be told.
    ///
    /// At a path that no `return` gives a value, that is nothing.
    pub fn origins(&self, path: &[Segment]) -> Option<Origins> {
        let mut found = Found::default();
        self.collect(path, How::Whole, &mut found)?;
        let inputs = found.inputs.into_iter().map(|(path, how)| InputPath { path, how });
        Some(Origins { inputs: inputs.collect(), fetched: found.fetched })
    }

    /// Whether a value of it may be none of the inputs: an answer of `fetch` went into it, or that
    /// cannot be told.
    pub fn may_be_new(&self) -> bool {
        let any = |shapes: &[Self]| shapes.iter().any(Self::may_be_new);
        match self {
            Self::Unknown | Self::Fetched => true,
            Self::Reads(_) => false,
            Self::Object { members, others, spread, names } => {
                members.values().any(Self::may_be_new) || any(others) || any(spread) || any(names)
            }
            Self::Array { items, others } => any(items) || any(others),
            Self::Any(shapes) => any(shapes),
        }
    }

    /// Whether some `return` gives a value at a path, or may give one.
    pub fn gives(&self, path: &[Segment]) -> bool {
        let Some((first, below)) = path.split_first() else { return true };
        match self {
            // A constant, or a sealed credential, has nothing below it.
            Self::Reads(inputs) => !inputs.is_empty(),
            Self::Fetched | Self::Unknown => true,
            Self::Any(shapes) => shapes.iter().any(|shape| shape.gives(path)),
            Self::Object { members, others, spread, .. } => {
                let named = match first {
                    Segment::Each | Segment::Any => members.values().any(|m| m.gives(below)),
                    name => members.get(&name.name()).is_some_and(|member| member.gives(below)),
                };
                named
                    || others.iter().any(|other| other.gives(below))
                    || spread.iter().any(|other| other.gives(path))
            }
            Self::Array { items, others } => {
                items.iter().chain(others).any(|item| item.gives(below))
            }
        }
    }

    /// `at_most` is how well an input can be kept in what was asked for.
    fn collect(&self, path: &[Segment], at_most: How, found: &mut Found) -> Option<()> {
        match self {
            Self::Unknown => return None,
            Self::Fetched => found.fetched = true,
            Self::Reads(inputs) => inputs.iter().for_each(|input| found.add(input, path, at_most)),
            Self::Any(shapes) => collect_all(shapes, path, at_most, found)?,
            Self::Object { members, others, spread, names } => match path.split_first() {
                None => {
                    let beside = others.iter().chain(spread).chain(names);
                    collect_all(members.values().chain(beside), path, How::Cut, found)?;
                }
                Some((Segment::Each | Segment::Any, below)) => {
                    collect_all(members.values().chain(others), below, at_most, found)?;
                    collect_all(spread, path, at_most, found)?;
                }
                Some((segment, below)) => match members.get(&segment.name()) {
                    Some(member) => member.collect(below, at_most, found)?,
                    None => {
                        collect_all(others, below, at_most, found)?;
                        collect_all(spread, path, at_most, found)?;
                    }
                },
            },
            Self::Array { items, others } => match path.split_first() {
                None => collect_all(items.iter().chain(others), path, How::Cut, found)?,
                Some((Segment::Each | Segment::Any, below)) => {
                    collect_all(items.iter().chain(others), below, at_most, found)?;
                }
                Some((Segment::Index(index), below)) => match items.get(*index as usize) {
                    Some(item) => item.collect(below, at_most, found)?,
                    None => collect_all(others, below, at_most, found)?,
                },
                // An array in JSON has items only.
                Some((Segment::Member(_), _)) => {}
            },
        }
        Some(())
    }
}

fn collect_all<'s>(
    shapes: impl IntoIterator<Item = &'s Shape>,
    path: &[Segment],
    at_most: How,
    found: &mut Found,
) -> Option<()> {
    shapes.into_iter().try_for_each(|shape| shape.collect(path, at_most, found))
}

#[derive(Default)]
struct Found {
    inputs: BTreeSet<(Vec<Segment>, How)>,
    fetched: bool,
}

impl Found {
    fn add(&mut self, input: &InputPath, below: &[Segment], at_most: How) {
        let mut path = input.path.clone();
        let how = match input.how {
            How::Whole => {
                path.extend_from_slice(below);
                at_most
            }
            how if below.is_empty() => how.max(at_most),
            _ => How::Cut,
        };
        self.inputs.insert((path, how));
    }
}

impl Segment {
    /// The name that JavaScript knows it by.
    fn name(&self) -> String {
        match self {
            Self::Member(name) => name.clone(),
            Self::Index(index) => index.to_string(),
            Self::Each | Self::Any => "*".to_owned(),
        }
    }
}

impl fmt::Display for InputPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.iter().enumerate().try_for_each(|(at, segment)| match segment {
            Segment::Member(name) if at == 0 => f.write_str(name),
            Segment::Member(name) if is_name(name) => write!(f, ".{name}"),
            Segment::Member(name) => write!(f, "[{name:?}]"),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Each => f.write_str("[*]"),
            Segment::Any => f.write_str(".*"),
        })
    }
}

/// Whether a name can stand behind a dot.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
