//! What the access review asks of many credentials at once: who names them, whose workflows used
//! them, where they went.

use crate::audit::earliest_id;
use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::Select;
use crate::tx::Reader;
use crate::value::{Cells, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};

/// The most origins that are told of one credential.
const MOST_ORIGINS: i64 = 200;

/// Releases of one credential's value, which `audit_destinations` holds in their order.
macro_rules! released {
    () => {
        "a.workspace_id = $1 AND a.credential_id = $2 AND a.action = 'credential.used'
        AND a.outcome = 'allowed'"
    };
}

statements! {
    // One look at the index for each origin, however often it was used.
    ORIGINS = concat!("WITH RECURSIVE o (destination) AS (
            SELECT min(a.destination) FROM audit a WHERE ", released!(), "
            UNION ALL
            SELECT (SELECT min(a.destination) FROM audit a
                WHERE ", released!(), " AND a.destination > o.destination)
            FROM o WHERE o.destination IS NOT NULL
        )
        SELECT destination FROM o WHERE destination IS NOT NULL AND EXISTS (
            SELECT 1 FROM audit a
            WHERE ", released!(), " AND a.destination = o.destination AND a.id >= $3) LIMIT $4");
}

/// A workflow whose definition names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The key.
    pub key: String,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: MemberId,
}

/// A member whose workflows have used a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFor {
    /// The credential.
    pub credential: CredentialId,
    /// The workflows' owner.
    pub member: MemberId,
    /// The last time.
    pub last_used_at: Timestamp,
}

impl Reader<'_> {
    /// The workflows that name any of these keys.
    pub fn naming(
        &mut self,
        workspace: WorkspaceId,
        keys: &[&str],
    ) -> Result<Vec<Naming>, StoreError> {
        let mut select = Select::new(
            "SELECT DISTINCT k.workspace_id, k.key, w.id, w.name, w.owner_id
            FROM workflow_keys k JOIN workflows w
            ON w.workspace_id = k.workspace_id AND w.id = k.workflow_id ",
        );
        select.add("WHERE k.workspace_id = ? AND k.key IN (''", [workspace.into()]);
        for key in keys {
            select.add(", ?", [(*key).to_owned().into()]);
        }
        select.add(") ORDER BY k.key, w.id", []);
        let (sql, values) = select.parts();
        let mut found = Vec::new();
        for row in self.session.query(sql, values)? {
            let mut cells = Cells::new("workflows", row);
            let (_workspace, key) = (cells.text()?, cells.text()?);
            let (workflow, name, owner) = (cells.parsed()?, cells.text()?, cells.parsed()?);
            found.push(Naming { key, workflow, name, owner });
        }
        Ok(found)
    }

    /// For whom these credentials were used, by credential.
    pub fn used_for(
        &mut self,
        workspace: WorkspaceId,
        credentials: &[CredentialId],
    ) -> Result<Vec<UsedFor>, StoreError> {
        let mut select = Select::new(
            "SELECT u.workspace_id, u.credential_id, w.owner_id, max(u.last_used_at)
            FROM credential_uses u JOIN workflows w
            ON w.workspace_id = u.workspace_id AND w.id = u.workflow_id ",
        );
        select.add("WHERE u.workspace_id = ? AND u.credential_id IN (''", [workspace.into()]);
        for credential in credentials {
            select.add(", ?", [(*credential).into()]);
        }
        let group = ") GROUP BY u.workspace_id, u.credential_id, w.owner_id
            ORDER BY u.credential_id, w.owner_id";
        select.add(group, []);
        let (sql, values) = select.parts();
        let mut found = Vec::new();
        for row in self.session.query(sql, values)? {
            let mut cells = Cells::new("credential_uses", row);
            let _workspace = cells.text()?;
            let (credential, member) = (cells.parsed()?, cells.parsed()?);
            found.push(UsedFor { credential, member, last_used_at: cells.time()? });
        }
        Ok(found)
    }

    /// Where a credential's value was released to since then, as the audit names destinations.
    pub fn origins(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let values = values![workspace, credential, earliest_id(since), MOST_ORIGINS];
        let rows = self.session.query(ORIGINS, values)?;
        rows.into_iter().map(|row| Cells::new("audit", row).text()).collect()
    }
}
