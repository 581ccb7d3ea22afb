//! Retrying a run: a new run that begins at the step which failed, with the earlier outputs.

use crate::compiled::CompiledWorkflow;
use crate::{Accepted, Engine, EngineError, Event, RetryOf};
use keyward_model::actor::Actor;
use keyward_model::audit::Event as AuditEvent;
use keyward_model::id::{MemberId, RunId, WorkspaceId};
use keyward_model::run::{NewStep, Origin, Run, StepStatus};
use keyward_model::saved_workflow::Workflow;
use keyward_model::workflow::Step;
use std::collections::{BTreeMap, BTreeSet};

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
        let compiled = self.compiled(&workflow, old.version).await?;
        let kept = kept(&compiled, &old, steps)?;
        let records = self.rename_seals(workspace, (run, id), kept).await?;
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

/// Why a run is not retried that needs a value which is gone with the run that had received it.
const RECEIVED: RetryError = RetryError::Gone("a value that was computed or received in that run");

/// The records before the step that failed. Where an earlier step had read a secret, the new run
/// begins with that step, as long as all from there on only read.
fn kept(
    compiled: &CompiledWorkflow,
    old: &Run,
    steps: Vec<NewStep>,
) -> Result<Vec<NewStep>, RetryError> {
    let done = |step: &NewStep| matches!(step.status, StepStatus::Succeeded | StepStatus::Skipped);
    let mut kept: Vec<NewStep> = steps.into_iter().take_while(done).collect();
    let received = |record: &NewStep| {
        let own = format!("steps.{}.output", record.step);
        seals(&record.seals).values().any(|origin| origin.starts_with(&own))
    };
    let only_reads = |first: &usize| {
        let mut steps =
            kept.iter().skip(*first).map(|record| compiled.definition.step(&record.step));
        steps.all(|step| step.is_some_and(|(_, step)| compiled.only_reads(step)))
    };
    // A source that had no secret there may have one by now.
    let asked = |record: &NewStep| compiled.plan.outputs.contains_key(&record.step);
    let first = match kept.iter().position(received) {
        Some(first) if !only_reads(&first) => return Err(RECEIVED),
        None => kept.iter().position(asked).filter(only_reads),
        received => received,
    };
    kept.truncate(first.unwrap_or(kept.len()));
    // What the trigger brought is gone; steps that do not read it can do without.
    let gone: BTreeSet<String> = seals(&old.seals).into_values().collect();
    let needs = |step: &Step| compiled.reads_any(step, &gone);
    match compiled.definition.steps.iter().skip(kept.len()).any(needs) {
        true => Err(RECEIVED),
        false => Ok(kept),
    }
}

fn seals(text: &str) -> BTreeMap<String, String> {
    serde_json::from_str(text).unwrap_or_default()
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
            let seals = seals(&record.seals);
            let names = self.vault().renamed_seals(workspace, runs, &seals).await;
            let names = names.map_err(EngineError::from)?;
            if names.len() < seals.len() {
                return Err(RECEIVED);
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
