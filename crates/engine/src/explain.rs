//! What a workflow's steps would get of credentials now, for people with the right to know.

use crate::{CompiledWorkflow, Engine, EngineError};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::credential::Credential;
use keyward_model::error::StepErrorCode;
use keyward_model::policy::{Refusal, StepContext};
use keyward_model::saved_workflow::Workflow;
use keyward_vault::{Explained, Question, RunVault, VaultError};
use std::sync::Arc;

/// A version whose rows are not the server's.
const FOREIGN: Refusal = Refusal { code: StepErrorCode::MissingCredential, reason: "foreign" };

/// What somebody wants to know of a credential.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The credential.
    pub credential: &'a Credential,
    /// The step; none for whichever names the key.
    pub step: Option<&'a str>,
    /// Method and absolute URL of a request that it would go into.
    pub to: Option<(&'a str, &'a str)>,
}

impl Engine {
    /// Whether a step of the workflow's current version, started by its trigger, would get a
    /// credential. `None` where there is no such step.
    pub async fn explain(
        &self,
        head: &Workflow,
        asked: &Asked<'_>,
    ) -> Result<Option<Explained>, EngineError> {
        let Some(compiled) = self.intact(head).await? else {
            return Ok(Some(Explained::Refused(FOREIGN)));
        };
        let key = &asked.credential.key;
        let mut steps = compiled.definition.steps.iter();
        let declared = match asked.step {
            None => steps.any(|step| compiled.declared_keys(step).contains(key)),
            Some(id) => match steps.find(|step| step.id.as_str() == id) {
                Some(step) => compiled.declared_keys(step).contains(key),
                None => return Ok(None),
            },
        };
        let (run, context) = self.as_triggered(head, &compiled, asked.step).await?;
        let (credential, to) = (asked.credential.id, asked.to);
        let question = Question { key, credential, declared, to };
        Ok(Some(run.explain(&context, &question).await?))
    }

    /// The keys that the workflow's steps name and would not get, or could not use.
    pub async fn unavailable_keys(&self, head: &Workflow) -> Result<Vec<String>, EngineError> {
        let Some(compiled) = self.intact(head).await? else { return Ok(Vec::new()) };
        let steps = compiled.definition.steps.iter();
        let mut keys: Vec<_> = steps.flat_map(|step| compiled.declared_keys(step)).collect();
        keys.sort();
        keys.dedup();
        if keys.is_empty() {
            return Ok(keys);
        }
        let (run, context) = self.as_triggered(head, &compiled, None).await?;
        Ok(run.unavailable(&context, &keys).await?)
    }

    /// The current version; `None` where its row is gone or somebody else wrote it.
    async fn intact(&self, head: &Workflow) -> Result<Option<Arc<CompiledWorkflow>>, EngineError> {
        match self.compiled(head, head.version).await {
            Ok(compiled) => Ok(Some(compiled)),
            Err(EngineError::VersionGone | EngineError::Vault(VaultError::Tampered(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A run as the workflow's trigger would start it; it is never written.
    async fn as_triggered(
        &self,
        head: &Workflow,
        compiled: &CompiledWorkflow,
        step: Option<&str>,
    ) -> Result<(RunVault, StepContext), EngineError> {
        let context = StepContext {
            workspace: head.workspace,
            workflow: head.id,
            run: self.vault().fresh(),
            step: step.unwrap_or_default().to_owned(),
            starter: Actor {
                kind: ActorKind::Trigger,
                id: head.id.to_string(),
                name: head.name.clone(),
            },
        };
        let (owner, author) = (Some(head.owner), compiled.author);
        let standing = self.standing(head.workspace, head.id, owner, author).await?;
        Ok((self.vault().run(&context, standing).await?, context))
    }
}
