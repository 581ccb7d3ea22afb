//! The audit trail, and how one event is shown.

mod export;
mod list;

use crate::list::ListOf;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::Record;
use keyward_model::clock::Timestamp;
use keyward_model::id::{
    AuditId, CredentialId, Identifier as _, MemberId, RunId, StreamId, WorkflowId, WorkspaceId,
};
use keyward_store::{Paged, Reader, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn operations() -> Vec<Operation> {
    vec![list::operation(), export::operation()]
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
    /// The chain that holds the record.
    stream: StreamId,
    /// Its place in the chain, from 1. Every number up to the newest is there.
    number: i64,
    /// Its place among the credential's records of that chain, from 1: a list of one credential's
    /// events without a gap in these is whole between its ends.
    credential_number: Option<i64>,
}

/// Events as every list of events shows them.
pub(crate) async fn views(
    api: &Api,
    workspace: WorkspaceId,
    rows: Paged<Record>,
) -> Result<ListOf<AuditView>, Problem> {
    let names = Names::of(api, workspace, &rows.items).await?;
    Ok(ListOf::of(rows, |record| view(&record, &names)))
}

fn view(record: &Record, names: &Names) -> AuditView {
    let event = &record.event;
    AuditView {
        id: event.id,
        at: event.at,
        actor: Actor { name: names.find(&event.actor).to_owned(), ..event.actor.clone() },
        action: event.action.as_str(),
        outcome: event.outcome.as_str(),
        reason: event.reason.clone(),
        credential_id: event.credential,
        key: event.key.clone(),
        workflow_id: event.workflow,
        run_id: event.run,
        step_id: event.step.clone(),
        destination: event.destination.clone(),
        stream: record.stream,
        number: record.number,
        credential_number: record.credential_number,
    }
}

/// The names of the members that records name by their ids; also of those who left.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    async fn of(api: &Api, workspace: WorkspaceId, records: &[Record]) -> Result<Self, Problem> {
        let nameless = |record: &&Record| record.event.actor.name.is_empty();
        let actors = records.iter().filter(nameless).map(|record| &record.event.actor);
        let members = actors.filter(|actor| actor.kind == ActorKind::Member);
        let ids: BTreeSet<MemberId> =
            members.filter_map(|actor| MemberId::parse(&actor.id).ok()).collect();
        let mut names = BTreeMap::new();
        for id in ids {
            let read = move |tx: &mut Reader<'_>| tx.member_ever(workspace, id);
            let row = match api.store().read(read).await {
                Ok(Some(row)) => row,
                // A row that is gone, or was written by somebody else, gives no name.
                Ok(None) | Err(StoreError::Corrupt { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Ok(member) = api.vault().verify(workspace, row).await {
                names.insert(id.to_string(), member.name);
            }
        }
        Ok(Self(names))
    }

    /// The name in the record, where it holds one, else the member's.
    fn find<'a>(&'a self, actor: &'a Actor) -> &'a str {
        match self.0.get(&actor.id) {
            Some(name) if actor.kind == ActorKind::Member && actor.name.is_empty() => name,
            _ => &actor.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::audit::{Action, Event, Outcome};
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
        let record = Record {
            event,
            stream,
            number: 1,
            credential_number: None,
            opened_after: None,
            mac: [0; 32],
        };
        let expected = json!({
            "id": id, "at": "1970-01-01T00:00:00.000Z",
            "actor": { "kind": "system", "id": "", "name": "keyward" },
            "action": "credential.used", "outcome": "refused", "reason": "allowlist",
            "credential_id": null, "key": "SLACK", "workflow_id": null, "run_id": null,
            "step_id": "call", "destination": null,
            "stream": stream, "number": 1, "credential_number": null,
        });
        assert_eq!(serde_json::to_value(view(&record, &Names::default())).expect("JSON"), expected);
    }
}
