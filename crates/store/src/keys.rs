//! Keys of workspaces by generation, how far servers have followed a change of keys, and how far a
//! replacement has come. What lies under the keys is in `rewrap`.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, RunTx, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, KeyId, NodeId, WorkspaceId};
use keyward_model::tenant::{KeyState, WorkspaceKey};

/// The small value that holds the fingerprint of the root key in use.
pub const ROOT_FINGERPRINT: &str = "root-key-fingerprint";
/// The small value that every change of keys raises.
const EPOCH: &str = "keys-epoch";
/// What is in the way (`Conflict`) where another root key is in use by now.
pub const ROOT_KEY: &str = "root key";
/// What is in the way where a workspace's keys were changed in between.
const WORKSPACE_KEY: &str = "workspace key";

macro_rules! columns {
    () => {
        "workspace_id, id, generation, state, root, wrapped, created_at"
    };
}
macro_rules! rotation_columns {
    () => {
        "workspace_id, key_id, generation, phase, after_credential, after_version, total,
        rewrapped, unreadable, begun_at, updated_at"
    };
}

statements! {
    INSERT = concat!("INSERT INTO workspace_keys (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7)");
    OF_WORKSPACE = concat!("SELECT ", columns!(), " FROM workspace_keys
        WHERE workspace_id = $1 ORDER BY generation");
    EVERY = concat!("SELECT ", columns!(), " FROM workspace_keys
        ORDER BY workspace_id, generation");
    COUNT = "SELECT count(*) FROM workspace_keys";
    REPLACE = "UPDATE workspace_keys SET state = $4, root = $5, wrapped = $6
        WHERE workspace_id = $1 AND id = $2 AND wrapped = $3";
    FOLLOWED = "UPDATE nodes SET keys_epoch = $2 WHERE id = $1";
    NODE = "SELECT keys_epoch FROM nodes WHERE id = $1";
    BEHIND = "SELECT id FROM nodes WHERE seen_at >= $1 AND keys_epoch < $2 ORDER BY id";
    ROTATION = concat!("SELECT ", rotation_columns!(), " FROM key_rotations
        WHERE workspace_id = $1");
    PUT_ROTATION = concat!("INSERT INTO key_rotations (", rotation_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (workspace_id) DO UPDATE SET key_id = excluded.key_id,
        generation = excluded.generation, phase = excluded.phase,
        after_credential = excluded.after_credential, after_version = excluded.after_version,
        total = excluded.total, rewrapped = excluded.rewrapped, unreadable = excluded.unreadable,
        begun_at = excluded.begun_at, updated_at = excluded.updated_at");
    DELETE_ROTATION = "DELETE FROM key_rotations WHERE workspace_id = $1";
}

/// How keys stand: what a server compares with what it has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysState {
    /// Raised by every change of keys; 0 before the first.
    pub epoch: i64,
    /// The fingerprint of the root key in use; `None` in a new database.
    pub root: Option<String>,
}

/// How far the replacement of a workspace's key generation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationPhase {
    /// The new generation is there; servers load it.
    Prepared,
    /// The new generation seals; what lies under older ones is written anew.
    Rewrapping,
    /// Nothing readable is left under older generations; they can be destroyed.
    Rewrapped,
}

impl RotationPhase {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Rewrapping => "rewrapping",
            Self::Rewrapped => "rewrapped",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Prepared, Self::Rewrapping, Self::Rewrapped].into_iter().find(|p| p.as_str() == text)
    }
}

/// An unfinished replacement of a workspace's key generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRotation {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The new generation's key.
    pub key: KeyId,
    /// The new generation's number.
    pub generation: i64,
    /// How far it has come.
    pub phase: RotationPhase,
    /// The last version key that was looked at: credential and version.
    pub after: Option<(CredentialId, i64)>,
    /// How many version keys there were to write anew at the beginning.
    pub total: i64,
    /// How many version keys were written anew.
    pub rewrapped: i64,
    /// How many records open under no generation, and stay as they are.
    pub unreadable: i64,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it last came further.
    pub updated_at: Timestamp,
}

fn key(row: Row) -> Result<WorkspaceKey, StoreError> {
    let mut cells = Cells::new("workspace_keys", row);
    Ok(WorkspaceKey {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        generation: cells.number()?,
        state: cells.word(KeyState::parse)?,
        root: cells.text()?,
        wrapped: cells.bytes()?,
        created_at: cells.time()?,
    })
}

fn rotation(row: Row) -> Result<KeyRotation, StoreError> {
    let mut cells = Cells::new("key_rotations", row);
    let (workspace, key) = (cells.parsed()?, cells.parsed()?);
    let (generation, phase) = (cells.number()?, cells.word(RotationPhase::parse)?);
    let (credential, version) = (cells.text()?, cells.number()?);
    let after = match credential.is_empty() {
        true => None,
        false => Some((credential.parse().map_err(|_| cells.corrupt())?, version)),
    };
    Ok(KeyRotation {
        workspace,
        key,
        generation,
        phase,
        after,
        total: cells.number()?,
        rewrapped: cells.number()?,
        unreadable: cells.number()?,
        begun_at: cells.time()?,
        updated_at: cells.time()?,
    })
}

impl Reader<'_> {
    /// The workspace's keys, oldest generation first.
    pub fn workspace_keys(
        &mut self,
        workspace: WorkspaceId,
    ) -> Result<Vec<WorkspaceKey>, StoreError> {
        let rows = self.session.query(OF_WORKSPACE, values![workspace])?;
        rows.into_iter().map(key).collect()
    }

    /// The keys of all workspaces, each workspace's oldest generation first.
    pub fn all_workspace_keys(&mut self) -> Result<Vec<WorkspaceKey>, StoreError> {
        let rows = self.session.query(EVERY, values![])?;
        rows.into_iter().map(key).collect()
    }

    /// How keys stand.
    pub fn keys_state(&mut self) -> Result<KeysState, StoreError> {
        let root = self.meta(ROOT_FINGERPRINT)?.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(KeysState { epoch: self.keys_epoch()?, root })
    }

    fn keys_epoch(&mut self) -> Result<i64, StoreError> {
        let Some(bytes) = self.meta(EPOCH)? else { return Ok(0) };
        let bytes = <[u8; 8]>::try_from(bytes);
        let corrupt = |_| StoreError::Corrupt { table: "meta", key: EPOCH.into() };
        bytes.map(i64::from_be_bytes).map_err(corrupt)
    }

    /// The epoch up to which a server has followed; `None` where it has no row.
    pub fn node_keys_epoch(&mut self, node: NodeId) -> Result<Option<i64>, StoreError> {
        let row = self.session.one(NODE, values![node])?;
        row.map(|row| Cells::new("nodes", row).number()).transpose()
    }

    /// Servers that were seen since and have not followed up to that epoch.
    pub fn nodes_behind(
        &mut self,
        epoch: i64,
        since: Timestamp,
    ) -> Result<Vec<NodeId>, StoreError> {
        let rows = self.session.query(BEHIND, values![since, epoch])?;
        rows.into_iter().map(|row| Cells::new("nodes", row).parsed()).collect()
    }

    /// The workspace's unfinished replacement of its key generation.
    pub fn key_rotation(
        &mut self,
        workspace: WorkspaceId,
    ) -> Result<Option<KeyRotation>, StoreError> {
        self.session.one(ROTATION, values![workspace])?.map(rotation).transpose()
    }
}

impl RunTx<'_> {
    /// Says that a server has loaded all keys of that epoch.
    pub fn keys_followed(&mut self, node: NodeId, epoch: i64) -> Result<(), StoreError> {
        self.session.execute(FOLLOWED, values![node, epoch]).map(|_| ())
    }

    /// Notes how far a replacement has come.
    pub fn put_key_rotation(&mut self, rotation: &KeyRotation) -> Result<(), StoreError> {
        let (credential, version) = match rotation.after {
            Some((credential, version)) => (credential.to_string(), version),
            None => (String::new(), 0),
        };
        let KeyRotation { workspace, key, generation, phase, total, rewrapped, .. } = rotation;
        let values = values![
            *workspace,
            *key,
            *generation,
            phase.as_str(),
            credential,
            version,
            *total,
            *rewrapped,
            rotation.unreadable,
            rotation.begun_at,
            rotation.updated_at,
        ];
        self.session.execute(PUT_ROTATION, values).map(|_| ())
    }

    /// Forgets a replacement that is done.
    pub fn forget_key_rotation(&mut self, workspace: WorkspaceId) -> Result<(), StoreError> {
        self.session.execute(DELETE_ROTATION, values![workspace]).map(|_| ())
    }
}

impl Tx<'_> {
    /// Adds a key generation. `Conflict` (`root key`) where its root key is not the one in use any
    /// more, so that no row is left behind by a change of the root key.
    pub fn insert_workspace_key(&mut self, key: &WorkspaceKey) -> Result<(), StoreError> {
        self.expect_root(&key.root)?;
        let WorkspaceKey { workspace, id, generation, state, root, wrapped, created_at } = key;
        let values = values![
            *workspace,
            *id,
            *generation,
            state.as_str(),
            root.as_str(),
            wrapped.as_slice(),
            *created_at,
        ];
        let result = self.session.execute(INSERT, values);
        result.map(|_| ()).map_err(|error| error.named("key generation"))
    }

    /// Replaces a generation's row that is still as it was read; otherwise `Conflict` (`workspace
    /// key`, or `root key` where that has changed).
    pub fn replace_workspace_key(
        &mut self,
        before: &WorkspaceKey,
        after: &WorkspaceKey,
    ) -> Result<(), StoreError> {
        self.expect_root(&after.root)?;
        self.replace_wrapped(before, after)
    }

    /// Makes another root key the one in use: all generations of all workspaces, as they were read,
    /// with their new rows. `Conflict` where any key was changed or added in between.
    pub fn change_root_key(
        &mut self,
        (before, after): (&str, &str),
        rows: &[(WorkspaceKey, WorkspaceKey)],
    ) -> Result<(), StoreError> {
        self.expect_root(before)?;
        let count = self.session.one(COUNT, values![])?.unwrap_or_default();
        if Cells::new("workspace_keys", count).number()? != rows.len() as i64 {
            return Err(StoreError::Conflict { what: WORKSPACE_KEY });
        }
        rows.iter().try_for_each(|(before, after)| self.replace_wrapped(before, after))?;
        self.put_meta(ROOT_FINGERPRINT, after.as_bytes())?;
        self.raise_keys_epoch().map(drop)
    }

    /// Raises the epoch, so that servers look at the keys again; gives the new one.
    pub fn raise_keys_epoch(&mut self) -> Result<i64, StoreError> {
        let epoch = self.keys_epoch()?.saturating_add(1);
        self.put_meta(EPOCH, &epoch.to_be_bytes())?;
        Ok(epoch)
    }

    fn replace_wrapped(
        &mut self,
        before: &WorkspaceKey,
        after: &WorkspaceKey,
    ) -> Result<(), StoreError> {
        let WorkspaceKey { workspace, id, wrapped, .. } = before;
        let (state, root) = (after.state.as_str(), after.root.as_str());
        let values =
            values![*workspace, *id, wrapped.as_slice(), state, root, after.wrapped.as_slice(),];
        match self.session.execute(REPLACE, values)? {
            0 => Err(StoreError::Conflict { what: WORKSPACE_KEY }),
            _ => Ok(()),
        }
    }

    fn expect_root(&mut self, fingerprint: &str) -> Result<(), StoreError> {
        match self.meta(ROOT_FINGERPRINT)? {
            Some(found) if found == fingerprint.as_bytes() => Ok(()),
            _ => Err(StoreError::Conflict { what: ROOT_KEY }),
        }
    }
}
