//! Replacing keys while servers go on: a new root key at once (`root`), a new generation of a
//! workspace's key in phases. First it is there and opens, then it seals, then everything under
//! older generations is written anew (`records`), then those are destroyed but for what old audit
//! records and run names need. Each phase can be cut off and taken up again.

mod records;
mod root;

pub use root::RootRotated;

#[cfg(test)]
mod tests;

use crate::root::RootKeyError;
use crate::vault::{Vault, VaultError};
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::id::{NodeId, WorkspaceId};
use keyward_model::tenant::{KeyState, WorkspaceKey};
use keyward_store::{Audited, KeyRotation, RotationPhase, StoreError, Tx};
use std::path::PathBuf;

/// A server that was not seen for so long is not waited for.
const LIVE_MILLIS: i64 = 15_000;
/// How often a write that lost against another is tried.
const ATTEMPTS: u32 = 5;

/// Why keys were not replaced. What was begun can be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The vault or the database.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nothing is protected yet.
    #[error("there is no workspace yet, so there are no keys to replace")]
    NoWorkspace,
    /// The file that was named holds the key that is in use.
    #[error("the root key in {0} is the one in use already: name another file")]
    SameKey(PathBuf),
    /// Another process was quicker.
    #[error("another process changed keys meanwhile: nothing was written; try again")]
    Changed,
    /// The connection broke during the commit.
    #[error(
        "it is not known whether the database took the new root key: keep both the old key and {written}; the next start, or the next `keyward key rotate`, finds out"
    )]
    Unknown {
        /// Where the new key lies.
        written: PathBuf,
    },
    /// The database has the new key, and the file could not be put in its place.
    #[error("the new root key is in use, but it still lies beside the old one: {0}")]
    NotInPlace(RootKeyError),
    /// Something readable may be left under older generations.
    #[error(
        "not everything has been written anew: finish that with `keyward key rotate --workspaces`"
    )]
    NotRewrapped,
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

impl Vault {
    /// Live servers that have not loaded all keys yet.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn servers_behind(&self) -> Result<Vec<NodeId>, VaultError> {
        let since = self.now().plus_millis(-LIVE_MILLIS);
        let behind = self.store().read(move |tx| {
            let epoch = tx.keys_state()?.epoch;
            tx.nodes_behind(epoch, since)
        });
        Ok(behind.await?)
    }

    /// How many servers live.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn live_servers(&self) -> Result<usize, VaultError> {
        let since = self.now().plus_millis(-LIVE_MILLIS);
        Ok(self.store().read(move |tx| tx.nodes_behind(i64::MAX, since)).await?.len())
    }

    /// Phase 1: makes the next generation of a workspace's key, which opens and does not seal yet;
    /// or gives the replacement that is under way.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn prepare_generation(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
    ) -> Result<KeyRotation, RotateError> {
        for _ in 0..ATTEMPTS {
            self.follow_keys().await?;
            self.load(workspace).await?;
            let read = move |tx: &mut keyward_store::Reader<'_>| {
                Ok((tx.key_rotation(workspace)?, tx.workspace_keys(workspace)?))
            };
            let (under_way, rows) = self.store().read(read).await?;
            if let Some(rotation) = under_way {
                return Ok(rotation);
            }
            let number = rows.iter().map(|row| row.generation).max().unwrap_or(0) + 1;
            let (now, root) = (self.now(), self.keyring().root());
            let row = root.new_generation((workspace, number), KeyState::Prepared, now)?;
            let rotation = KeyRotation {
                workspace,
                key: row.id,
                generation: number,
                phase: RotationPhase::Prepared,
                after: None,
                total: 0,
                rewrapped: 0,
                unreadable: 0,
                begun_at: now,
                updated_at: now,
            };
            let (begun, event) =
                (rotation.clone(), self.event(workspace, actor, "workspace_prepared"));
            let write = move |tx: &mut Tx<'_>| {
                tx.insert_workspace_key(&row)?;
                tx.put_key_rotation(&begun)?;
                tx.raise_keys_epoch()?;
                Ok(Audited::new((), vec![event.clone()]))
            };
            match self.store().write(write).await {
                Ok(_) => {
                    self.follow_keys().await?;
                    return Ok(rotation);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(RotateError::Changed)
    }

    /// Phase 2, once every live server has loaded the new generation: it seals and signs from now on.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub async fn activate_generation(
        &self,
        rotation: KeyRotation,
        actor: &Actor,
    ) -> Result<KeyRotation, RotateError> {
        if rotation.phase != RotationPhase::Prepared {
            return Ok(rotation);
        }
        let (workspace, key) = (rotation.workspace, rotation.key);
        for _ in 0..ATTEMPTS {
            self.follow_keys().await?;
            let left = move |tx: &mut keyward_store::Reader<'_>| {
                let left = tx.count_under_others(workspace, key)?;
                Ok((tx.workspace_keys(workspace)?, left))
            };
            let (rows, left) = self.store().read(left).await?;
            let row = rows.into_iter().find(|row| row.id == key).ok_or(RotateError::Changed)?;
            let total = left.iter().find(|(what, _)| *what == "version_keys");
            let next = KeyRotation {
                phase: RotationPhase::Rewrapping,
                total: total.map_or(0, |(_, count)| *count),
                updated_at: self.now(),
                ..rotation.clone()
            };
            if row.state == KeyState::Active {
                return Ok(next);
            }
            let active = self.keyring().root().restate(&row, KeyState::Active)?;
            let event = self.event(workspace, actor, "workspace");
            let replaced = vec![(row, active)];
            if self.replace_keys(replaced, Some(next.clone()), event).await? {
                return Ok(next);
            }
        }
        Err(RotateError::Changed)
    }

    /// Phase 4, once nothing readable is left under older generations and servers have had time to
    /// finish what they had begun: destroys them. What old audit records and run names need stays.
    /// Gives the number of generations destroyed.
    ///
    /// # Errors
    /// `NotRewrapped` before its time, or where the database cannot be used.
    pub async fn destroy_older_generations(
        &self,
        workspace: WorkspaceId,
        actor: &Actor,
    ) -> Result<usize, RotateError> {
        for _ in 0..ATTEMPTS {
            self.follow_keys().await?;
            let keys = self.keys(workspace).await?;
            let read = move |tx: &mut keyward_store::Reader<'_>| {
                Ok((tx.key_rotation(workspace)?, tx.workspace_keys(workspace)?))
            };
            let (rotation, rows) = self.store().read(read).await?;
            let Some(rotation) = rotation else { return Ok(0) };
            if rotation.phase != RotationPhase::Rewrapped {
                return Err(RotateError::NotRewrapped);
            }
            let (root, now) = (self.keyring().root(), self.now());
            let mut replaced = Vec::new();
            for old in keys.older() {
                let row = rows.iter().find(|row| row.id == old.id).ok_or(RotateError::Changed)?;
                replaced.push((row.clone(), root.retire(row, &old, now)?));
            }
            // With the old keys still in hand: what a slow server wrote under them meanwhile.
            let before = keys.snapshot();
            let count = replaced.len();
            let event = self.event(workspace, actor, "workspace_old_destroyed");
            if self.replace_keys(replaced, None, event).await? {
                self.sweep(&before, &rotation).await?;
                return Ok(count);
            }
        }
        Err(RotateError::Changed)
    }

    /// Replaces rows of one workspace's keys, with how far its replacement has come then; false
    /// where something was changed in between.
    async fn replace_keys(
        &self,
        rows: Vec<(WorkspaceKey, WorkspaceKey)>,
        rotation: Option<KeyRotation>,
        event: Event,
    ) -> Result<bool, RotateError> {
        let workspace = event.workspace;
        let write = move |tx: &mut Tx<'_>| {
            rows.iter().try_for_each(|(before, after)| tx.replace_workspace_key(before, after))?;
            match &rotation {
                Some(rotation) => tx.put_key_rotation(rotation)?,
                None => tx.forget_key_rotation(workspace)?,
            }
            tx.raise_keys_epoch()?;
            Ok(Audited::new((), vec![event.clone()]))
        };
        match self.store().write(write).await {
            Ok(_) => {
                self.follow_keys().await?;
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn event(&self, workspace: WorkspaceId, actor: &Actor, reason: &str) -> Event {
        let (id, now) = (self.fresh(), self.now());
        let event = Event::new(id, workspace, now, actor.clone(), Action::KeyRotated);
        Event { reason: reason.into(), ..event }
    }
}
