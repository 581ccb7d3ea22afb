//! How a run is shown: masked as it is stored, sealed values by their keys' names.

use keyward_model::clock::Timestamp;
use keyward_model::id::{RunId, WorkflowId};
use keyward_model::run::{Run, Step, StepError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A run with its steps.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunView {
    id: RunId,
    workflow_id: WorkflowId,
    workflow_version: i64,
    status: &'static str,
    /// What the steps saw as `trigger`; null where nothing was stored.
    trigger: Value,
    steps: Vec<StepView>,
    error: Option<ErrorView>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// False for a no-store run.
    stored: bool,
    retry_of: Option<RunId>,
}

/// A run in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunSummary {
    id: RunId,
    workflow_id: WorkflowId,
    workflow_version: i64,
    status: &'static str,
    error: Option<ErrorView>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    stored: bool,
    retry_of: Option<RunId>,
}

/// A step of a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StepView {
    id: String,
    kind: String,
    status: &'static str,
    attempt: i64,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    input: Value,
    output: Value,
    error: Option<ErrorView>,
    /// `{"at","level","message","attempt"}` each.
    logs: Value,
    /// `{"key","credential_id","version","destination","access"}` each.
    credentials: Value,
}

/// Why a step or run failed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErrorView {
    code: &'static str,
    message: String,
    /// The step, where it is a run's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

/// Sealed values with the keys that they stand for.
pub(crate) type Seals = BTreeMap<String, String>;

/// Writes `[sealed:KEY]` where a sealed value stands.
pub(crate) fn show_seals(text: &str, seals: &Seals) -> String {
    let mut shown = text.to_owned();
    for (placeholder, key) in seals {
        if shown.contains(placeholder.as_str()) {
            shown = shown.replace(placeholder.as_str(), &format!("[sealed:{key}]"));
        }
    }
    shown
}

/// The same in JSON text: an origin may hold what is escaped there, as in
/// `trigger.headers["x-api-key"]`.
pub(crate) fn show_seals_in_json(text: &str, seals: &Seals) -> String {
    let escaped = |(seal, key): (&String, &String)| {
        let quoted = Value::from(key.as_str()).to_string();
        let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        (seal.clone(), inside.unwrap_or_default().to_owned())
    };
    show_seals(text, &seals.iter().map(escaped).collect())
}

/// Shows a run.
pub(crate) fn view(run: &Run, steps: Vec<Step>) -> RunView {
    let of_trigger = std::iter::once(run.seals.as_str());
    let seals: Seals = of_trigger
        .chain(steps.iter().map(|step| step.seals.as_str()))
        .filter_map(|seals| serde_json::from_str::<Seals>(seals).ok())
        .flatten()
        .collect();
    let RunSummary {
        id,
        workflow_id,
        workflow_version,
        status,
        error,
        created_at,
        finished_at,
        stored,
        retry_of,
    } = summary(run, &seals);
    RunView {
        id,
        workflow_id,
        workflow_version,
        status,
        trigger: json(Some(&run.trigger).filter(|_| stored), &seals),
        steps: steps.into_iter().map(|step| step_view(step, stored, &seals)).collect(),
        error,
        created_at,
        finished_at,
        stored,
        retry_of,
    }
}

/// Shows a run without its steps.
pub(crate) fn summary(run: &Run, seals: &Seals) -> RunSummary {
    let stored = !run.no_store;
    RunSummary {
        id: run.id,
        workflow_id: run.workflow,
        workflow_version: run.version,
        status: run.status.as_str(),
        error: run.error.as_ref().map(|e| error(e, run.error_step.clone(), stored, seals)),
        created_at: run.created_at,
        finished_at: run.finished_at,
        stored,
        retry_of: run.retry_of,
    }
}

fn step_view(step: Step, stored: bool, seals: &Seals) -> StepView {
    let kept = |text: Option<String>| text.filter(|_| stored);
    StepView {
        status: step.status.as_str(),
        attempt: step.attempt,
        started_at: step.started_at,
        finished_at: step.finished_at,
        input: json(kept(step.input).as_ref(), seals),
        output: json(kept(step.output).as_ref(), seals),
        error: step.error.as_ref().map(|e| error(e, None, stored, seals)),
        logs: match stored {
            true => json(Some(&step.logs), seals),
            false => Value::Array(Vec::new()),
        },
        credentials: serde_json::from_str(&step.credentials).unwrap_or(Value::Null),
        id: step.step,
        kind: step.kind,
    }
}

fn error(error: &StepError, step: Option<String>, stored: bool, seals: &Seals) -> ErrorView {
    let message = if stored { show_seals(&error.message, seals) } else { String::new() };
    ErrorView { code: error.code.as_str(), message, step }
}

fn json(text: Option<&String>, seals: &Seals) -> Value {
    let parse = |text: &String| serde_json::from_str(&show_seals_in_json(text, seals)).ok();
    text.and_then(parse).unwrap_or(Value::Null)
}
