//! Shares in credentials: tagged rows.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::Select;
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::id::{CredentialId, MemberId, WorkspaceId};
use keyward_model::share::{Level, Share, Sharee};
use keyward_model::tag::Tagged;

macro_rules! columns {
    () => {
        "s.workspace_id, s.credential_id, s.sharee, s.level, s.by_id, s.at, s.tag"
    };
}

const LIST: &str = concat!("SELECT ", columns!(), " FROM shares s ");

pub(crate) const SIGNED: Signed = signed!(Share, LIST, ["credential_id", "sharee"], share);

statements! {
    PUT = "INSERT INTO shares (workspace_id, credential_id, sharee, level, by_id, at, tag)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (workspace_id, credential_id, sharee) DO UPDATE SET
        level = excluded.level, by_id = excluded.by_id, at = excluded.at, tag = excluded.tag";
    DELETE = "DELETE FROM shares WHERE workspace_id = $1 AND credential_id = $2 AND sharee = $3";
    DELETE_OF = "DELETE FROM shares WHERE workspace_id = $1 AND sharee = $2";
    OF_KEY = concat!("SELECT ", columns!(), " FROM credentials c JOIN shares s
        ON s.workspace_id = c.workspace_id AND s.credential_id = c.id
        WHERE c.workspace_id = $1 AND c.key = $2 AND c.deleted_at IS NULL");
    OF_SHAREE = concat!("SELECT ", columns!(), " FROM shares s
        WHERE s.workspace_id = $1 AND s.sharee = $2 ORDER BY s.credential_id");
}

fn share(row: Row) -> Result<Tagged<Share>, StoreError> {
    let mut cells = Cells::new("shares", row);
    let share = Share {
        workspace: cells.parsed()?,
        credential: cells.parsed()?,
        sharee: cells.word(Sharee::parse)?,
        level: cells.word(Level::parse)?,
        by: cells.parsed()?,
        at: cells.time()?,
    };
    Ok(Tagged::stored(share, cells.tag()?))
}

/// A row that cannot be read grants nothing, and keeps no other from it.
fn readable(rows: Vec<Row>) -> Vec<Tagged<Share>> {
    rows.into_iter().filter_map(|row| share(row).ok()).collect()
}

impl Reader<'_> {
    /// The shares in these credentials, by credential and sharee.
    pub fn shares(
        &mut self,
        workspace: WorkspaceId,
        credentials: &[CredentialId],
    ) -> Result<Vec<Tagged<Share>>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE workspace_id = ? AND credential_id IN (''", [workspace.into()]);
        for credential in credentials {
            select.add(", ?", [(*credential).into()]);
        }
        select.add(") ORDER BY credential_id, sharee", []);
        let (sql, values) = select.parts();
        Ok(readable(self.session.query(sql, values)?))
    }

    /// The shares in all credentials of a key.
    pub fn shares_by_key(
        &mut self,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Vec<Tagged<Share>>, StoreError> {
        Ok(readable(self.session.query(OF_KEY, values![workspace, key])?))
    }

    /// What was given to one member by name.
    pub fn shares_of(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<Vec<Tagged<Share>>, StoreError> {
        Ok(readable(self.session.query(OF_SHAREE, values![workspace, member])?))
    }
}

impl Tx<'_> {
    /// Gives a share, or replaces its level.
    pub fn put_share(&mut self, share: &Tagged<Share>) -> Result<(), StoreError> {
        let (s, tag) = share.parts();
        let (sharee, level) = (s.sharee.to_string(), s.level.as_str());
        let values = values![s.workspace, s.credential, sharee, level, s.by, s.at, tag];
        self.session.execute(PUT, values).map(|_| ())
    }

    /// Takes a share back; false where there is none.
    pub fn delete_share(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        sharee: Sharee,
    ) -> Result<bool, StoreError> {
        let values = values![workspace, credential, sharee.to_string()];
        Ok(self.session.execute(DELETE, values)? > 0)
    }

    /// Takes back all that was given to one member by name.
    pub fn delete_shares_of(
        &mut self,
        workspace: WorkspaceId,
        member: MemberId,
    ) -> Result<(), StoreError> {
        self.session.execute(DELETE_OF, values![workspace, member]).map(|_| ())
    }
}
