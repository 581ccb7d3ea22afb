//! What a sink has not taken yet, as the database says: ends of chains against the sink's cursors.

use keyward_model::audit::AuditCursor;
use keyward_model::clock::Timestamp;
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_store::{Page, StoreError};
use keyward_vault::{Vault, VaultError};
use std::collections::HashMap;

/// Chains whose next record is looked at for its time.
const LOOKED_AT: usize = 50;

/// What waits for a sink.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pending {
    /// How many records.
    pub(crate) waiting: u64,
    /// The time of the oldest one.
    pub(crate) oldest: Option<Timestamp>,
    /// The chains that they are of.
    pub(super) chains: Vec<Behind>,
}

/// A chain that a sink is behind with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) workspace: WorkspaceId,
    pub(super) stream: StreamId,
    /// The last record that was taken.
    pub(super) after: i64,
}

/// How far the sink has taken the chain by now.
pub(super) async fn taken(vault: &Vault, sink: &str, of: Behind) -> Result<i64, VaultError> {
    let (workspace, name) = (of.workspace, sink.to_owned());
    let rows = vault.store().read(move |tx| tx.audit_cursors(workspace, &name)).await?;
    let keys = vault.audit_keys(&[workspace]).await?;
    let row = rows.into_iter().find(|row| row.parts().0.stream == of.stream);
    let cursor = row.and_then(|row| keys.verify(workspace, row).ok());
    Ok(cursor.map_or(0, |cursor| cursor.number))
}

impl Pending {
    /// Looks at every workspace.
    pub(crate) async fn look(vault: &Vault, sink: &str) -> Result<Self, VaultError> {
        let mut pending = Self::default();
        let mut page = Page::first(200);
        loop {
            let at = page.clone();
            let found = vault.store().read(move |tx| tx.workspaces(&at)).await?;
            for workspace in &found.items {
                pending.look_at(vault, sink, workspace.id).await?;
            }
            let Some(next) = found.next else { return Ok(pending) };
            page.after = Some(next);
        }
    }

    async fn look_at(
        &mut self,
        vault: &Vault,
        sink: &str,
        workspace: WorkspaceId,
    ) -> Result<(), VaultError> {
        let name = sink.to_owned();
        let read = vault.store().read(move |tx| {
            // The cursors first: what is taken in between only makes the number too great.
            Ok((tx.audit_cursors(workspace, &name)?, tx.audit_ends(workspace)?))
        });
        let (cursors, ends) = read.await?;
        if ends.is_empty() {
            return Ok(());
        }
        let keys = vault.audit_keys(&[workspace]).await?;
        // A cursor that is not the server's counts as absent: rather twice than not at all.
        let taken = cursors.into_iter().filter_map(|row| keys.verify(workspace, row).ok());
        let taken: HashMap<_, _> =
            taken.map(|AuditCursor { stream, number, .. }| (stream, number)).collect();
        for end in ends {
            let stream = end.stream;
            let after = taken.get(&stream).copied().unwrap_or(0);
            if end.number <= after {
                continue;
            }
            self.waiting += u64::try_from(end.number - after).unwrap_or(0);
            if self.chains.len() < LOOKED_AT {
                self.note_age(vault, Behind { workspace, stream, after }).await?;
            }
            self.chains.push(Behind { workspace, stream, after });
        }
        Ok(())
    }

    async fn note_age(&mut self, vault: &Vault, behind: Behind) -> Result<(), VaultError> {
        let Behind { workspace, stream, after } = behind;
        let read = vault.store().read(move |tx| tx.audit_records(workspace, stream, after, 1));
        let at = match read.await {
            Ok(records) => records.first().map(|record| record.event.at),
            // One that cannot be read has been there for who knows how long.
            Err(StoreError::Corrupt { .. }) => Some(Timestamp::default()),
            Err(error) => return Err(error.into()),
        };
        self.oldest = match (self.oldest, at) {
            (Some(known), Some(at)) => Some(known.min(at)),
            (known, at) => known.or(at),
        };
        Ok(())
    }
}
