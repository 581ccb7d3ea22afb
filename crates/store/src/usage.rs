//! How a credential was used, summed up by day and by workflow, for pages.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::Reader;
use crate::value::{Cells, Row, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};

const DAY_MILLIS: i64 = 86_400_000;

statements! {
    BY_DAY = "SELECT workspace_id, credential_id, day, CAST(sum(uses) AS BIGINT),
        CAST(sum(failures) AS BIGINT) FROM credential_uses
        WHERE workspace_id = $1 AND credential_id = $2 AND day >= $3
        GROUP BY workspace_id, credential_id, day ORDER BY day";
    BY_WORKFLOW = "SELECT u.workspace_id, u.workflow_id, w.name, w.active, w.owner_id,
        CAST(sum(u.uses) AS BIGINT), CAST(sum(u.failures) AS BIGINT), max(u.last_used_at)
        FROM credential_uses u LEFT JOIN workflows w
        ON w.workspace_id = u.workspace_id AND w.id = u.workflow_id
        WHERE u.workspace_id = $1 AND u.credential_id = $2
        GROUP BY u.workspace_id, u.workflow_id, w.name, w.active, w.owner_id ORDER BY u.workflow_id";
}

/// A credential's uses on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayOfUse {
    /// Midnight UTC at which the day begins.
    pub day: Timestamp,
    /// How often, failures included.
    pub uses: i64,
    /// How often the step failed.
    pub failures: i64,
}

/// What is shown of a workflow beside its use of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserHead {
    /// Its name.
    pub name: String,
    /// Whether its trigger takes events.
    pub active: bool,
    /// Its owner.
    pub owner: MemberId,
}

/// A workflow whose runs have used a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The workflow.
    pub workflow: WorkflowId,
    /// What its head says; none where it was deleted.
    pub head: Option<UserHead>,
    /// How often, failures included.
    pub uses: i64,
    /// How often the step failed.
    pub failures: i64,
    /// The last time.
    pub last_used_at: Timestamp,
}

fn day(row: Row) -> Result<DayOfUse, StoreError> {
    let mut cells = Cells::new("credential_uses", row);
    let (_workspace, _credential) = (cells.text()?, cells.text()?);
    let day = Timestamp::from_millis(cells.number()?.saturating_mul(DAY_MILLIS));
    Ok(DayOfUse { day, uses: cells.number()?, failures: cells.number()? })
}

fn user(row: Row) -> Result<User, StoreError> {
    let mut cells = Cells::new("credential_uses", row);
    let _workspace = cells.text()?;
    let workflow = cells.parsed()?;
    let (name, active) = (cells.optional_text()?, cells.optional_number()?);
    let head = name.zip(active).zip(cells.optional_parsed()?);
    Ok(User {
        workflow,
        head: head.map(|((name, active), owner)| UserHead { name, active: active != 0, owner }),
        uses: cells.number()?,
        failures: cells.number()?,
        last_used_at: cells.time()?,
    })
}

impl Reader<'_> {
    /// The days since `since`'s on which a credential was used, oldest first.
    pub fn days_of_use(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        since: Timestamp,
    ) -> Result<Vec<DayOfUse>, StoreError> {
        let since = since.millis().div_euclid(DAY_MILLIS);
        let rows = self.session.query(BY_DAY, values![workspace, credential, since])?;
        rows.into_iter().map(day).collect()
    }

    /// The workflows whose runs have ever used a credential, by id.
    pub fn users_of(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
    ) -> Result<Vec<User>, StoreError> {
        let rows = self.session.query(BY_WORKFLOW, values![workspace, credential])?;
        rows.into_iter().map(user).collect()
    }
}
