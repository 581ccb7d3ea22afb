//! Ending a run that is under way.

use crate::{Engine, EngineError};
use keyward_model::audit::Event;
use keyward_model::id::{RunId, WorkspaceId};
use keyward_store::{Audited, Tx};

impl Engine {
    /// Cancels a run; false where it has ended already. Its owner's later writes find no row.
    pub async fn cancel(
        &self,
        workspace: WorkspaceId,
        run: RunId,
        event: Event,
    ) -> Result<bool, EngineError> {
        let now = self.vault().now();
        let cancel = move |tx: &mut Tx<'_>| {
            let cancelled = tx.cancel_run(workspace, run, now)?;
            Ok(Audited::new(cancelled, vec![event.clone()]))
        };
        let (cancelled, _) = self.vault().store().write(cancel).await?;
        if cancelled {
            self.live().cancel(run);
        }
        Ok(cancelled)
    }
}
