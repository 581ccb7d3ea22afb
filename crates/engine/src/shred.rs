//! The end of values: keys of versions whose grace is over, and of credentials deleted for good,
//! are destroyed, with proof in the audit trail.

use crate::{Engine, EngineError};
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::credential::Credential;
use keyward_store::{Audited, StoreError, Tx};

/// How many credentials one look takes up.
const BATCH: u32 = 200;

impl Engine {
    /// Destroys what is due; failures are logged and tried again at the next look.
    pub async fn shred_due(&self) {
        if let Err(error) = self.shred_all_due().await {
            tracing::warn!(%error, "values that are due were not destroyed");
        }
    }

    async fn shred_all_due(&self) -> Result<(), EngineError> {
        let now = self.vault().now();
        let rows = self.vault().store().read(move |tx| tx.credentials_due(now, BATCH)).await?;
        for row in rows {
            let workspace = row.parts().0.workspace;
            // What somebody else wrote does not decide what is destroyed.
            let Ok(credential) = self.vault().verify(workspace, row).await else { continue };
            match self.shred(credential).await {
                // Somebody changed it in between; the next look decides anew.
                Ok(()) | Err(EngineError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn shred(&self, before: Credential) -> Result<(), EngineError> {
        let now = self.vault().now();
        if before.restorable_until().is_some_and(|until| until <= now) {
            return self.shred_deleted(before).await;
        }
        let mut after = before.clone();
        let gone = after.end_grace(now);
        if gone.is_empty() {
            return Ok(());
        }
        let event = |version: &i64| self.shredded(&before, format!("version {version}"));
        let events: Vec<_> = gone.iter().map(event).collect();
        let (workspace, id, expected) = (before.workspace, before.id, before.revision);
        let head = self.vault().sign(workspace, after).await?;
        let write = move |tx: &mut Tx<'_>| {
            tx.update_credential(&head, expected)?;
            for version in &gone {
                tx.delete_credential_version(workspace, id, *version)?;
            }
            Ok(Audited::new((), events.clone()))
        };
        self.vault().store().write(write).await?;
        Ok(())
    }

    async fn shred_deleted(&self, credential: Credential) -> Result<(), EngineError> {
        let event = self.shredded(&credential, "deleted".into());
        let (workspace, id) = (credential.workspace, credential.id);
        let write = move |tx: &mut Tx<'_>| match tx.delete_credential(workspace, id)? {
            true => Ok(Audited::new((), vec![event.clone()])),
            false => Err(StoreError::Conflict { what: "revision" }),
        };
        self.vault().store().write(write).await?;
        Ok(())
    }

    fn shredded(&self, credential: &Credential, reason: String) -> Event {
        let (vault, workspace) = (self.vault(), credential.workspace);
        let action = Action::CredentialShredded;
        let event = Event::new(vault.fresh(), workspace, vault.now(), Actor::system(), action);
        let key = Some(credential.key.clone());
        Event { credential: Some(credential.id), key, reason, ..event }
    }
}
