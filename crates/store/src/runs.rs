//! Runs: who drives them, how they end, and their list. Every write of an owner is fenced: it
//! counts only while the run is open, on that node, in that epoch.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged, Select};
use crate::tx::{Reader, RunTx, Tx};
use crate::value::{Cells, Row, Value, values};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::clock::Timestamp;
use keyward_model::error::StepErrorCode;
use keyward_model::id::{CredentialId, NodeId, RunId, WorkflowId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::run::{NewRun, Origin, Run, RunEnd, RunStatus, StepError};

macro_rules! columns {
    () => {
        "workspace_id, id, workflow_id, version, status, origin, starter_kind, starter_id,
        starter_name, member_id, no_store, withheld, retry_of, node_id, epoch, error_code, error_message,
        error_step, created_at, finished_at"
    };
}
/// The fence: the first four parameters are those of `Owned::fence`.
macro_rules! fence {
    () => {
        "workspace_id = $1 AND id = $2 AND node_id = $3 AND epoch = $4 AND finished_at IS NULL"
    };
}
pub(crate) use fence;

const LIST: &str = concat!("SELECT ", columns!(), ", '', '{}' FROM runs ");

statements! {
    INSERT = "INSERT INTO runs (workspace_id, id, workflow_id, version, status, origin,
        starter_kind, starter_id, starter_name, member_id, no_store, withheld, retry_of, node_id,
        epoch, created_at, payload, seals)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, $15, $16, $17)";
    BY_ID = concat!("SELECT ", columns!(), ", payload, seals FROM runs
        WHERE workspace_id = $1 AND id = $2");
    SET_STATUS = concat!("UPDATE runs SET status = $5, wake_at = $6 WHERE ", fence!());
    END = concat!("UPDATE runs SET status = $5, error_code = $6, error_message = $7,
        error_step = $8, finished_at = $9, wake_at = NULL WHERE ", fence!(), "
        RETURNING no_store, run_key IS NOT NULL");
    CANCEL = "UPDATE runs SET status = 'cancelled', error_code = 'cancelled', finished_at = $3,
        wake_at = NULL WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL
        RETURNING no_store, run_key IS NOT NULL";
    CANCEL_STEPS = "UPDATE steps SET status = 'cancelled', finished_at = $3, wake_at = NULL
        WHERE workspace_id = $1 AND run_id = $2 AND status IN ('running', 'waiting')";
    BLANK = "UPDATE runs SET payload = '', seals = '{}', error_message = NULL, run_key = NULL
        WHERE workspace_id = $1 AND id = $2";
    BLANK_STEPS = "UPDATE steps SET input = NULL, output = NULL, error_message = NULL, logs = '[]',
        seals = '{}' WHERE workspace_id = $1 AND run_id = $2";
    CLEAR_KEY = "UPDATE runs SET run_key = NULL WHERE workspace_id = $1 AND id = $2";
    DELETE = "DELETE FROM runs WHERE workspace_id = $1 AND id = $2";
    DELETE_STEPS = "DELETE FROM steps WHERE workspace_id = $1 AND run_id = $2";
    DELETE_SECRETS = "DELETE FROM run_secrets WHERE workspace_id = $1 AND run_id = $2";
    TAKE_OVER = "UPDATE runs SET node_id = $2, epoch = epoch + 1
        WHERE node_id = $1 AND finished_at IS NULL RETURNING workspace_id, id, node_id, epoch";
    DUE = "SELECT workspace_id, id, node_id, epoch FROM runs
        WHERE node_id = $1 AND finished_at IS NULL AND status = 'waiting' AND wake_at <= $2
        ORDER BY wake_at, id LIMIT $3";
    OPEN = "SELECT count(*) FROM runs WHERE node_id = $1 AND finished_at IS NULL";
    REVEAL = concat!("UPDATE runs SET payload = $5, seals = $6, no_store = 0, withheld = 0
        WHERE ", fence!());
    SET_KEY = concat!("UPDATE runs SET run_key = $5 WHERE ", fence!());
    KEY = "SELECT run_key FROM runs WHERE workspace_id = $1 AND id = $2";
    OLD = "SELECT id, status, error_code, error_step FROM runs WHERE workspace_id = $1
        AND workflow_id = $2 AND created_at < $3 AND finished_at < $3 ORDER BY id LIMIT $4";
    NEXT_WORKFLOW = "SELECT workflow_id FROM runs WHERE workspace_id = $1 AND workflow_id > $2
        ORDER BY workflow_id LIMIT 1";
}

/// The right to write to a run, as long as nobody took it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owned {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: RunId,
    /// The node that drives it.
    pub node: NodeId,
    /// Raised at each takeover.
    pub epoch: i64,
}

impl Owned {
    pub(crate) fn fence<'a, const N: usize>(&self, rest: [Value<'a>; N]) -> Vec<Value<'a>> {
        let mut values = Vec::with_capacity(4 + N);
        values.extend_from_slice(values![self.workspace, self.run, self.node, self.epoch]);
        values.extend(rest);
        values
    }
}

/// A run that has ended, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRun {
    /// The run.
    pub id: RunId,
    /// A final status.
    pub status: RunStatus,
    /// Why it failed, where it did.
    pub error_code: Option<StepErrorCode>,
    /// The step that failed.
    pub error_step: Option<String>,
}

fn old_run(row: Row) -> Result<OldRun, StoreError> {
    let mut cells = Cells::new("runs", row);
    let (id, status) = (cells.parsed()?, cells.word(RunStatus::parse)?);
    let error_code = cells.optional_word(StepErrorCode::parse)?;
    Ok(OldRun { id, status, error_code, error_step: cells.optional_text()? })
}

/// Which runs are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of one workflow.
    pub workflow: Option<WorkflowId>,
    /// Where they stand.
    pub status: Option<RunStatus>,
    /// That used, or were refused, this credential.
    pub credential: Option<CredentialId>,
}

fn run(row: Row) -> Result<Run, StoreError> {
    let mut cells = Cells::new("runs", row);
    let (workspace, id, workflow) = (cells.parsed()?, cells.parsed()?, cells.parsed()?);
    let (version, status) = (cells.number()?, cells.word(RunStatus::parse)?);
    let origin = cells.word(Origin::parse)?;
    let kind = cells.word(ActorKind::parse)?;
    let starter = Actor { kind, id: cells.text()?, name: cells.text()? };
    let (member, no_store, withheld) = (cells.optional_parsed()?, cells.flag()?, cells.flag()?);
    let (retry_of, node) = (cells.optional_parsed()?, cells.parsed()?);
    Ok(Run {
        workspace,
        id,
        workflow,
        version,
        status,
        origin,
        starter,
        member,
        no_store,
        withheld,
        retry_of,
        node,
        epoch: cells.number()?,
        error: step_error(&mut cells)?,
        error_step: cells.optional_text()?,
        created_at: cells.time()?,
        finished_at: cells.optional_time()?,
        trigger: cells.text()?,
        seals: cells.text()?,
    })
}

pub(crate) fn step_error(cells: &mut Cells) -> Result<Option<StepError>, StoreError> {
    let code = cells.optional_word(StepErrorCode::parse)?;
    let message = cells.optional_text()?.unwrap_or_default();
    Ok(code.map(|code| StepError { code, message }))
}

fn owned(row: Row) -> Result<Owned, StoreError> {
    let mut cells = Cells::new("runs", row);
    let (workspace, run) = (cells.parsed()?, cells.parsed()?);
    Ok(Owned { workspace, run, node: cells.parsed()?, epoch: cells.number()? })
}

impl RunFilter {
    fn select(&self, workspace: WorkspaceId, page: &Page) -> Result<Select<'_>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE workspace_id = ?", [workspace.into()]);
        select.filter(" AND id < ?", page.after::<RunId>()?);
        select.filter(" AND workflow_id = ?", self.workflow);
        if let Some(status) = self.status {
            // Words written out let the partial indexes serve.
            select.add(status_condition(status), []);
        }
        let used = " AND id IN (SELECT run_id FROM audit WHERE audit.workspace_id = ?
            AND credential_id = ?)";
        if let Some(credential) = self.credential {
            select.add(used, [workspace.into(), credential.into()]);
        }
        select.add(" ORDER BY id DESC LIMIT ?", [page.probe().into()]);
        Ok(select)
    }
}

fn status_condition(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => " AND finished_at IS NULL AND status = 'queued'",
        RunStatus::Running => " AND finished_at IS NULL AND status = 'running'",
        RunStatus::Waiting => " AND finished_at IS NULL AND status = 'waiting'",
        RunStatus::Succeeded => " AND status = 'succeeded'",
        RunStatus::Failed => " AND status = 'failed'",
        RunStatus::Cancelled => " AND status = 'cancelled'",
    }
}

impl Reader<'_> {
    /// The run of that id.
    pub fn run(&mut self, workspace: WorkspaceId, id: RunId) -> Result<Option<Run>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(run).transpose()
    }

    /// The workspace's runs, newest first, their triggers left out (empty).
    pub fn runs(
        &mut self,
        workspace: WorkspaceId,
        filter: &RunFilter,
        page: &Page,
    ) -> Result<Paged<Run>, StoreError> {
        let select = filter.select(workspace, page)?;
        let (sql, values) = select.parts();
        let rows = self.session.query(sql, values)?;
        let items = rows.into_iter().map(run).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |run: &Run| run.id.to_string()))
    }

    /// This node's waiting runs whose time has come, the longest due first.
    pub fn due_runs(
        &mut self,
        node: NodeId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Owned>, StoreError> {
        let rows = self.session.query(DUE, values![node, now, i64::from(limit)])?;
        rows.into_iter().map(owned).collect()
    }

    /// The first of a workspace's workflows after that id that has runs, also where the workflow
    /// itself is gone. Ids that cannot be read are given as they are.
    pub fn next_workflow_with_runs(
        &mut self,
        workspace: WorkspaceId,
        after: &str,
    ) -> Result<Option<String>, StoreError> {
        let row = self.session.one(NEXT_WORKFLOW, values![workspace, after])?;
        row.map(|row| Cells::new("runs", row).text()).transpose()
    }

    /// Up to `limit` of a workflow's runs that ended before `before`, oldest first.
    pub fn old_runs(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<OldRun>, StoreError> {
        let values = values![workspace, workflow, before, i64::from(limit)];
        self.session.query(OLD, values)?.into_iter().map(old_run).collect()
    }

    /// How many open runs a node has.
    pub fn count_open_runs(&mut self, node: NodeId) -> Result<i64, StoreError> {
        let row = self.session.one(OPEN, values![node])?;
        Cells::new("runs", row.unwrap_or_default()).number()
    }

    /// The run's wrapped key, while it has one.
    pub fn run_key(
        &mut self,
        workspace: WorkspaceId,
        run: RunId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(row) = self.session.one(KEY, values![workspace, run])? else { return Ok(None) };
        Cells::new("runs", row).optional_bytes()
    }
}

impl RunTx<'_> {
    /// Adds a run, born running and owned by its node in epoch 1.
    pub fn insert_run(&mut self, run: &NewRun) -> Result<Owned, StoreError> {
        let status = RunStatus::Running.as_str();
        let starter = &run.starter;
        let values = values![
            run.workspace,
            run.id,
            run.workflow,
            run.version,
            status,
            run.origin.as_str(),
            starter.kind.as_str(),
            starter.id.as_str(),
            starter.name.as_str(),
            run.member,
            run.no_store,
            run.withheld,
            run.retry_of,
            run.node,
            run.created_at,
            &run.trigger,
            run.seals.as_str(),
        ];
        self.session.execute(INSERT, values).map_err(|error| error.named("run"))?;
        Ok(Owned { workspace: run.workspace, run: run.id, node: run.node, epoch: 1 })
    }

    /// Stores from now on a run whose secrets have become known, with its trigger masked; `LostRun`
    /// where it has ended or is another's.
    pub fn reveal_run(
        &mut self,
        run: &Owned,
        trigger: &Masked,
        seals: &str,
    ) -> Result<(), StoreError> {
        self.leaves_copies = true;
        self.fenced(REVEAL, &run.fence([trigger.into(), seals.into()]))
    }

    /// Ends a run: `LostRun` where it has ended or is another's. Its secrets and its key go, and
    /// of a no-store run everything readable.
    pub fn end_run(&mut self, run: &Owned, end: &RunEnd) -> Result<(), StoreError> {
        let values = run.fence([
            end.status.as_str().into(),
            end.error_code.map(StepErrorCode::as_str).into(),
            end.error_message.as_ref().into(),
            end.error_step.as_deref().into(),
            end.finished_at.into(),
        ]);
        let row = self.session.one(END, &values)?.ok_or(StoreError::LostRun)?;
        self.clean_up(run.workspace, run.run, row)
    }

    /// Takes away what must not outlive a run; `row` says whether there is anything.
    fn clean_up(&mut self, workspace: WorkspaceId, run: RunId, row: Row) -> Result<(), StoreError> {
        let mut cells = Cells::new("runs", row);
        let (no_store, has_key) = (cells.flag()?, cells.flag()?);
        self.leaves_copies |= no_store || has_key;
        if has_key {
            self.session.execute(DELETE_SECRETS, values![workspace, run])?;
            self.session.execute(CLEAR_KEY, values![workspace, run])?;
        }
        if no_store {
            self.session.execute(BLANK, values![workspace, run])?;
            self.session.execute(BLANK_STEPS, values![workspace, run])?;
        }
        Ok(())
    }

    /// The run waits until then; `LostRun` where it has ended or is another's.
    pub fn set_waiting(&mut self, run: &Owned, wake_at: Timestamp) -> Result<(), StoreError> {
        self.set_status(run, RunStatus::Waiting, Some(wake_at))
    }

    /// The run goes on; `LostRun` where it has ended or is another's.
    pub fn set_running(&mut self, run: &Owned) -> Result<(), StoreError> {
        self.set_status(run, RunStatus::Running, None)
    }

    fn set_status(
        &mut self,
        run: &Owned,
        status: RunStatus,
        wake_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let values = run.fence([status.as_str().into(), wake_at.into()]);
        self.fenced(SET_STATUS, &values)
    }

    pub(crate) fn fenced(&mut self, sql: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match self.session.execute(sql, values)? {
            0 => Err(StoreError::LostRun),
            _ => Ok(()),
        }
    }

    /// Makes all open runs of `from` this node's, in a new epoch each; `from` may be `to` itself,
    /// after a restart. What `from` still writes to them finds no row.
    pub fn take_over(&mut self, from: NodeId, to: NodeId) -> Result<Vec<Owned>, StoreError> {
        let rows = self.session.query(TAKE_OVER, values![from, to])?;
        rows.into_iter().map(owned).collect()
    }

    /// Keeps the run's wrapped key; needed before any run secret.
    pub fn set_run_key(&mut self, run: &Owned, wrapped: &[u8]) -> Result<(), StoreError> {
        self.fenced(SET_KEY, &run.fence([wrapped.into()]))
    }
}

impl Tx<'_> {
    /// Ends a run by a person's word; false where it has ended already. Its owner's later writes
    /// find a run that is closed.
    pub fn cancel_run(
        &mut self,
        workspace: WorkspaceId,
        run: RunId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.session.one(CANCEL, values![workspace, run, at])? else {
            return Ok(false);
        };
        self.session.execute(CANCEL_STEPS, values![workspace, run, at])?;
        self.clean_up(workspace, run, row)?;
        Ok(true)
    }

    /// Removes a run with all that belongs to it; false where there is none.
    pub fn delete_run(&mut self, workspace: WorkspaceId, run: RunId) -> Result<bool, StoreError> {
        self.session.execute(DELETE_SECRETS, values![workspace, run])?;
        self.session.execute(DELETE_STEPS, values![workspace, run])?;
        self.leaves_copies = true;
        Ok(self.session.execute(DELETE, values![workspace, run])? > 0)
    }
}
