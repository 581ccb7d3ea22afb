//! `GET /api/v1/workspaces/{workspace}/audit`

use super::{AuditView, views};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::audit::{Action, Outcome};
use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, RunId, WorkflowId};
use keyward_model::policy::Ability;
use keyward_model::workflow::CredentialKey;
use keyward_store::AuditFilter;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/audit",
        "listAudit",
        "List audit events, the newest first.",
        Access::Member(Ability::ReadAudit),
        handle,
    )
    .query(&[
        ("credential", "a credential's id"),
        ("key", "a credential's key, also of one that is deleted or was never found"),
        ("actor", "a member's id, a workflow's id for its triggers, or `system`"),
        ("action", "such as credential.used"),
        ("outcome", "allowed or refused"),
        ("run", "a run's id"),
        ("workflow", "a workflow's id"),
        ("since", "RFC 3339 time"),
        ("until", "RFC 3339 time, itself included"),
        ("limit", "1 to 200, default 50"),
        ("cursor", "`next_cursor` of the page before"),
    ])
    .answer::<ListOf<AuditView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<AuditView>>, Problem> {
    scope.may(Ability::ReadAudit)?;
    let filter = filter(&mut query);
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let paged = api.store().read(move |tx| tx.audit(workspace, &filter, &page)).await?;
    Ok(Json(views(&api, workspace, paged).await?))
}

/// The filters of the trail, for the list and the export.
pub(super) fn filter(query: &mut Query) -> AuditFilter {
    AuditFilter {
        credential: query
            .read("credential", "a credential's id", |id| CredentialId::parse(id).ok()),
        key: query.read("key", "a credential's key", key),
        actor: query.read("actor", "a member's id, a workflow's id, or `system`", actor),
        action: query.read("action", "an audit action, such as credential.used", Action::parse),
        outcome: query.read("outcome", "allowed or refused", Outcome::parse),
        run: query.read("run", "a run's id", |id| RunId::parse(id).ok()),
        workflow: query.read("workflow", "a workflow's id", |id| WorkflowId::parse(id).ok()),
        since: query.read("since", "an RFC 3339 time", Timestamp::parse),
        until: query.read("until", "an RFC 3339 time", Timestamp::parse),
    }
}

fn key(text: &str) -> Option<String> {
    CredentialKey::parse(text).ok().map(|key| key.as_str().to_owned())
}

/// The id that events of that actor carry; the server itself has none.
fn actor(text: &str) -> Option<String> {
    if text == "system" {
        return Some(String::new());
    }
    let known = MemberId::parse(text).is_ok() || WorkflowId::parse(text).is_ok();
    known.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::FromRequestParts as _;

    async fn check(query: &str, refused: usize) {
        let request = http::Request::get(format!("/?{query}")).body(()).expect(query);
        let mut parts = request.into_parts().0;
        let mut query_of = Query::from_request_parts(&mut parts, &()).await.expect(query);
        let found = filter(&mut query_of);
        let problem = query_of.done().err();
        assert_eq!(problem.is_some(), refused > 0, "{query}: {found:?}");
        let detail = problem.map(|problem| format!("{problem:?}")).unwrap_or_default();
        assert_eq!(detail.matches("invalid_value").count(), refused, "{query}: {detail}");
    }

    #[tokio::test]
    async fn filters_are_validated() {
        let member = MemberId::from_bytes([1; 16]);
        check("", 0).await;
        check(&format!("actor={member}&outcome=refused&key=A.b-c_1"), 0).await;
        check("actor=system&action=credential.used&since=2026-01-01T00:00:00Z", 0).await;
        check("credential=cred_1", 1).await;
        check("run=x&actor=x&workflow=x&until=x", 4).await;
        check("key=&action=created&outcome=no&since=today", 4).await;
        check("key=1abc", 1).await;
        check("key=a%20b", 1).await;
    }

    #[test]
    fn the_servers_own_events_have_no_actor_id() {
        assert_eq!(actor("system").as_deref(), Some(""));
        assert_eq!(actor("keyward"), None);
    }
}
