//! Saving a definition: checks it, compiles its scripts in the sandbox, and says what it names.

use crate::compiled::{Script, Scripts, Stored};
use crate::{Engine, EngineError};
use keyward_model::id::WorkspaceId;
use keyward_model::json::Fault;
use keyward_model::sealing::{self, Origins, SealingPlan};
use keyward_model::template::Path;
use keyward_model::workflow::{CodeStep, Definition, Language, Step, StepKind};
use keyward_sandbox::{CompileFailure, Compiled};
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
        let compiled = serde_json::to_string(&Stored { plan, scripts }).unwrap_or_default();
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

/// Where what a code step gives at a path comes from, by its syntax tree.
fn origins(_scripts: &Scripts, _step: &Step, _path: &Path) -> Origins {
    Origins::Unknown
}

/// Steps whose secrets cannot be followed to where they come from.
fn warnings(plan: &SealingPlan) -> Vec<Fault> {
    let warning = |id: &String| {
        let detail = format!(
            "step \"{id}\" computes a value that another step uses as a credential, in a way that \
             cannot be followed to its origin; so nothing of a run is readable until that step has \
             ended, and what it was made of is hidden then"
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
