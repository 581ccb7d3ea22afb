//! Retrying a run: a new run that begins at the step which failed, with the earlier outputs.

use crate::{Accepted, Engine, EngineError, Event, RetryOf};
use keyward_model::actor::Actor;
use keyward_model::audit::Event as AuditEvent;
use keyward_model::id::{MemberId, RunId, WorkspaceId};
use keyward_model::run::{NewStep, Origin, Run, StepStatus};
use keyward_model::saved_workflow::Workflow;
use std::collections::BTreeMap;

/// Why a run is not retried.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// No such run or workflow.
    #[error("there is no such run")]
    NotFound,
    /// Only a failed or cancelled run can be.
    #[error("only a run that failed or was cancelled can be retried")]
    NotFailed,
    /// What it needs was not kept.
    #[error("what this run would need again was not kept: {0}")]
    Gone(&'static str),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Starts a new run from the failed step of `run`; `audit` says who did it.
    pub async fn retry(
        &self,
        workspace: WorkspaceId,
        run: RunId,
        member: MemberId,
        starter: Actor,
        audit: AuditEvent,
    ) -> Result<Accepted, RetryError> {
        let (old, steps, workflow) = self.read_old(workspace, run).await?;
        if !matches!(old.status.as_str(), "failed" | "cancelled") {
            return Err(RetryError::NotFailed);
        }
        if old.no_store {
            return Err(RetryError::Gone("it ran without being stored"));
        }
        // The workflow may have a newer version; a retry is of the version that failed.
        let workflow = Workflow { version: old.version, ..workflow };
        let trigger = serde_json::from_str(&old.trigger)
            .map_err(|_| RetryError::Gone("its trigger cannot be read"))?;
        let id = self.vault().fresh();
        let records = self.rename_seals(workspace, (run, id), kept(steps)).await?;
        let event = Event {
            workflow,
            origin: Origin::Retry,
            starter,
            member,
            trigger,
            no_store: false,
            retry_of: Some(RetryOf { id, run, records }),
            audit: Some(audit),
        };
        Ok(self.accept(event).await?)
    }

    async fn read_old(
        &self,
        workspace: WorkspaceId,
        run: RunId,
    ) -> Result<(Run, Vec<NewStep>, Workflow), RetryError> {
        let read = self.vault().store().read(move |tx| {
            let Some(old) = tx.run(workspace, run)? else { return Ok(None) };
            let head = tx.workflow(workspace, old.workflow)?;
            Ok(Some((tx.steps(workspace, run)?, head, old)))
        });
        let found = read.await.map_err(EngineError::from)?;
        let (steps, head, old) = found.ok_or(RetryError::NotFound)?;
        let head = head.ok_or(RetryError::NotFound)?;
        let head = self.vault().verify(workspace, head).await.map_err(EngineError::from)?;
        Ok((old, steps.into_iter().map(NewStep::from).collect(), head))
    }
}

/// The records before the step that failed.
fn kept(steps: Vec<NewStep>) -> Vec<NewStep> {
    let kept = |step: &NewStep| matches!(step.status, StepStatus::Succeeded | StepStatus::Skipped);
    steps.into_iter().take_while(kept).collect()
}

impl Engine {
    /// Writes the records' sealed values for the new run. What has no counterpart there is gone.
    async fn rename_seals(
        &self,
        workspace: WorkspaceId,
        runs: (RunId, RunId),
        records: Vec<NewStep>,
    ) -> Result<Vec<NewStep>, RetryError> {
        let mut renamed = Vec::with_capacity(records.len());
        for mut record in records {
            let seals: BTreeMap<String, String> =
                serde_json::from_str(&record.seals).unwrap_or_default();
            let names = self.vault().renamed_seals(workspace, runs, &seals).await;
            let names = names.map_err(EngineError::from)?;
            if names.len() < seals.len() {
                return Err(RetryError::Gone("a value that was computed or received in that run"));
            }
            for (from, to) in &names {
                record.output = record.output.map(|text| text.renamed(from, to));
                record.input = record.input.map(|text| text.renamed(from, to));
                record.logs = record.logs.renamed(from, to);
                record.seals = record.seals.replace(from, to);
            }
            renamed.push(record);
        }
        Ok(renamed)
    }
}
