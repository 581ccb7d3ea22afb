//! What lies under a workspace's keys, so that it can be written anew under another generation:
//! sealed records here, signed rows in `signed`. Every write compares with what was read, so that
//! a change in between stays, and is looked at again.

mod signed;

pub(crate) use signed::signed;
pub use signed::{SIGNED_TABLES, Signed, SignedRow};

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, Row, Value, values};
use keyward_model::credential::Sealed;
use keyward_model::id::{CredentialId, Identifier as _, KeyId, RunId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::saved_workflow::Workflow;
use keyward_model::tag::{Tag, Tagged};

/// A record names its key in the 16 bytes after its first (docs/sealed-format.md).
macro_rules! under_others {
    ($column:literal, $key:literal) => {
        concat!("substr(", $column, ", 2, 16) <> ", $key)
    };
}

statements! {
    VERSION_KEYS = concat!("SELECT credential_id, version, wrapped_key FROM credential_versions
        WHERE workspace_id = $1 AND (credential_id, version) > ($3, $4) AND ",
        under_others!("wrapped_key", "$2"), " ORDER BY credential_id, version LIMIT $5");
    REWRAP_VERSION_KEY = "UPDATE credential_versions SET wrapped_key = $5
        WHERE workspace_id = $1 AND credential_id = $2 AND version = $3 AND wrapped_key = $4";
    REWRAP_TRIGGER = "UPDATE workflows SET trigger_token = $4, tag = $5
        WHERE workspace_id = $1 AND id = $2 AND tag = $3";
    RUN_KEYS = concat!("SELECT id, run_key FROM runs WHERE workspace_id = $1 AND id > $3
        AND run_key IS NOT NULL AND ", under_others!("run_key", "$2"), " ORDER BY id LIMIT $4");
    REWRAP_RUN_KEY = "UPDATE runs SET run_key = $4
        WHERE workspace_id = $1 AND id = $2 AND run_key = $3";
    PAYLOADS = "SELECT id, payload FROM runs WHERE workspace_id = $1 AND id > $2
        AND no_store = 1 AND finished_at IS NULL ORDER BY id LIMIT $3";
    REWRAP_PAYLOAD = "UPDATE runs SET payload = $4
        WHERE workspace_id = $1 AND id = $2 AND payload = $3";
    OUTPUTS = "SELECT s.run_id, s.position, s.output FROM runs r JOIN steps s
        ON s.workspace_id = r.workspace_id AND s.run_id = r.id
        WHERE r.workspace_id = $1 AND (s.run_id, s.position) > ($2, $3)
        AND r.no_store = 1 AND r.finished_at IS NULL AND s.output IS NOT NULL
        ORDER BY s.run_id, s.position LIMIT $4";
    REWRAP_OUTPUT = "UPDATE steps SET output = $5
        WHERE workspace_id = $1 AND run_id = $2 AND position = $3 AND output = $4";
    REPLIES = concat!("SELECT caller, key_hash, request_digest, status, body FROM idempotency
        WHERE workspace_id = $1 AND (caller, key_hash) > ($3, $4) AND status <> 0 AND ",
        under_others!("body", "$2"), " ORDER BY caller, key_hash LIMIT $5");
    REWRAP_REPLY = "UPDATE idempotency SET body = $5
        WHERE workspace_id = $1 AND caller = $2 AND key_hash = $3 AND body = $4";
    COUNT_VERSION_KEYS = concat!("SELECT count(*) FROM credential_versions
        WHERE workspace_id = $1 AND ", under_others!("wrapped_key", "$2"));
    COUNT_TRIGGERS = concat!("SELECT count(*) FROM workflows
        WHERE workspace_id = $1 AND ", under_others!("trigger_token", "$2"));
    COUNT_RUN_KEYS = concat!("SELECT count(*) FROM runs
        WHERE workspace_id = $1 AND run_key IS NOT NULL AND ", under_others!("run_key", "$2"));
    COUNT_REPLIES = concat!("SELECT count(*) FROM idempotency
        WHERE workspace_id = $1 AND status <> 0 AND ", under_others!("body", "$2"));
}

/// The wrapped key of one credential version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionKey {
    /// The credential.
    pub credential: CredentialId,
    /// The version.
    pub version: i64,
    /// The wrapped key.
    pub wrapped: Sealed,
}

/// The kinds of small sealed records that stand in a column of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Keys of open runs.
    RunKey,
    /// Triggers of open no-store runs.
    Payload,
    /// Outputs of steps of open no-store runs.
    Output,
    /// Answers kept for repeated requests.
    Reply,
}

/// What a small sealed record is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellOwner {
    /// A run.
    Run(RunId),
    /// A caller's request, and how it ended.
    Reply {
        /// Who asked.
        caller: String,
        /// Hash of the key that was sent along.
        key_hash: Vec<u8>,
        /// Digest of the request.
        request_digest: Vec<u8>,
        /// The answer's HTTP status.
        status: i64,
    },
}

/// A small sealed record with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCell {
    /// What it is.
    pub kind: CellKind,
    /// What it is bound to.
    pub owner: CellOwner,
    /// The record; `None` where the cell holds something else.
    pub sealed: Option<Sealed>,
    /// A step's place in its run.
    position: i64,
}

fn version_key(row: Row) -> Result<VersionKey, StoreError> {
    let mut cells = Cells::new("credential_versions", row);
    let (credential, version) = (cells.parsed()?, cells.number()?);
    Ok(VersionKey { credential, version, wrapped: Sealed::from_bytes(cells.bytes()?) })
}

fn cell(kind: CellKind, row: Row) -> Result<SealedCell, StoreError> {
    let bytes = |cells: &mut Cells| cells.bytes().map(|bytes| Some(Sealed::from_bytes(bytes)));
    let text = |cells: &mut Cells| cells.text().map(|text| Masked::sealed_in(&text));
    let mut position = 0;
    let (owner, sealed) = match kind {
        CellKind::RunKey => {
            let mut cells = Cells::new("runs", row);
            (CellOwner::Run(cells.parsed()?), bytes(&mut cells)?)
        }
        CellKind::Payload => {
            let mut cells = Cells::new("runs", row);
            (CellOwner::Run(cells.parsed()?), text(&mut cells)?)
        }
        CellKind::Output => {
            let mut cells = Cells::new("steps", row);
            let run = cells.parsed()?;
            position = cells.number()?;
            (CellOwner::Run(run), text(&mut cells)?)
        }
        CellKind::Reply => {
            let mut cells = Cells::new("idempotency", row);
            let (caller, key_hash, request_digest) =
                (cells.text()?, cells.bytes()?, cells.bytes()?);
            let status = cells.number()?;
            (CellOwner::Reply { caller, key_hash, request_digest, status }, bytes(&mut cells)?)
        }
    };
    Ok(SealedCell { kind, owner, sealed, position })
}

impl Reader<'_> {
    /// Version keys that do not lie under that key, by credential and version.
    pub fn version_keys_under_others(
        &mut self,
        workspace: WorkspaceId,
        key: KeyId,
        after: Option<(CredentialId, i64)>,
        limit: u32,
    ) -> Result<Vec<VersionKey>, StoreError> {
        let (credential, version) = match after {
            Some((credential, version)) => (credential.to_string(), version),
            None => (String::new(), 0),
        };
        let values =
            values![workspace, key.as_bytes().as_slice(), credential, version, i64::from(limit)];
        let rows = self.session.query(VERSION_KEYS, values)?;
        // A row that cannot be read is nobody's to write.
        Ok(rows.into_iter().filter_map(|row| version_key(row).ok()).collect())
    }

    /// Small sealed records, in order; those whose key can be seen by a query only where they do
    /// not lie under that key.
    pub fn sealed_cells(
        &mut self,
        (workspace, kind): (WorkspaceId, CellKind),
        key: KeyId,
        after: Option<&SealedCell>,
        limit: u32,
    ) -> Result<Vec<SealedCell>, StoreError> {
        let (key, limit) = (key.as_bytes().as_slice(), i64::from(limit));
        let run = match after.map(|cell| &cell.owner) {
            Some(CellOwner::Run(run)) => run.to_string(),
            _ => String::new(),
        };
        let rows = match kind {
            CellKind::RunKey => {
                self.session.query(RUN_KEYS, values![workspace, key, run, limit])?
            }
            CellKind::Payload => self.session.query(PAYLOADS, values![workspace, run, limit])?,
            CellKind::Output => {
                let position = after.map_or(-1, |cell| cell.position);
                self.session.query(OUTPUTS, values![workspace, run, position, limit])?
            }
            CellKind::Reply => {
                let (caller, hash) = match after.map(|cell| &cell.owner) {
                    Some(CellOwner::Reply { caller, key_hash, .. }) => {
                        (caller.as_str(), &**key_hash)
                    }
                    _ => ("", &[][..]),
                };
                self.session.query(REPLIES, values![workspace, key, caller, hash, limit])?
            }
        };
        Ok(rows.into_iter().filter_map(|row| cell(kind, row).ok()).collect())
    }

    /// How many records lie under other keys than that one, by what they are. Signed rows, which
    /// name no key, are not among them.
    pub fn count_under_others(
        &mut self,
        workspace: WorkspaceId,
        key: KeyId,
    ) -> Result<Vec<(&'static str, i64)>, StoreError> {
        let statements = [
            ("version_keys", COUNT_VERSION_KEYS),
            ("trigger_tokens", COUNT_TRIGGERS),
            ("run_keys", COUNT_RUN_KEYS),
            ("kept_answers", COUNT_REPLIES),
        ];
        let mut counts = Vec::with_capacity(statements.len());
        for (what, sql) in statements {
            let row = self.session.one(sql, values![workspace, key.as_bytes().as_slice()])?;
            counts.push((what, Cells::new("workspace_keys", row.unwrap_or_default()).number()?));
        }
        Ok(counts)
    }
}

impl RunTx<'_> {
    /// Writes a version's key anew; false where it is not as it was read.
    pub fn rewrap_version_key(
        &mut self,
        workspace: WorkspaceId,
        before: &VersionKey,
        after: &Sealed,
    ) -> Result<bool, StoreError> {
        let VersionKey { credential, version, wrapped } = before;
        let values =
            values![workspace, *credential, *version, wrapped.as_bytes(), after.as_bytes()];
        Ok(self.session.execute(REWRAP_VERSION_KEY, values)? > 0)
    }

    /// Writes a workflow's trigger token anew with the tag that covers it; false where the head is
    /// not as it was read.
    pub fn rewrap_trigger_token(
        &mut self,
        before: &Tag,
        after: &Tagged<Workflow>,
    ) -> Result<bool, StoreError> {
        let (row, tag) = after.parts();
        let values = values![row.workspace, row.id, before, row.trigger_token.as_bytes(), tag];
        Ok(self.session.execute(REWRAP_TRIGGER, values)? > 0)
    }

    /// Writes a small sealed record anew; false where it is not as it was read.
    pub fn rewrap_cell(
        &mut self,
        workspace: WorkspaceId,
        before: &SealedCell,
        after: &Sealed,
    ) -> Result<bool, StoreError> {
        let Some(old) = &before.sealed else { return Ok(false) };
        let text = |sealed| Value::from(Masked::of_sealed(sealed).as_str().to_owned());
        let (old_bytes, new_bytes) = (old.as_bytes(), after.as_bytes());
        let changed = match (before.kind, &before.owner) {
            (CellKind::RunKey, CellOwner::Run(run)) => {
                let values = values![workspace, *run, old_bytes, new_bytes];
                self.session.execute(REWRAP_RUN_KEY, values)?
            }
            (CellKind::Payload, CellOwner::Run(run)) => {
                let values = values![workspace, *run, text(old), text(after)];
                self.session.execute(REWRAP_PAYLOAD, values)?
            }
            (CellKind::Output, CellOwner::Run(run)) => {
                let values = values![workspace, *run, before.position, text(old), text(after)];
                self.session.execute(REWRAP_OUTPUT, values)?
            }
            (CellKind::Reply, CellOwner::Reply { caller, key_hash, .. }) => {
                let key_hash = key_hash.as_slice();
                let values = values![workspace, caller.as_str(), key_hash, old_bytes, new_bytes];
                self.session.execute(REWRAP_REPLY, values)?
            }
            _ => 0,
        };
        Ok(changed > 0)
    }
}
