//! Saving a definition: checks it, compiles its scripts in the sandbox, and says what it names.

use crate::compiled::{Script, Scripts};
use crate::{Engine, EngineError};
use keyward_model::json::Fault;
use keyward_model::workflow::{CodeStep, Definition, Language, StepKind};
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
    /// Checks a document and compiles its code steps.
    pub async fn check(&self, document: &Value) -> Result<Checked, SaveError> {
        let definition = Definition::parse(document).map_err(SaveError::Faults)?;
        let (mut scripts, mut faults) = (Scripts::new(), Vec::new());
        for (position, step) in definition.steps.iter().enumerate() {
            let StepKind::Code(code) = &step.kind else { continue };
            match self.compile(position, code).await {
                Ok(compiled) => {
                    let script =
                        Script { javascript: compiled.javascript.into(), keys: compiled.keys };
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
        let compiled = serde_json::to_string(&scripts).unwrap_or_default();
        Ok(Checked { definition, compiled, keys })
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
