//! Steps of runs, and run secrets. Written only by the run's owner: each statement reads the run's
//! row behind the fence and locks it, so that an end or a takeover in between cannot be missed.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::runs::{Owned, fence, step_error};
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, Row, values};
use keyward_model::credential::Sealed;
use keyward_model::error::StepErrorCode;
use keyward_model::id::{RunId, WorkspaceId};
use keyward_model::run::{NewStep, Step, StepStatus};

statements! {
    PUT = concat!("INSERT INTO steps (workspace_id, run_id, position, step, kind, status, attempt,
        wake_at, started_at, finished_at, input, output, error_code, error_message, logs,
        credentials, seals)
        SELECT workspace_id, id, CAST($5 AS BIGINT), $6, $7, $8, CAST($9 AS BIGINT),
        CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT), $13, $14, $15, $16, $17,
        $18, $19 FROM runs WHERE ", fence!(), " /*lock*/
        ON CONFLICT (workspace_id, run_id, position) DO UPDATE SET
        step = excluded.step, kind = excluded.kind, status = excluded.status,
        attempt = excluded.attempt, wake_at = excluded.wake_at, started_at = excluded.started_at,
        finished_at = excluded.finished_at, input = excluded.input, output = excluded.output,
        error_code = excluded.error_code, error_message = excluded.error_message,
        logs = excluded.logs, credentials = excluded.credentials, seals = excluded.seals");
    OF_RUN = "SELECT workspace_id, run_id, position, step, kind, status, attempt, wake_at,
        started_at, finished_at, input, output, error_code, error_message, logs, credentials, seals
        FROM steps WHERE workspace_id = $1 AND run_id = $2 ORDER BY position";
    PUT_SECRET = concat!("INSERT INTO run_secrets (workspace_id, run_id, id, details, sealed)
        SELECT workspace_id, id, $5, $6, $7 FROM runs WHERE ", fence!(), "
        AND run_key IS NOT NULL /*lock*/
        ON CONFLICT (workspace_id, run_id, id) DO UPDATE SET
        details = excluded.details, sealed = excluded.sealed");
    SECRET = "SELECT id, details, sealed FROM run_secrets
        WHERE workspace_id = $1 AND run_id = $2 AND id = $3";
    SECRETS = "SELECT id, details, sealed FROM run_secrets
        WHERE workspace_id = $1 AND run_id = $2 ORDER BY id";
}

/// A secret that lives as long as its run: external, or derived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSecret {
    /// Its name within the run.
    pub id: String,
    /// What is plain of it, such as its origin and hosts; JSON, the vault's to read.
    pub details: String,
    /// The value under the run's key.
    pub sealed: Sealed,
}

fn step(row: Row) -> Result<Step, StoreError> {
    let mut cells = Cells::new("steps", row);
    let (_workspace, _run) = (cells.text()?, cells.text()?);
    Ok(Step {
        position: cells.number()?,
        step: cells.text()?,
        kind: cells.text()?,
        status: cells.word(StepStatus::parse)?,
        attempt: cells.number()?,
        wake_at: cells.optional_time()?,
        started_at: cells.time()?,
        finished_at: cells.optional_time()?,
        input: cells.optional_text()?,
        output: cells.optional_text()?,
        error: step_error(&mut cells)?,
        logs: cells.text()?,
        credentials: cells.text()?,
        seals: cells.text()?,
    })
}

fn secret(row: Row) -> Result<RunSecret, StoreError> {
    let mut cells = Cells::new("run_secrets", row);
    let (id, details) = (cells.text()?, cells.text()?);
    Ok(RunSecret { id, details, sealed: Sealed::from_bytes(cells.bytes()?) })
}

impl Reader<'_> {
    /// The run's steps, in the definition's order.
    pub fn steps(&mut self, workspace: WorkspaceId, run: RunId) -> Result<Vec<Step>, StoreError> {
        let rows = self.session.query(OF_RUN, values![workspace, run])?;
        rows.into_iter().map(step).collect()
    }

    /// One of the run's secrets.
    pub fn run_secret(
        &mut self,
        workspace: WorkspaceId,
        run: RunId,
        id: &str,
    ) -> Result<Option<RunSecret>, StoreError> {
        self.session.one(SECRET, values![workspace, run, id])?.map(secret).transpose()
    }

    /// All of the run's secrets.
    pub fn run_secrets(
        &mut self,
        workspace: WorkspaceId,
        run: RunId,
    ) -> Result<Vec<RunSecret>, StoreError> {
        let rows = self.session.query(SECRETS, values![workspace, run])?;
        rows.into_iter().map(secret).collect()
    }
}

impl RunTx<'_> {
    /// Writes a step's record over that of an earlier attempt; `LostRun` where the run has ended
    /// or is another's.
    pub fn put_step(&mut self, run: &Owned, step: &NewStep) -> Result<(), StoreError> {
        let values = run.fence([
            step.position.into(),
            step.step.as_str().into(),
            step.kind.as_str().into(),
            step.status.as_str().into(),
            step.attempt.into(),
            step.wake_at.into(),
            step.started_at.into(),
            step.finished_at.into(),
            step.input.as_ref().into(),
            step.output.as_ref().into(),
            step.error_code.map(StepErrorCode::as_str).into(),
            step.error_message.as_ref().into(),
            (&step.logs).into(),
            step.credentials.as_str().into(),
            step.seals.as_str().into(),
        ]);
        self.fenced(PUT, &values)
    }

    /// Keeps a run secret; `LostRun` also where the run has no key (`set_run_key`).
    pub fn put_run_secret(&mut self, run: &Owned, secret: &RunSecret) -> Result<(), StoreError> {
        let RunSecret { id, details, sealed } = secret;
        let rest = [id.as_str().into(), details.as_str().into(), sealed.as_bytes().into()];
        self.fenced(PUT_SECRET, &run.fence(rest))
    }
}
