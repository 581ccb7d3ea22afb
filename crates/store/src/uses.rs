//! Who uses a credential: counted uses, and the workflows that name its key. Untagged: grants
//! nothing, serves pages and filters.

use crate::credentials::finding;
use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::Select;
use crate::tx::{Reader, RunTx, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};

const DAY_MILLIS: i64 = 86_400_000;

statements! {
    COUNT = "INSERT INTO credential_uses
        (workspace_id, credential_id, workflow_id, day, uses, failures, last_used_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (workspace_id, credential_id, workflow_id, day) DO UPDATE SET
        uses = credential_uses.uses + excluded.uses,
        failures = credential_uses.failures + excluded.failures,
        last_used_at = CASE WHEN excluded.last_used_at > credential_uses.last_used_at
            THEN excluded.last_used_at ELSE credential_uses.last_used_at END";
    COUNT_VERSION = "INSERT INTO credential_activity
        (workspace_id, credential_id, version, uses, failures, last_used_at, rejected_at, runs)
        VALUES ($1, $2, $3, 1, $4, $5, $6, $7)
        ON CONFLICT (workspace_id, credential_id, version) DO UPDATE SET
        uses = credential_activity.uses + 1,
        failures = credential_activity.failures + excluded.failures,
        last_used_at = CASE WHEN excluded.last_used_at > credential_activity.last_used_at
            THEN excluded.last_used_at ELSE credential_activity.last_used_at END,
        rejected_at = coalesce(excluded.rejected_at, credential_activity.rejected_at),
        runs = credential_activity.runs + excluded.runs";
    ACCEPTED = "UPDATE credential_activity SET rejected_at = NULL
        WHERE workspace_id = $1 AND credential_id = $2 AND version = $3";
    USES = "SELECT workspace_id, credential_id, workflow_id, day, uses, failures, last_used_at
        FROM credential_uses WHERE workspace_id = $1 AND credential_id = $2 AND day >= $3
        ORDER BY day, workflow_id";
    CLEAR_KEYS = "DELETE FROM workflow_keys WHERE workspace_id = $1 AND workflow_id = $2";
    ADD_KEY = "INSERT INTO workflow_keys (workspace_id, workflow_id, key, step)
        VALUES ($1, $2, $3, $4) ON CONFLICT (workspace_id, workflow_id, key, step) DO NOTHING";
    DEPENDENTS = "SELECT w.workspace_id, w.id, w.name, w.active, w.owner_id, k.step
        FROM workflow_keys k JOIN workflows w
        ON w.workspace_id = k.workspace_id AND w.id = k.workflow_id
        WHERE k.workspace_id = $1 AND k.key = $2 ORDER BY w.id, k.step";
    KEYS = "SELECT key, step FROM workflow_keys WHERE workspace_id = $1 AND workflow_id = $2
        ORDER BY key, step";
}

/// One use, to be counted.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The credential.
    pub credential: CredentialId,
    /// Which version of it.
    pub version: i64,
    /// The workflow that used it.
    pub workflow: WorkflowId,
    /// When.
    pub at: Timestamp,
    /// Whether the step that used it failed.
    pub failed: bool,
    /// Whether the service answered with 401 or 403.
    pub rejected: bool,
    /// Whether it is the version's first use in this run, and the step succeeded.
    pub is_new: bool,
}

/// What was seen of one version in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// The credential.
    pub credential: CredentialId,
    /// The version.
    pub version: i64,
    /// How often it was used, failures included.
    pub uses: i64,
    /// How often the step failed.
    pub failures: i64,
    /// The last time.
    pub last_used_at: Timestamp,
    /// When its service last refused it, if no test has passed since.
    pub rejected_at: Option<Timestamp>,
    /// How many runs have used it and went on.
    pub runs: i64,
}

/// The uses of a credential by one workflow on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Midnight UTC at which the day begins.
    pub day: Timestamp,
    /// How often, failures included.
    pub uses: i64,
    /// How often the step failed.
    pub failures: i64,
    /// The last one.
    pub last_used_at: Timestamp,
}

/// A workflow whose current definition names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependent {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its name.
    pub name: String,
    /// Whether its trigger takes events.
    pub active: bool,
    /// Its owner, whose personal credentials count.
    pub owner: MemberId,
    /// The ids of the steps that name the key.
    pub steps: Vec<String>,
}

fn uses(row: Row) -> Result<Uses, StoreError> {
    let mut cells = Cells::new("credential_uses", row);
    let (_workspace, _credential) = (cells.text()?, cells.text()?);
    Ok(Uses {
        workflow: cells.parsed()?,
        day: Timestamp::from_millis(cells.number()?.saturating_mul(DAY_MILLIS)),
        uses: cells.number()?,
        failures: cells.number()?,
        last_used_at: cells.time()?,
    })
}

fn activity(row: Row) -> Result<Activity, StoreError> {
    let mut cells = Cells::new("credential_activity", row);
    let _workspace = cells.text()?;
    Ok(Activity {
        credential: cells.parsed()?,
        version: cells.number()?,
        uses: cells.number()?,
        failures: cells.number()?,
        last_used_at: cells.time()?,
        rejected_at: cells.optional_time()?,
        runs: cells.number()?,
    })
}

impl Reader<'_> {
    /// A credential's uses since `since`'s day, oldest day first.
    pub fn credential_uses(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        since: Timestamp,
    ) -> Result<Vec<Uses>, StoreError> {
        let day = since.millis().div_euclid(DAY_MILLIS);
        let rows = self.session.query(USES, values![workspace, credential, day])?;
        rows.into_iter().map(uses).collect()
    }

    /// What was seen of these credentials in use, by credential and version.
    pub fn activity(
        &mut self,
        workspace: WorkspaceId,
        credentials: &[CredentialId],
    ) -> Result<Vec<Activity>, StoreError> {
        let head = "SELECT workspace_id, credential_id, version, uses, failures, last_used_at,
            rejected_at, runs FROM credential_activity ";
        let mut select = Select::new(head);
        select.add("WHERE workspace_id = ? AND credential_id IN (''", [workspace.into()]);
        for credential in credentials {
            select.add(", ?", [(*credential).into()]);
        }
        select.add(") ORDER BY credential_id, version", []);
        let (sql, values) = select.parts();
        self.session.query(sql, values)?.into_iter().map(activity).collect()
    }

    /// The workflows whose current definition names a key.
    pub fn dependents(
        &mut self,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Vec<Dependent>, StoreError> {
        let mut found: Vec<Dependent> = Vec::new();
        for row in self.session.query(DEPENDENTS, values![workspace, key])? {
            let mut cells = Cells::new("workflows", row);
            let _workspace = cells.text()?;
            let workflow = cells.parsed()?;
            let (name, active) = (cells.text()?, cells.flag()?);
            let (owner, step) = (cells.parsed()?, cells.text()?);
            match found.last_mut().filter(|last| last.workflow == workflow) {
                Some(last) => last.steps.push(step),
                None => found.push(Dependent { workflow, name, active, owner, steps: vec![step] }),
            }
        }
        Ok(found)
    }

    /// The keys that a workflow's current definition names, each with the step.
    pub fn workflow_keys(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.session.query(KEYS, values![workspace, workflow])?;
        let mut read = rows.into_iter().map(|row| Cells::new("workflow_keys", row));
        read.try_fold(Vec::new(), |mut keys, mut cells| {
            keys.push((cells.text()?, cells.text()?));
            Ok(keys)
        })
    }
}

impl RunTx<'_> {
    /// Counts a use. Belongs into a `record`: uses of one credential meet in one row.
    pub fn count_use(&mut self, counted: &Use) -> Result<(), StoreError> {
        let Use { workspace, credential, version, workflow, at, failed, rejected, is_new } =
            *counted;
        let day = at.millis().div_euclid(DAY_MILLIS);
        let values = values![workspace, credential, workflow, day, 1, failed, at];
        self.session.execute(COUNT, values)?;
        let rejected = rejected.then_some(at);
        let values = values![workspace, credential, version, failed, at, rejected, is_new];
        self.session.execute(COUNT_VERSION, values)?;
        finding::used(&mut self.session, workspace, credential, at)
    }
}

impl Tx<'_> {
    /// Notes that a version's service accepts it again.
    pub fn clear_rejection(
        &mut self,
        workspace: WorkspaceId,
        credential: CredentialId,
        version: i64,
    ) -> Result<(), StoreError> {
        self.session.execute(ACCEPTED, values![workspace, credential, version]).map(|_| ())
    }

    /// Replaces what is known of the keys that a workflow's current definition names: key and step.
    pub fn set_workflow_keys(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        keys: &[(String, String)],
    ) -> Result<(), StoreError> {
        self.session.execute(CLEAR_KEYS, values![workspace, workflow])?;
        for (key, step) in keys {
            let values = values![workspace, workflow, key.as_str(), step.as_str()];
            self.session.execute(ADD_KEY, values)?;
        }
        Ok(())
    }
}
