//! The definition of a workflow: one document, checked in full when it is saved.
//!
//! [`Definition::parse`] lists every fault of a document; what it accepts is what a run can rely
//! on. The document itself is kept as its author wrote it.

mod agent;
mod app;
mod available;
mod code;
mod credential;
pub(crate) mod http;
mod key;
mod node;
mod rename;
mod schema;
mod step;
mod step_id;
mod trigger;
pub mod yaml;

pub use agent::{AgentStep, Model, Provider, Tool};
pub use app::AppStep;
pub use available::Feature;
pub use code::{CodeStep, Language};
pub use credential::{CredentialInput, External, ExternalField};
pub use http::{Body, HttpStep, Method, RenderedBody, RenderedRequest, Request};
pub use key::{CredentialKey, InvalidKey};
pub use rename::rename_keys;
pub use schema::json_schema;
pub use step::{Backoff, Condition, OnError, OnInterrupt, Retry, Step, StepKind};
pub use step_id::{InvalidStepId, StepId};
pub use trigger::{Respond, Trigger};

use crate::json::Fault;
use crate::template::{Path, Root};
use node::{Node, Notes, Read};
use serde_json::Value;
use std::collections::BTreeSet;

/// How many steps a workflow may have.
pub const MAX_STEPS: usize = 200;
/// How large a definition may be, in bytes as it is sent.
pub const MAX_BYTES: usize = 1024 * 1024;

/// A checked definition.
#[derive(Debug)]
pub struct Definition {
    /// The name that people read.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What starts it.
    pub trigger: Trigger,
    /// What holds for each of its runs.
    pub settings: Settings,
    /// The steps, in order.
    pub steps: Vec<Step>,
    reads: Vec<Read>,
    document: Value,
}

/// What holds for each run of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// For how many days run data is kept, 1 to 3,650; `None` for the workspace's rule.
    pub retention_days: Option<u32>,
    /// Whether runs leave nothing readable behind.
    pub no_store: bool,
}

impl Definition {
    /// Checks a document against what this server runs.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn parse(document: &Value) -> Result<Self, Vec<Fault>> {
        Self::parse_for(document, Feature::AVAILABLE)
    }

    /// Checks a document against what a server with these features runs.
    ///
    /// # Errors
    /// Every fault of the document.
    pub fn parse_for(document: &Value, available: &[Feature]) -> Result<Self, Vec<Fault>> {
        let notes = Notes::new(available);
        let read = Self::read(&Node::root(document, &notes));
        let faults = notes.into_faults();
        match read {
            Some(definition) if faults.is_empty() => Ok(definition),
            _ => Err(faults),
        }
    }

    fn read(root: &Node<'_>) -> Option<Self> {
        let object = root.object(&["name", "description", "trigger", "settings", "steps"])?;
        let name = object.required("name").and_then(|name| name.line(200));
        let description = object.optional("description", |text| text.text().map(str::to_owned));
        let trigger = object.or_default("trigger", Trigger::read);
        let settings = object.or_default("settings", Settings::read);
        let steps = object.required("steps").and_then(|steps| read_steps(&steps));
        Some(Self {
            name: name?,
            description: description?,
            trigger: trigger?,
            settings: settings?,
            steps: steps?,
            reads: root.notes.reads(),
            document: root.value.clone(),
        })
    }

    /// The document as its author wrote it.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The step of an id and its position.
    pub fn step(&self, id: &str) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, step)| step.id.as_str() == id)
    }

    /// The steps whose templates read at `path`, below it, or something that holds it. What code
    /// reads is not known.
    pub fn steps_reading(&self, path: &Path) -> Vec<&StepId> {
        let mut found: Vec<usize> = self
            .reads
            .iter()
            .filter(|read| read.path.overlaps(path))
            .map(|read| read.step)
            .collect();
        found.dedup();
        found.into_iter().filter_map(|at| self.steps.get(at)).map(|step| &step.id).collect()
    }

    /// Whether a step's templates read any of these places, each written as a path is, something below
    /// one, or something that holds one.
    pub fn reads_below(&self, step: &Step, places: &BTreeSet<String>) -> bool {
        let position = self.steps.iter().position(|other| other.id == step.id);
        let below = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.reads.iter().filter(|read| Some(read.step) == position).any(|read| {
            let path = read.path.to_string();
            places.iter().any(|place| below(place, &path) || below(&path, place))
        })
    }

    /// The keys that the definition names; those in the sources of code steps come beside these.
    pub fn declared_keys(&self) -> BTreeSet<&CredentialKey> {
        self.steps.iter().flat_map(Step::declared_keys).collect()
    }
}

/// As the document was given.
impl serde::Serialize for Definition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl Settings {
    fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["retention_days", "no_store"])?;
        let retention_days = object.optional("retention_days", |days| days.integer(1..=3650));
        let no_store = object.or_default("no_store", |flag| flag.flag());
        Some(Self { retention_days: retention_days?, no_store: no_store? })
    }
}

fn read_steps(node: &Node<'_>) -> Option<Vec<Step>> {
    let items = node.items()?;
    if items.len() > MAX_STEPS {
        return node.fault("too_many", format!("a workflow has {MAX_STEPS} steps at most"));
    }
    let mut steps = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        node.notes.step.set(at);
        steps.push(Step::read(item));
    }
    check_ids(&items);
    check_reads(&items, &node.notes.reads(), node.notes);
    steps.into_iter().collect()
}

fn id_of<'d>(step: &Node<'d>) -> Option<&'d str> {
    step.value.get("id").and_then(Value::as_str)
}

fn check_ids(steps: &[Node<'_>]) {
    let mut seen = BTreeSet::new();
    for step in steps {
        if id_of(step).is_some_and(|id| !seen.insert(id)) {
            let pointer = format!("{}/id", step.pointer);
            step.notes.fault(Fault::new(
                pointer,
                "duplicate_id",
                "another step has this id already",
            ));
        }
    }
}

/// Templates read earlier steps only, and `item` only where there is one.
fn check_reads(steps: &[Node<'_>], reads: &[Read], notes: &Notes<'_>) {
    for read in reads {
        let fault = match &read.path.root {
            Root::Trigger | Root::Run => None,
            // Names of manifests, which a workflow's templates do not know.
            Root::Inputs | Root::Credential | Root::Answer => None,
            Root::Item => {
                let step = steps.get(read.step);
                let each = step.is_some_and(|step| step.value.get("for_each").is_some());
                let fault = ("unknown_name", "`item` is known only in a step with for_each");
                (!each || read.pointer.ends_with("/for_each")).then_some(fault)
            }
            Root::Step(id) => match steps.iter().position(|step| id_of(step) == Some(id)) {
                None => Some(("unknown_step", "the template names a step that there is not")),
                Some(at) if at == read.step => {
                    Some(("later_step", "the template names its own step"))
                }
                Some(at) if at > read.step => {
                    Some(("later_step", "the template names a later step"))
                }
                Some(_) => None,
            },
        };
        if let Some((code, detail)) = fault {
            notes.fault(Fault::new(&*read.pointer, code, detail));
        }
    }
}
