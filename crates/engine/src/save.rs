//! Saving a definition: checks it, compiles its scripts in the sandbox, and says what it names.

use crate::compiled::{Script, Scripts, Stored};
use crate::{Engine, EngineError};
use keyward_model::id::WorkspaceId;
use keyward_model::json::Fault;
use keyward_model::sealing::{self, Origins, SealingPlan};
use keyward_model::template::{Path, Root, Segment};
use keyward_model::workflow::{CodeStep, Definition, Language, Step, StepKind};
use keyward_sandbox::{CompileFailure, Compiled, How, InputPath, Segment as Below};
use serde_json::Value;
use std::collections::BTreeSet;

/// A definition that may be saved.
pub struct Checked {
    /// The definition.
    pub definition: Definition,
    /// What is stored beside it.
    pub compiled: String,
    /// Each key with the steps that name it.
    pub keys: BTreeSet<(String, String)>,
    /// What its author should know all the same.
    pub warnings: Vec<Fault>,
}

/// Why a definition is not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It breaks rules; every fault is listed.
    #[error("the definition breaks a rule")]
    Faults(Vec<Fault>),
    /// The sandbox is not there to compile its code.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Checks a document, holds it against the apps that the workspace knows, and compiles its code
    /// steps.
    pub async fn check(
        &self,
        workspace: WorkspaceId,
        document: &Value,
    ) -> Result<Checked, SaveError> {
        let definition = Definition::parse(document).map_err(SaveError::Faults)?;
        let apps = self.vault().apps(workspace).await.map_err(EngineError::from)?;
        let mut faults = sealing::check_apps(&definition, &apps);
        let mut scripts = Scripts::new();
        for (position, step) in definition.steps.iter().enumerate() {
            let StepKind::Code(code) = &step.kind else { continue };
            match self.compile(position, code).await {
                Ok(compiled) => {
                    let Compiled { javascript, keys, returns, .. } = compiled;
                    let script = Script { javascript: javascript.into(), keys, returns };
                    scripts.insert(step.id.as_str().to_owned(), script);
                }
                Err(SaveError::Faults(found)) => faults.extend(found),
                Err(error) => return Err(error),
            }
        }
        if !faults.is_empty() {
            return Err(SaveError::Faults(faults));
        }
        let keys = keys(&definition, &scripts);
        let plan = sealing::plan(&definition, &apps, &|step, path| origins(&scripts, step, path));
        let warnings = warnings(&plan);
        let reading = sealing::reading_steps(&definition, &apps);
        let stored = Stored { plan, reading, scripts };
        let compiled = serde_json::to_string(&stored).unwrap_or_default();
        Ok(Checked { definition, compiled, keys, warnings })
    }

    /// Compiles the source of the step at that position.
    pub(crate) async fn compile(
        &self,
        position: usize,
        code: &CodeStep,
    ) -> Result<Compiled, SaveError> {
        let language = match code.language {
            Language::JavaScript => keyward_sandbox::Language::Javascript,
            Language::TypeScript => keyward_sandbox::Language::Typescript,
        };
        self.sandbox().compile(&code.source, language).await.map_err(|failure| match failure {
            CompileFailure::Source(error) => {
                let detail =
                    format!("line {}, column {}: {}", error.line, error.column, error.message);
                let pointer = format!("/steps/{position}/source");
                SaveError::Faults(vec![Fault::new(pointer, "invalid_source", detail)])
            }
            CompileFailure::Sandbox(error) => EngineError::Sandbox(error).into(),
        })
    }
}

/// Where what a code step gives at a path comes from, by its syntax tree. An input that the code cuts
/// or compares must stay as it is, so that is as unknown as what the tree does not tell.
fn origins(scripts: &Scripts, step: &Step, path: &Path) -> Origins {
    let Some(script) = scripts.get(step.id.as_str()) else { return Origins::Unknown };
    let asked: Vec<Below> = path.segments.iter().map(below).collect();
    // What no `return` gives was meant to be given: its name is mistyped, or it stands elsewhere.
    if !script.returns.gives(&asked) {
        return Origins::Unknown;
    }
    let Some(found) = script.returns.origins(&asked) else { return Origins::Unknown };
    // A computed name may be any: what lies beside it is not secret for that.
    let is_plain = |input: &InputPath| input.how != How::Cut && !input.path.contains(&Below::Any);
    let known = |input: &InputPath| is_plain(input).then(|| input_path(input.place()))?;
    match found.inputs.iter().map(known).collect::<Option<Vec<_>>>() {
        Some(paths) => Origins::Known(paths.into_iter().flatten().collect()),
        None => Origins::Unknown,
    }
}

fn below(segment: &Segment) -> Below {
    match segment {
        Segment::Member(name) => Below::named(name),
        Segment::Index(_) => Below::Each,
    }
}

/// An input as templates name it: the inner `None` for what holds nothing of others, such as the run's
/// id, the outer one for what has no place.
#[expect(clippy::option_option, reason = "the outer one stands for what cannot be told")]
fn input_path(path: &[Below]) -> Option<Option<Path>> {
    let name = |segment: &Below| match segment {
        Below::Member(name) => Some(name.clone()),
        _ => None,
    };
    let (first, rest) = path.split_first()?;
    let (root, rest) = match name(first)?.as_str() {
        "trigger" => (Root::Trigger, rest),
        "run" => return Some(None),
        "steps" => {
            let (id, rest) = rest.split_first()?;
            let (output, rest) = rest.split_first()?;
            (name(output)? == "output").then_some(())?;
            (Root::Step(name(id)?), rest)
        }
        _ => return None,
    };
    let segment = |below: &Below| match below {
        Below::Member(name) => Some(Segment::Member(name.clone())),
        Below::Index(index) => Some(Segment::Index(*index as usize)),
        Below::Each => Some(Segment::Index(0)),
        Below::Any => None,
    };
    let segments: Vec<Segment> = rest.iter().map(segment).collect::<Option<_>>()?;
    // All of the trigger is nobody's credential.
    let is_all = root == Root::Trigger && segments.is_empty();
    (!is_all).then_some(Some(Path { root, segments }))
}

/// Steps whose secrets cannot be followed to where they come from.
fn warnings(plan: &SealingPlan) -> Vec<Fault> {
    let warning = |id: &String| {
        let detail = format!(
            "step \"{id}\" computes a value that another step uses as a credential, in a way that \
             cannot be followed to its origin; so nothing of a run is readable until that step has \
             ended and given a value that stands in the run's data, which is hidden there then"
        );
        Fault::new("/steps", "origin_unknown", detail)
    };
    plan.withheld.iter().map(warning).collect()
}

fn keys(definition: &Definition, scripts: &Scripts) -> BTreeSet<(String, String)> {
    let mut keys = BTreeSet::new();
    for step in &definition.steps {
        let id = step.id.as_str();
        let literal = scripts.get(id).into_iter().flat_map(|script| script.keys.iter().cloned());
        let listed = step.declared_keys().into_iter().map(|key| key.as_str().to_owned());
        keys.extend(literal.chain(listed).map(|key| (key, id.to_owned())));
    }
    keys
}
