//! Old runs are deleted: each workflow keeps its own as long as it says, 30 days by default.

use crate::{Engine, EngineError};
use keyward_model::id::{WorkflowId, WorkspaceId};
use keyward_store::Page;

/// How long runs are kept where a workflow says nothing.
const DEFAULT_DAYS: u32 = 30;
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
                self.purge_workspace(workspace.id).await?;
            }
            let Some(next) = found.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    async fn purge_workspace(&self, workspace: WorkspaceId) -> Result<(), EngineError> {
        let mut page = Page::first(200);
        loop {
            let at = page.clone();
            let read = self.vault().store().read(move |tx| tx.workflows(workspace, None, &at));
            let found = read.await?;
            for row in found.items {
                let head = self.vault().verify(workspace, row).await?;
                let compiled = self.compiled(&head, head.version).await?;
                let days = compiled.definition.settings.retention_days.unwrap_or(DEFAULT_DAYS);
                self.purge_workflow(workspace, head.id, days).await?;
            }
            let Some(next) = found.next else { return Ok(()) };
            page.after = Some(next);
        }
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
