//! What is known of one value while the analysis runs: a set of origins that only grows.

use crate::shape::{How, Segment};
use std::collections::BTreeSet;
use std::rc::Rc;

/// The most inputs and objects that one value can be told to come from.
const MAX_ORIGINS: usize = 32;
/// The longest path of an input, in segments.
const MAX_PATH: usize = 32;

/// Names an object or array of the heap.
pub(super) type Id = usize;
/// A path of an input, from its global on.
pub(super) type Path = Rc<[Segment]>;

/// Everything that a value may be made of; nothing for constants. Of what is unknown, nothing else
/// is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Value {
    pub(super) inputs: BTreeSet<(Path, How)>,
    pub(super) objects: BTreeSet<Id>,
    pub(super) fetched: bool,
    pub(super) unknown: bool,
}

impl Value {
    /// A value that holds nothing from outside the source.
    pub(super) fn constant() -> Self {
        Self::default()
    }

    pub(super) fn unknown() -> Self {
        Self { unknown: true, ..Self::default() }
    }

    pub(super) fn fetched() -> Self {
        Self { fetched: true, ..Self::default() }
    }

    /// A global of the step's input.
    pub(super) fn global(name: &str) -> Self {
        let path: Path = [Segment::Member(name.to_owned())].into();
        Self { inputs: [(path, How::Whole)].into(), ..Self::default() }
    }

    pub(super) fn object(id: Id) -> Self {
        Self { objects: [id].into(), ..Self::default() }
    }

    /// This value without its objects.
    pub(super) fn data(&self) -> Self {
        Self { objects: BTreeSet::new(), ..self.clone() }
    }

    /// Whether it is exactly one or more objects of the heap, so that changing it changes no other.
    pub(super) fn is_objects(&self) -> bool {
        !self.objects.is_empty() && self.inputs.is_empty() && !self.fetched && !self.unknown
    }

    /// Adds what another value may be; says whether that changed anything.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        if self.unknown {
            return false;
        }
        if other.unknown {
            *self = Self::unknown();
            return true;
        }
        let before = (self.inputs.len(), self.objects.len(), self.fetched);
        self.inputs.extend(other.inputs.iter().cloned());
        self.objects.extend(other.objects.iter().copied());
        self.fetched |= other.fetched;
        if self.inputs.len() > MAX_ORIGINS || self.objects.len() > MAX_ORIGINS {
            *self = Self::unknown();
            return true;
        }
        before != (self.inputs.len(), self.objects.len(), self.fetched)
    }

    pub(super) fn or(mut self, other: &Self) -> Self {
        self.join(other);
        self
    }

    /// The same origins, kept no better than so. The objects must have been looked through before.
    pub(super) fn kept(&self, how: How) -> Self {
        let inputs =
            self.inputs.iter().map(|(path, before)| (path.clone(), how.max(*before))).collect();
        Self { inputs, ..self.data() }
    }

    /// What stands at a segment of the data in it; its objects are not looked at.
    pub(super) fn below(&self, segment: &Segment) -> Self {
        let mut found = Self { fetched: self.fetched, unknown: self.unknown, ..Self::default() };
        for (path, how) in &self.inputs {
            if *how != How::Whole {
                found.inputs.insert((path.clone(), How::Cut));
                continue;
            }
            if path.len() >= MAX_PATH {
                return Self::unknown();
            }
            let longer = path.iter().chain([segment]).cloned().collect();
            found.inputs.insert((longer, How::Whole));
        }
        found
    }

    /// What handling it costs.
    pub(super) fn weight(&self) -> usize {
        1 + self.inputs.len() + self.objects.len()
    }
}
