//! The audit trail, and how one event is shown.

mod list;

use crate::operation::Operation;
use keyward_model::actor::Actor;
use keyward_model::audit::Record;
use keyward_model::clock::Timestamp;
use keyward_model::id::{AuditId, CredentialId, RunId, WorkflowId};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    vec![list::operation()]
}

/// One event. It holds names, ids and destinations, never a value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AuditView {
    id: AuditId,
    at: Timestamp,
    actor: Actor,
    /// What happened, such as `credential.used`.
    action: &'static str,
    /// `allowed` or `refused`.
    outcome: &'static str,
    /// Why it was refused, or what changed; a fixed word, or empty.
    reason: String,
    credential_id: Option<CredentialId>,
    key: Option<String>,
    workflow_id: Option<WorkflowId>,
    run_id: Option<RunId>,
    step_id: Option<String>,
    /// Scheme, host and port that a value went to, or was to go to.
    destination: Option<String>,
}

/// An event as every list of events shows it.
pub(crate) fn view(record: &Record) -> AuditView {
    let event = &record.event;
    AuditView {
        id: event.id,
        at: event.at,
        actor: event.actor.clone(),
        action: event.action.as_str(),
        outcome: event.outcome.as_str(),
        reason: event.reason.clone(),
        credential_id: event.credential,
        key: event.key.clone(),
        workflow_id: event.workflow,
        run_id: event.run,
        step_id: event.step.clone(),
        destination: event.destination.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::audit::{Action, Event, Outcome};
    use keyward_model::id::{Identifier as _, StreamId, WorkspaceId};
    use serde_json::json;

    #[test]
    fn an_event_is_shown_with_every_member() {
        let workspace = WorkspaceId::from_bytes([1; 16]);
        let (id, at) = (AuditId::from_bytes([2; 16]), Timestamp::from_millis(0));
        let mut event = Event::new(id, workspace, at, Actor::system(), Action::CredentialUsed);
        event.outcome = Outcome::Refused;
        event.reason = "allowlist".into();
        event.key = Some("SLACK".into());
        event.step = Some("call".into());
        let stream = StreamId::from_bytes([3; 16]);
        let record = Record { event, stream, number: 1, opened_after: None, mac: [0; 32] };
        let expected = json!({
            "id": id, "at": "1970-01-01T00:00:00.000Z",
            "actor": { "kind": "system", "id": "", "name": "keyward" },
            "action": "credential.used", "outcome": "refused", "reason": "allowlist",
            "credential_id": null, "key": "SLACK", "workflow_id": null, "run_id": null,
            "step_id": "call", "destination": null,
        });
        assert_eq!(serde_json::to_value(view(&record)).expect("JSON"), expected);
    }
}
