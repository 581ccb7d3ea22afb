//! What a run writes down of its steps: records, what is counted of credentials, and live events.

use super::Drive;
use crate::steps::{Failed, StepResult};
use keyward_model::clock::Timestamp;
use keyward_model::error::StepErrorCode;
use keyward_model::id::CredentialId;
use keyward_model::mask::Masked;
use keyward_model::run::{NewStep, StepStatus};
use keyward_model::workflow::Step;
use keyward_store::Use;
use keyward_vault::UsedCredential;
use serde_json::json;

/// A record of a step that did nothing.
pub(super) fn skipped(step: &Step, position: usize, at: Timestamp) -> NewStep {
    NewStep {
        position: i64::try_from(position).unwrap_or(i64::MAX),
        step: step.id.as_str().to_owned(),
        kind: step.kind.as_str().to_owned(),
        status: StepStatus::Skipped,
        attempt: 1,
        wake_at: None,
        started_at: at,
        finished_at: Some(at),
        input: None,
        output: None,
        error_code: None,
        error_message: None,
        logs: Masked::from_static("[]"),
        credentials: "[]".into(),
        seals: "{}".into(),
    }
}

pub(super) fn failed_record(
    step: &Step,
    position: usize,
    attempt: u32,
    at: Timestamp,
    failed: Failed,
) -> NewStep {
    NewStep {
        status: StepStatus::Failed,
        attempt: attempt.into(),
        error_code: Some(failed.code),
        error_message: Some(failed.message),
        ..skipped(step, position, at)
    }
}

pub(super) fn interrupted(step: &Step, position: usize, attempt: u32, at: Timestamp) -> NewStep {
    let failed = Failed {
        code: StepErrorCode::Interrupted,
        message: Masked::from_static("the server stopped while this step ran"),
    };
    failed_record(step, position, attempt, at, failed)
}

/// The record of an attempt: with attempts left, a failure waits for the next one.
pub(super) fn record(
    step: &Step,
    position: usize,
    attempt: u32,
    (started_at, finished_at): (Timestamp, Timestamp),
    result: StepResult,
    credentials: String,
    logs: Masked,
) -> NewStep {
    let mut record = NewStep {
        attempt: attempt.into(),
        finished_at: Some(finished_at),
        input: result.input,
        logs,
        credentials,
        seals: serde_json::to_string(&result.seals).unwrap_or_else(|_| "{}".into()),
        ..skipped(step, position, started_at)
    };
    match result.outcome {
        Ok(output) => {
            record.status = StepStatus::Succeeded;
            record.output = Some(output);
        }
        Err(failed) => {
            let again = attempt < step.retry.attempts && is_transient(failed.code);
            record.status = if again { StepStatus::Waiting } else { StepStatus::Failed };
            let delay = step.retry.delay_after(attempt).as_millis();
            let delay = i64::try_from(delay).unwrap_or(i64::MAX);
            record.wake_at = again.then(|| finished_at.plus_millis(delay));
            record.error_code = Some(failed.code);
            record.error_message = Some(failed.message);
        }
    }
    record
}

/// What the credentials' statistics count of an attempt; `earlier` are the run's records before it.
pub(super) fn uses(
    drive: &Drive,
    earlier: &[NewStep],
    record: &NewStep,
    used: &[UsedCredential],
) -> Vec<Use> {
    if used.is_empty() {
        return Vec::new();
    }
    let failed = record.error_code.is_some();
    let mut known: Vec<(CredentialId, i64)> = earlier.iter().flat_map(named).collect();
    let mut counted = Vec::with_capacity(used.len());
    for used in used {
        // What the run itself received has no statistics.
        let (Some(credential), Some(number)) = (used.credential_id, used.version) else { continue };
        let version = (credential, number);
        let is_new = !failed && !known.contains(&version);
        known.push(version);
        counted.push(Use {
            workspace: drive.owned.workspace,
            credential,
            version: number,
            rejected: used.rejected,
            workflow: drive.workflow,
            at: record.finished_at.unwrap_or(record.started_at),
            failed,
            is_new,
        });
    }
    counted
}

/// Which versions a record says that its step has used.
fn named(record: &NewStep) -> Vec<(CredentialId, i64)> {
    #[derive(serde::Deserialize)]
    struct Named {
        credential_id: Option<CredentialId>,
        version: Option<i64>,
    }
    let named: Vec<Named> = match record.status {
        StepStatus::Succeeded => serde_json::from_str(&record.credentials).unwrap_or_default(),
        _ => Vec::new(),
    };
    named.into_iter().filter_map(|used| Some((used.credential_id?, used.version?))).collect()
}

/// Whether another attempt can come out differently.
fn is_transient(code: StepErrorCode) -> bool {
    !matches!(code, StepErrorCode::TemplateError | StepErrorCode::ValidationFailed)
}

pub(super) fn started(step: &Step, attempt: u32, at: Timestamp) -> String {
    json!({
        "id": step.id.as_str(), "kind": step.kind.as_str(), "status": "running",
        "attempt": attempt, "started_at": at,
    })
    .to_string()
}

pub(super) fn finished(record: &NewStep) -> String {
    json!({
        "id": record.step, "kind": record.kind, "status": record.status.as_str(),
        "attempt": record.attempt, "started_at": record.started_at,
        "finished_at": record.finished_at,
        "error": record.error_code.map(|code| json!({ "code": code.as_str() })),
    })
    .to_string()
}
