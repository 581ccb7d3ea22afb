//! The rows by which credentials are found: kept with each change of a head, and with each use.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::session::Session;
use crate::value::values;
use keyward_model::clock::Timestamp;
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, WorkspaceId};

/// The row of a credential whose head is still there; the key is the way to it.
macro_rules! row {
    () => {
        "WHERE workspace_id = $1 AND deleted IN (0, 1) AND id = $2
        AND key = (SELECT c.key FROM credentials c WHERE c.workspace_id = $1 AND c.id = $2)"
    };
}

statements! {
    INSERT = "INSERT INTO credential_finding (workspace_id, id, deleted, key, type, scope_kind,
        scope_id, environment, status, owner_id, version, rotated_at, expires_at, tags, search)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    UPDATE = concat!("UPDATE credential_finding SET deleted = $3, key = $4, type = $5,
        scope_kind = $6, scope_id = $7, environment = $8, status = $9, owner_id = $10,
        version = $11, rotated_at = $12, expires_at = $13, tags = $14, search = $15 ", row!());
    DELETE = concat!("DELETE FROM credential_finding ", row!());
    USED = concat!("UPDATE credential_finding SET last_used_at = $3 ", row!(),
        " AND (last_used_at IS NULL OR last_used_at < $3)");
}

/// Makes a new credential findable.
pub(super) fn insert(session: &mut Session<'_>, c: &Credential) -> Result<(), StoreError> {
    write(session, INSERT, c)
}

/// Follows a change; stands before the change of the head itself.
pub(super) fn update(session: &mut Session<'_>, c: &Credential) -> Result<(), StoreError> {
    write(session, UPDATE, c)
}

fn write(session: &mut Session<'_>, sql: &str, c: &Credential) -> Result<(), StoreError> {
    let details = &c.details;
    let search = [&c.key, &details.name, &details.description].map(|text| text.to_lowercase());
    let values = values![
        c.workspace,
        c.id,
        c.lifecycle.deleted.is_some(),
        c.key.as_str(),
        c.kind.as_str(),
        c.scope.kind(),
        c.scope.id_text(),
        details.environment.as_str(),
        c.status.as_str(),
        c.owner,
        c.version,
        c.rotated_at,
        c.expires_at,
        labels(&details.tags),
        search.join("\n"),
    ];
    session.execute(sql, values).map(|_| ())
}

/// Labels between line ends, so that one is found whole, in any case.
fn labels(tags: &[String]) -> String {
    tags.iter().fold("\n".to_owned(), |all, tag| all + &tag.to_lowercase() + "\n")
}

/// Forgets a credential; stands before the deletion of the head itself.
pub(super) fn delete(
    session: &mut Session<'_>,
    workspace: WorkspaceId,
    id: CredentialId,
) -> Result<(), StoreError> {
    session.execute(DELETE, values![workspace, id]).map(|_| ())
}

/// Notes a use.
pub(crate) fn used(
    session: &mut Session<'_>,
    workspace: WorkspaceId,
    id: CredentialId,
    at: Timestamp,
) -> Result<(), StoreError> {
    session.execute(USED, values![workspace, id, at]).map(|_| ())
}
