//! Writing anew what lies under older generations: version keys by cursor, then every other sealed
//! record, then the tags of signed rows. Every write compares with what was read; what lost against
//! somebody's change is met again in the next pass, until a pass finds nothing.

use super::RotateError;
use crate::credentials::ReplyOwner;
use crate::ring::WorkspaceKeys;
use crate::seal::{self, Text};
use crate::vault::{Vault, VaultError};
use keyward_model::credential::{Credential, Sealed};
use keyward_model::id::{CredentialId, Identifier as _, WorkspaceId};
use keyward_model::saved_workflow::Workflow;
use keyward_model::tag::{Tag, Tagged};
use keyward_store::{
    CellKind, CellOwner, KeyRotation, RotationPhase, SIGNED_TABLES, SealedCell, Signed, StoreError,
    VersionKey,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

/// How many records one transaction writes.
const BATCH: u32 = 500;
/// More passes than concurrent changes can ever ask for.
const PASSES: u32 = 50;

/// What one pass over everything found.
#[derive(Default)]
struct Pass {
    /// Records under older generations, written anew or lost against another change.
    found: u64,
    /// Records that open under no generation.
    unreadable: i64,
}

/// One workspace's replacement while it is worked on.
struct Work<'a> {
    vault: &'a Vault,
    keys: &'a WorkspaceKeys,
    rotation: KeyRotation,
    pass: Pass,
    report: &'a mut dyn FnMut(&KeyRotation),
}

impl Vault {
    /// Phase 3, once every live server seals with the new generation: writes everything under older
    /// ones anew, and tells `report` how far it has come.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn rewrap(
        &self,
        rotation: KeyRotation,
        report: &mut dyn FnMut(&KeyRotation),
    ) -> Result<KeyRotation, RotateError> {
        if rotation.phase == RotationPhase::Prepared {
            return Err(RotateError::NotRewrapped);
        }
        let keys = self.keys(rotation.workspace).await?;
        let mut work = Work { vault: self, keys: &keys, rotation, pass: Pass::default(), report };
        for _ in 0..PASSES {
            work.pass = Pass::default();
            work.everything().await?;
            if work.pass.found == 0 {
                work.rotation.phase = RotationPhase::Rewrapped;
                work.rotation.unreadable = work.pass.unreadable;
                work.save().await?;
                return Ok(work.rotation);
            }
        }
        Err(RotateError::NotRewrapped)
    }

    /// One more look with keys that were just destroyed in the database.
    pub(super) async fn sweep(
        &self,
        keys: &WorkspaceKeys,
        rotation: &KeyRotation,
    ) -> Result<(), RotateError> {
        let (rotation, report) = (rotation.clone(), &mut |_: &KeyRotation| {});
        let mut work = Work { vault: self, keys, rotation, pass: Pass::default(), report };
        work.everything().await?;
        // The look itself must not say that a replacement is under way.
        let workspace = work.rotation.workspace;
        self.store().record(move |tx| tx.forget_key_rotation(workspace)).await?;
        Ok(())
    }
}

impl Work<'_> {
    fn workspace(&self) -> WorkspaceId {
        self.rotation.workspace
    }

    async fn everything(&mut self) -> Result<(), RotateError> {
        self.version_keys().await?;
        for text in Text::ALL {
            match text {
                Text::TriggerToken => self.trigger_tokens().await?,
                Text::RunKey => self.cells(CellKind::RunKey).await?,
                Text::NoStoreRow => {
                    self.cells(CellKind::Payload).await?;
                    self.cells(CellKind::Output).await?;
                }
                Text::Reply => self.cells(CellKind::Reply).await?,
            }
        }
        for table in SIGNED_TABLES {
            self.tags(table).await?;
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<(), RotateError> {
        self.rotation.updated_at = self.vault.now();
        let rotation = self.rotation.clone();
        self.vault.store().record(move |tx| tx.put_key_rotation(&rotation)).await?;
        (self.report)(&self.rotation);
        Ok(())
    }

    async fn version_keys(&mut self) -> Result<(), RotateError> {
        let (workspace, key) = (self.workspace(), self.rotation.key);
        loop {
            let (begun, after) = (Instant::now(), self.rotation.after);
            let read = self.vault.store().read(move |tx| {
                let rows = tx.version_keys_under_others(workspace, key, after, BATCH)?;
                let mut heads: HashMap<CredentialId, Option<Tagged<Credential>>> = HashMap::new();
                for row in &rows {
                    if let Entry::Vacant(unread) = heads.entry(row.credential) {
                        unread
                            .insert(readable(tx.credential(workspace, row.credential))?.flatten());
                    }
                }
                Ok((rows, heads))
            });
            let (rows, heads) = read.await?;
            let Some(last) = rows.last().map(|row| (row.credential, row.version)) else { break };
            let verify = |(id, head): (_, Option<Tagged<Credential>>)| {
                Some((id, self.keys.verify(head?).ok()?))
            };
            let heads: HashMap<_, _> = heads.into_iter().filter_map(verify).collect();
            let anew = |row: VersionKey| {
                let head = heads.get(&row.credential)?;
                let wrapped = (row.version, &row.wrapped);
                let after = seal::rewrap_key(self.keys, (head, head), wrapped).ok()?;
                Some((row, after))
            };
            let count = rows.len();
            let pairs: Vec<_> = rows.into_iter().filter_map(anew).collect();
            self.pass.found += pairs.len() as u64;
            self.pass.unreadable += (count - pairs.len()) as i64;
            self.write_version_keys(pairs, last).await?;
            // Half of the database's time is left to others.
            tokio::time::sleep(begun.elapsed()).await;
        }
        self.rotation.after = None;
        Ok(())
    }

    async fn write_version_keys(
        &mut self,
        pairs: Vec<(VersionKey, Sealed)>,
        last: (CredentialId, i64),
    ) -> Result<(), RotateError> {
        let workspace = self.workspace();
        self.rotation.after = Some(last);
        self.rotation.updated_at = self.vault.now();
        let base = self.rotation.clone();
        let write = self.vault.store().record(move |tx| {
            let mut rotation = base.clone();
            for (before, after) in &pairs {
                rotation.rewrapped += i64::from(tx.rewrap_version_key(workspace, before, after)?);
            }
            tx.put_key_rotation(&rotation)?;
            Ok(rotation)
        });
        self.rotation = write.await?;
        (self.report)(&self.rotation);
        Ok(())
    }

    async fn trigger_tokens(&mut self) -> Result<(), RotateError> {
        let (workspace, mut after) = (self.workspace(), None);
        loop {
            let read =
                self.vault.store().read(move |tx| tx.workflow_heads(workspace, after, BATCH));
            let rows = read.await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.parts().0.id);
            let old = |row: &Tagged<Workflow>| {
                !self.keys.seals_like(row.parts().0.trigger_token.as_bytes())
            };
            let rows: Vec<_> = rows.into_iter().filter(old).collect();
            let count = rows.len();
            let pairs: Vec<_> = rows.into_iter().filter_map(|row| self.trigger(row)).collect();
            self.pass.unreadable += (count - pairs.len()) as i64;
            self.pass.found += pairs.len() as u64;
            let write = self.vault.store().record(move |tx| {
                for (before, after) in &pairs {
                    tx.rewrap_trigger_token(before, after)?;
                }
                Ok(())
            });
            write.await?;
        }
    }

    /// A workflow's head with its trigger token sealed anew, and the tag that it had.
    fn trigger(&self, row: Tagged<Workflow>) -> Option<(Tag, Tagged<Workflow>)> {
        let tag = *row.parts().1;
        let mut head = self.keys.verify(row).ok()?;
        let owner = head.id;
        let token = &head.trigger_token;
        head.trigger_token = self.anew(Text::TriggerToken, owner.as_bytes(), token).ok()?;
        Some((tag, self.keys.sign(head)))
    }

    fn anew(&self, kind: Text, owner: &[u8], sealed: &Sealed) -> Result<Sealed, VaultError> {
        let plain = seal::open_text(self.keys, kind, owner, sealed)?;
        seal::seal_text(self.keys, kind, owner, &plain)
    }

    async fn cells(&mut self, kind: CellKind) -> Result<(), RotateError> {
        let (workspace, key) = (self.workspace(), self.rotation.key);
        let mut after: Option<SealedCell> = None;
        loop {
            let read = self
                .vault
                .store()
                .read(move |tx| tx.sealed_cells((workspace, kind), key, after.as_ref(), BATCH));
            let cells = read.await?;
            after = cells.last().cloned();
            if after.is_none() {
                return Ok(());
            }
            let old = |cell: &SealedCell| {
                let sealed = cell.sealed.as_ref();
                sealed.is_some_and(|sealed| !self.keys.seals_like(sealed.as_bytes()))
            };
            let cells: Vec<_> = cells.into_iter().filter(old).collect();
            let count = cells.len();
            let pairs = cells.into_iter().filter_map(|cell| {
                let sealed = self.cell(&cell)?;
                Some((cell, sealed))
            });
            let pairs: Vec<_> = pairs.collect();
            self.pass.unreadable += (count - pairs.len()) as i64;
            self.pass.found += pairs.len() as u64;
            let write = self.vault.store().record(move |tx| {
                for (before, after) in &pairs {
                    tx.rewrap_cell(workspace, before, after)?;
                }
                Ok(())
            });
            write.await?;
        }
    }

    fn cell(&self, cell: &SealedCell) -> Option<Sealed> {
        let sealed = cell.sealed.as_ref()?;
        let anew = match (cell.kind, &cell.owner) {
            (CellKind::RunKey, CellOwner::Run(run)) => {
                self.anew(Text::RunKey, run.as_bytes(), sealed)
            }
            (_, CellOwner::Run(run)) => self.anew(Text::NoStoreRow, run.as_bytes(), sealed),
            (_, CellOwner::Reply { caller, key_hash, request_digest, status }) => {
                let status = *status;
                let owner = ReplyOwner { caller, key_hash, request_digest, status };
                self.anew(Text::Reply, &owner.bytes(), sealed)
            }
        };
        anew.ok()
    }

    async fn tags(&mut self, table: &'static Signed) -> Result<(), RotateError> {
        let (workspace, active) = (self.workspace(), self.keys.active());
        let mut after = None;
        loop {
            let read = self
                .vault
                .store()
                .read(move |tx| tx.signed_rows(table, workspace, after.as_ref(), BATCH));
            let rows = read.await?;
            let is_last = rows.len() < BATCH as usize;
            after = rows.last().cloned();
            let mut pairs = Vec::new();
            for row in rows {
                let signer = row.content.as_ref().map(|content| {
                    self.keys.signer(content, &row.tag).map(|signer| (signer, active.tag(content)))
                });
                match signer.flatten() {
                    Some((signer, _)) if signer.id == active.id => {}
                    Some((_, Some(tag))) => pairs.push((row, tag)),
                    _ => self.pass.unreadable += 1,
                }
            }
            self.pass.found += pairs.len() as u64;
            let write = self.vault.store().record(move |tx| {
                for (before, tag) in &pairs {
                    tx.sign_anew(table, workspace, before, tag)?;
                }
                Ok(())
            });
            write.await?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// `None` for a row that cannot even be read: somebody else wrote it.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
