//! Old runs are deleted: each workflow keeps its own as long as it says, or else as its workspace. What
//! is gone with them, how they ended, stays in the audit trail.

use crate::{Engine, EngineError};
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::id::{RunId, WorkflowId, WorkspaceId};
use keyward_model::run::outcome;
use keyward_model::settings::Settings;
use keyward_store::{Audited, OldRun, Page, Reader, StoreError, Tx};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How many runs one commit deletes.
const BATCH: u32 = 100;

impl Engine {
    /// Deletes what is older than its workflow keeps it; failures are logged and tried again later.
    pub async fn purge(&self) {
        if let Err(error) = self.purge_all().await {
            tracing::warn!(%error, "old runs not deleted");
        }
    }

    /// Overwrites what deleted data has left in the database's files; what cannot be yet is left to
    /// the next look.
    pub async fn scrub(&self) {
        if let Err(error) = self.vault().store().scrub().await {
            tracing::debug!(%error, "copies of deleted data not overwritten yet");
        }
    }

    async fn purge_all(&self) -> Result<(), EngineError> {
        let mut page = Page::first(200);
        loop {
            let at = page.clone();
            let found = self.vault().store().read(move |tx| tx.workspaces(&at)).await?;
            for workspace in &found.items {
                if let Err(error) = self.purge_workspace(workspace.id).await {
                    tracing::warn!(workspace = %workspace.id, %error, "old runs not deleted");
                }
            }
            let Some(next) = found.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    async fn purge_workspace(&self, workspace: WorkspaceId) -> Result<(), EngineError> {
        let default = self.retention_days(workspace).await?;
        let mut after = String::new();
        loop {
            let at = after.clone();
            let next = move |tx: &mut Reader<'_>| tx.next_workflow_with_runs(workspace, &at);
            let Some(found) = self.vault().store().read(next).await? else { return Ok(()) };
            if let Ok(workflow) = found.parse::<WorkflowId>() {
                // One that somebody else wrote keeps its own runs, and no other's.
                if let Err(error) = self.purge_as_it_says(workspace, workflow, default).await {
                    tracing::warn!(%workflow, %error, "old runs not deleted");
                }
            }
            after = found;
        }
    }

    async fn purge_as_it_says(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        default: u32,
    ) -> Result<(), EngineError> {
        let read = self.vault().store().read(move |tx| tx.workflow(workspace, workflow));
        // Runs outlive their workflow, and then nobody else says how long they are kept.
        let Some(row) = read.await? else {
            return self.purge_workflow(workspace, workflow, default).await;
        };
        let head = self.vault().verify(workspace, row).await?;
        let compiled = self.compiled(&head, head.version).await?;
        let days = compiled.definition.settings.retention_days.unwrap_or(default);
        self.purge_workflow(workspace, head.id, days).await
    }

    /// How long the workspace keeps runs; for ever where its settings are not the server's.
    async fn retention_days(&self, workspace: WorkspaceId) -> Result<u32, EngineError> {
        let row = match self.vault().store().read(move |tx| tx.settings(workspace)).await {
            Err(StoreError::Corrupt { .. }) => None,
            row => row?,
        };
        let Some(row) = row else { return Ok(Settings::strictest().retention_days) };
        let settings = self.vault().verify(workspace, row).await.map(|row| row.settings);
        Ok(settings.unwrap_or_else(|_| Settings::strictest()).retention_days)
    }

    async fn purge_workflow(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        days: u32,
    ) -> Result<(), EngineError> {
        let before = self.vault().now().plus_millis(-i64::from(days) * DAY_MILLIS);
        loop {
            let old = move |tx: &mut Reader<'_>| tx.old_runs(workspace, workflow, before, BATCH);
            let old = self.vault().store().read(old).await?;
            let is_last = old.len() < BATCH as usize;
            self.delete(workspace, workflow, old).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Deletes runs and writes down how each had ended, in one commit.
    async fn delete(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        old: Vec<OldRun>,
    ) -> Result<(), EngineError> {
        let events = old.into_iter().map(|run| (run.id, self.purged(workspace, workflow, run)));
        let events: Vec<(RunId, Event)> = events.collect();
        let write = move |tx: &mut Tx<'_>| {
            let mut written = Vec::with_capacity(events.len());
            for (run, event) in &events {
                // Somebody else may have deleted it in between.
                if tx.delete_run(workspace, *run)? {
                    written.push(event.clone());
                }
            }
            Ok(Audited::new((), written))
        };
        match self.vault().store().write(write).await {
            Ok(_) | Err(StoreError::NoEvent) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn purged(&self, workspace: WorkspaceId, workflow: WorkflowId, run: OldRun) -> Event {
        let (vault, action) = (self.vault(), Action::RunDeleted);
        let event = Event::new(vault.fresh(), workspace, vault.now(), Actor::system(), action);
        Event {
            workflow: Some(workflow),
            run: Some(run.id),
            step: run.error_step,
            reason: format!("retention: {}", outcome(run.status, run.error_code)),
            ..event
        }
    }
}
