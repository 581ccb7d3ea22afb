//! Credentials: tagged heads and sealed versions; the list's filters are in `filter`, the rows that
//! they read in `finding`.

mod filter;
pub(crate) mod finding;

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, Value, values};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, CredentialVersion, Scope, Sealed, Status,
    policy_from_document,
};
use keyward_model::id::{CredentialId, MemberId, WorkspaceId};
use keyward_model::tag::Tagged;
use std::collections::BTreeMap;

pub use filter::{CredentialFilter, Visible};

macro_rules! columns {
    () => {
        "workspace_id, id, key, type, scope_kind, scope_id, policy, code_access, details, version,
        status, status_reason, owner_id, created_at, updated_at, rotated_at, expires_at, revision,
        lifecycle, tag"
    };
}
macro_rules! version_columns {
    () => {
        "workspace_id, credential_id, version, wrapped_key, fields, created_at"
    };
}

pub(crate) const LIST: &str = concat!("SELECT ", columns!(), " FROM credentials ");

pub(crate) const SIGNED: Signed = signed!(Credential, LIST, ["id"], credential);

statements! {
    INSERT = concat!("INSERT INTO credentials (", columns!(), ", deleted_at, due_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        $19, $20, $21, $22)");
    UPDATE = "UPDATE credentials SET key = $3, type = $4, scope_kind = $5, scope_id = $6,
        policy = $7, code_access = $8, details = $9, version = $10, status = $11,
        status_reason = $12, owner_id = $13, created_at = $14, updated_at = $15, rotated_at = $16,
        expires_at = $17, revision = $18, lifecycle = $19, tag = $20, deleted_at = $21,
        due_at = $22 WHERE workspace_id = $1 AND id = $2 AND revision = $23";
    DELETE = "DELETE FROM credentials WHERE workspace_id = $1 AND id = $2";
    BY_ID = concat!("SELECT ", columns!(), " FROM credentials
        WHERE workspace_id = $1 AND id = $2");
    BY_KEY = concat!("SELECT ", columns!(), " FROM credentials
        WHERE workspace_id = $1 AND key = $2 AND deleted_at IS NULL
        ORDER BY scope_kind, scope_id");
    PERSONAL = concat!("SELECT ", columns!(), " FROM credentials
        WHERE workspace_id = $1 AND owner_id = $2 AND scope_kind = 'personal' ORDER BY id");
    DUE = concat!("SELECT ", columns!(), " FROM credentials WHERE due_at <= $1
        ORDER BY due_at LIMIT $2");
    INSERT_VERSION = concat!("INSERT INTO credential_versions (", version_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6)");
    VERSION = concat!("SELECT ", version_columns!(), " FROM credential_versions
        WHERE workspace_id = $1 AND credential_id = $2 AND version = $3");
    VERSIONS = concat!("SELECT ", version_columns!(), " FROM credential_versions
        WHERE workspace_id = $1 AND credential_id = $2 AND version < $3
        ORDER BY version DESC LIMIT $4");
    REWRAP = "UPDATE credential_versions SET wrapped_key = $4
        WHERE workspace_id = $1 AND credential_id = $2 AND version = $3";
    DELETE_VERSION = "DELETE FROM credential_versions
        WHERE workspace_id = $1 AND credential_id = $2 AND version = $3";
    DELETE_VERSIONS = "DELETE FROM credential_versions
        WHERE workspace_id = $1 AND credential_id = $2";
    DELETE_USES = "DELETE FROM credential_uses WHERE workspace_id = $1 AND credential_id = $2";
    DELETE_ACTIVITY = "DELETE FROM credential_activity
        WHERE workspace_id = $1 AND credential_id = $2";
    DELETE_SHARES = "DELETE FROM shares WHERE workspace_id = $1 AND credential_id = $2";
}

/// A row of the list; one that cannot be read never stops the others.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a page's rows are nearly all of the large kind")]
pub enum Listed {
    /// A credential, its tag unchecked.
    Row(Tagged<Credential>),
    /// A row that somebody else wrote: what of it says which one it is.
    Unreadable {
        /// Its id.
        id: CredentialId,
        /// Its key.
        key: String,
        /// Its scope, where that can be read.
        scope: Option<Scope>,
    },
}

impl Listed {
    /// `None` for a row without a readable id, which cannot be named by anybody.
    fn read(row: Row) -> Option<Self> {
        let mut cells = Cells::new("credentials", row.clone());
        match credential(row) {
            Ok(credential) => Some(Self::Row(credential)),
            Err(_) => Self::unreadable(&mut cells).ok(),
        }
    }

    fn unreadable(cells: &mut Cells) -> Result<Self, StoreError> {
        let _workspace = cells.text()?;
        let (id, key) = (cells.parsed()?, cells.text()?);
        let _kind = cells.text();
        let scope = cells.text().ok().zip(cells.text().ok());
        let scope = scope.and_then(|(kind, id)| Scope::parse(&kind, &id));
        Ok(Self::Unreadable { id, key, scope })
    }
}

/// Where a list goes on after a row: the key and id that it was found by are its last cells.
fn cursor(row: &Row) -> Option<String> {
    match row.as_slice() {
        [.., Value::Text(key), Value::Text(id)] => Some(format!("{key}/{id}")),
        _ => None,
    }
}

fn credential(row: Row) -> Result<Tagged<Credential>, StoreError> {
    let mut cells = Cells::new("credentials", row);
    let (workspace, id, key) = (cells.parsed()?, cells.parsed()?, cells.text()?);
    let kind = cells.word(CredentialType::parse)?;
    let scope = Scope::parse(&cells.text()?, &cells.text()?).ok_or_else(|| cells.corrupt())?;
    let policy = policy_from_document(&cells.text()?).ok_or_else(|| cells.corrupt())?;
    let code_access = cells.word(code_access)?;
    let details = serde_json::from_str(&cells.text()?).map_err(|_| cells.corrupt())?;
    let credential = Credential {
        workspace,
        id,
        key,
        kind,
        scope,
        policy,
        code_access,
        details,
        version: cells.number()?,
        status: cells.word(Status::parse)?,
        status_reason: cells.optional_text()?,
        owner: cells.parsed()?,
        created_at: cells.time()?,
        updated_at: cells.time()?,
        rotated_at: cells.time()?,
        expires_at: cells.optional_time()?,
        revision: cells.number()?,
        lifecycle: serde_json::from_str(&cells.text()?).map_err(|_| cells.corrupt())?,
    };
    Ok(Tagged::stored(credential, cells.tag()?))
}

fn code_access(text: &str) -> Option<CodeAccess> {
    [CodeAccess::Sealed, CodeAccess::Readable].into_iter().find(|access| access.as_str() == text)
}

fn version(row: Row) -> Result<CredentialVersion, StoreError> {
    let mut cells = Cells::new("credential_versions", row);
    Ok(CredentialVersion {
        workspace: cells.parsed()?,
        credential: cells.parsed()?,
        version: cells.number()?,
        wrapped_key: Sealed::from_bytes(cells.bytes()?),
        fields: unpack(&cells.bytes()?).ok_or_else(|| cells.corrupt())?,
        created_at: cells.time()?,
    })
}

/// The sealed fields in one column: for each name and record, u32 length (big-endian) and bytes.
fn pack(fields: &BTreeMap<String, Sealed>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in fields.iter().flat_map(|(name, sealed)| [name.as_bytes(), sealed.as_bytes()]) {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn unpack(mut bytes: &[u8]) -> Option<BTreeMap<String, Sealed>> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let name = String::from_utf8(part(&mut bytes)?.to_vec()).ok()?;
        fields.insert(name, Sealed::from_bytes(part(&mut bytes)?.to_vec()));
    }
    Some(fields)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *bytes = rest;
    Some(part)
}

/// All columns in the order of INSERT and UPDATE.
fn row<'a>(tagged: &'a Tagged<Credential>) -> Vec<Value<'a>> {
    let (c, tag) = tagged.parts();
    let mut values = values![c.workspace, c.id, c.key.as_str(), c.kind.as_str()].to_vec();
    values.extend_from_slice(values![c.scope.kind(), c.scope.id_text(), c.policy_document()]);
    values.extend_from_slice(values![c.code_access.as_str(), c.details_document(), c.version]);
    values.extend_from_slice(values![c.status.as_str(), c.status_reason.as_deref(), c.owner]);
    values.extend_from_slice(values![c.created_at, c.updated_at, c.rotated_at, c.expires_at]);
    values.extend_from_slice(values![c.revision, c.lifecycle_document(), tag]);
    let deleted_at = c.lifecycle.deleted.as_ref().map(|deleted| deleted.at);
    values.extend_from_slice(values![deleted_at, c.next_due()]);
    values
}

impl Reader<'_> {
    /// The credential of that id.
    pub fn credential(
        &mut self,
        workspace: WorkspaceId,
        id: CredentialId,
    ) -> Result<Option<Tagged<Credential>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(credential).transpose()
    }

    /// The credentials of that key, of all scopes.
    pub fn credentials_by_key(
        &mut self,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Vec<Tagged<Credential>>, StoreError> {
        let rows = self.session.query(BY_KEY, values![workspace, key])?;
        rows.into_iter().map(credential).collect()
    }

    /// A member's personal credentials, also deleted ones.
    pub fn personal_credentials(
        &mut self,
        workspace: WorkspaceId,
        owner: MemberId,
    ) -> Result<Vec<Tagged<Credential>>, StoreError> {
        let rows = self.session.query(PERSONAL, values![workspace, owner])?;
        // A row that cannot be read is used by nobody, and must not keep its owner from leaving.
        Ok(rows.into_iter().filter_map(|row| credential(row).ok()).collect())
    }

    /// Up to `limit` credentials, of all workspaces, whose grace or time for restoring is over.
    pub fn credentials_due(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Tagged<Credential>>, StoreError> {
        let rows = self.session.query(DUE, values![now, i64::from(limit)])?;
        // A row that somebody else wrote must not keep the others from their end.
        Ok(rows.into_iter().filter_map(|row| credential(row).ok()).collect())
    }

    /// The workspace's credentials by key, unreadable rows marked.
    pub fn credentials(
        &mut self,
        workspace: WorkspaceId,
        filter: &CredentialFilter,
        page: &Page,
    ) -> Result<Paged<Listed>, StoreError> {
        let select = filter.select(workspace, page, columns!())?;
        let (sql, values) = select.parts();
        let mut rows = self.session.query(sql, values)?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        let next = rows.last().filter(|_| more).and_then(cursor);
        let items = rows.into_iter().filter_map(Listed::read).collect();
        Ok(Paged { items, next })
    }

    /// A version's sealed values.
    pub fn credential_version(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        number: i64,
    ) -> Result<Option<CredentialVersion>, StoreError> {
        let row = self.session.one(VERSION, values![workspace, credential, number])?;
        row.map(version).transpose()
    }

    /// A credential's versions, newest first.
    pub fn credential_versions(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        page: &Page,
    ) -> Result<Paged<CredentialVersion>, StoreError> {
        let before = page.after::<i64>()?.unwrap_or(i64::MAX);
        let values = values![workspace, credential, before, page.probe()];
        let rows = self.session.query(VERSIONS, values)?;
        let items = rows.into_iter().map(version).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |version: &CredentialVersion| version.version.to_string()))
    }
}

impl Tx<'_> {
    /// Adds a credential; a key that is taken in its scope is `Conflict`.
    pub fn insert_credential(&mut self, credential: &Tagged<Credential>) -> Result<(), StoreError> {
        let result = self.session.execute(INSERT, &row(credential));
        result.map_err(|error| error.named("key"))?;
        finding::insert(&mut self.session, credential.parts().0)
    }

    /// Replaces a credential that is still at revision `expected`; otherwise `Conflict`
    /// (`revision`), also where it is gone.
    pub fn update_credential(
        &mut self,
        credential: &Tagged<Credential>,
        expected: i64,
    ) -> Result<(), StoreError> {
        finding::update(&mut self.session, credential.parts().0)?;
        let mut values = row(credential);
        values.push(expected.into());
        match self.session.execute(UPDATE, &values).map_err(|error| error.named("key"))? {
            0 => Err(StoreError::Conflict { what: "revision" }),
            _ => Ok(()),
        }
    }

    /// Removes a credential with all versions, shares and counts; false where there is none.
    pub fn delete_credential(
        &mut self,
        workspace: WorkspaceId,
        id: CredentialId,
    ) -> Result<bool, StoreError> {
        self.leaves_copies = true;
        self.session.execute(DELETE_VERSIONS, values![workspace, id])?;
        self.session.execute(DELETE_USES, values![workspace, id])?;
        self.session.execute(DELETE_ACTIVITY, values![workspace, id])?;
        self.session.execute(DELETE_SHARES, values![workspace, id])?;
        finding::delete(&mut self.session, workspace, id)?;
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }

    /// Adds a version; a number that is taken is `Conflict`.
    pub fn insert_credential_version(
        &mut self,
        version: &CredentialVersion,
    ) -> Result<(), StoreError> {
        let CredentialVersion { workspace, credential, version, wrapped_key, fields, created_at } =
            version;
        let (key, fields) = (wrapped_key.as_bytes(), pack(fields));
        let values = values![*workspace, *credential, *version, key, fields, *created_at];
        let result = self.session.execute(INSERT_VERSION, values);
        result.map(|_| ()).map_err(|error| error.named("version"))
    }

    /// Replaces the wrapping of a version's key, as narrowing its policy does; false where the
    /// version is gone.
    pub fn rewrap_credential_version(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        number: i64,
        wrapped_key: &Sealed,
    ) -> Result<bool, StoreError> {
        let values = values![workspace, credential, number, wrapped_key.as_bytes()];
        Ok(self.session.execute(REWRAP, values)? > 0)
    }

    /// Removes a version; false where there is none.
    pub fn delete_credential_version(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        number: i64,
    ) -> Result<bool, StoreError> {
        self.leaves_copies = true;
        Ok(self.session.execute(DELETE_VERSION, values![workspace, credential, number])? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_fields_come_back_and_damage_is_seen() {
        let sealed = |bytes: &[u8]| Sealed::from_bytes(bytes.to_vec());
        let fields =
            BTreeMap::from([("value".to_owned(), sealed(&[1; 300])), (String::new(), sealed(b""))]);
        let packed = pack(&fields);
        assert_eq!(unpack(&packed), Some(fields));
        assert_eq!(unpack(&packed[..packed.len() - 1]), None);
        assert_eq!(unpack(b""), Some(BTreeMap::new()));
    }
}
