//! Old runs are deleted: each workflow keeps its own as long as it says, or else as its workspace.

use crate::{Engine, EngineError};
use keyward_model::id::{WorkflowId, WorkspaceId};
use keyward_model::settings::Settings;
use keyward_store::{Page, StoreError};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How many runs one commit deletes.
const BATCH: u32 = 500;

impl Engine {
    /// Deletes what is older than its workflow keeps it; failures are logged and tried again later.
    pub async fn purge(&self) {
        if let Err(error) = self.purge_all().await {
            tracing::warn!(%error, "old runs not deleted");
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
        let mut page = Page::first(200);
        loop {
            let at = page.clone();
            let found =
                self.vault().store().read(move |tx| tx.workflow_ids(workspace, &at)).await?;
            for workflow in found.items {
                // One that somebody else wrote keeps its own runs, and no other's.
                if let Err(error) = self.purge_as_it_says(workspace, workflow, default).await {
                    tracing::warn!(%workflow, %error, "old runs not deleted");
                }
            }
            let Some(next) = found.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    async fn purge_as_it_says(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        default: u32,
    ) -> Result<(), EngineError> {
        let read = self.vault().store().read(move |tx| tx.workflow(workspace, workflow));
        // Somebody may have deleted it in between.
        let Some(row) = read.await? else { return Ok(()) };
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
            let purge = self
                .vault()
                .store()
                .record(move |tx| tx.purge_runs(workspace, Some(workflow), before, BATCH));
            if purge.await? < BATCH {
                return Ok(());
            }
        }
    }
}
