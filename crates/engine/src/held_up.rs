//! Runs held up by a database that cannot be used for a while: they go on once it can.

use crate::runner::Drive;
use crate::{Engine, EngineError};
use keyward_model::run::NewStep;
use keyward_store::StoreError;
use keyward_vault::VaultError;
use std::time::Duration;

/// How long to wait before the database is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether the same may work later.
pub(crate) fn will_pass(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Store(StoreError::Unavailable(_))
            | EngineError::Vault(VaultError::Store(StoreError::Unavailable(_)))
    )
}

impl Engine {
    /// The run's records once the database answers. What it has counts: a commit whose outcome was
    /// never heard may have been made.
    pub(crate) async fn read_again(&self, drive: &Drive) -> Result<Vec<NewStep>, EngineError> {
        let (workspace, run) = (drive.owned.workspace, drive.owned.run);
        loop {
            tokio::time::sleep(PAUSE).await;
            let read = self.vault().store().read(move |tx| tx.steps(workspace, run)).await;
            match read.map_err(EngineError::from) {
                Ok(steps) => return self.to_read(&drive.context(""), steps).await,
                Err(error) if will_pass(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
