//! `POST /api/v1/workspaces/{workspace}/credentials/{id}/test`, and the same of one version

mod limit;

pub(crate) use limit::TestLimit;

use super::access::{Found, event, find};
use super::save::{Change, save};
use super::version_number;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::credential::{Credential, TestRequest};
use keyward_model::id::CredentialId;
use keyward_model::lifecycle::TestOutcome;
use keyward_model::permission::Act;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/test",
        "testCredential",
        "Ask the service whether it takes the current value: one real request, within ten seconds.",
        Access::Credential(Act::Test),
        test_current,
    )
    .answer::<TestOutcome>(200)
    .problems(&["conflict", "test_not_defined", "rate_limited"])
}

pub(crate) fn of_version() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions/{version}/test",
        "testCredentialVersion",
        "Ask the service whether it takes a staged or an earlier version.",
        Access::Credential(Act::Test),
        test_version,
    )
    .answer::<TestOutcome>(200)
    .problems(&["conflict", "test_not_defined", "rate_limited"])
}

async fn test_current(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<TestOutcome>, Problem> {
    let found = find(&api, &scope, &id, Act::Test).await?;
    let version = found.credential.version;
    test(&api, &scope, found, version).await
}

async fn test_version(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id, version)): Path<(String, String, String)>,
) -> Result<Json<TestOutcome>, Problem> {
    let found = find(&api, &scope, &id, Act::Test).await?;
    let version = version_number(&version)?;
    test(&api, &scope, found, version).await
}

async fn test(
    api: &Api,
    scope: &InWorkspace,
    found: Found,
    version: i64,
) -> Result<Json<TestOutcome>, Problem> {
    let Found { credential, settings, allowed, .. } = found;
    let head = credential.at_version(version).ok_or_else(Problem::not_found)?;
    let request = request(&head)?;
    let now = api.vault().now();
    if let Err(millis) = api.tests().admit(head.id, scope.caller.member, now) {
        let detail = "too many connection tests; wait before the next one";
        return Err(Problem::new("rate_limited", detail).after_millis(millis));
    }
    let (caller, id) = (Actor::from(&scope.caller), head.id);
    let outcome = api.vault().test_credential(&allowed, caller, head, &settings, request).await?;
    note(api, scope, id, version, &outcome).await?;
    Ok(Json(outcome))
}

/// The request that tests it.
fn request(head: &Credential) -> Result<Option<TestRequest>, Problem> {
    let detail = match &head.details.test {
        // The app says how.
        _ if head.details.app.is_some() => return Ok(None),
        Some(test) if head.is_testable() => return Ok(Some(test.clone())),
        Some(_) => {
            "a custom credential has no place in the test request without a `template`; \
            say with one where its fields go"
        }
        None => {
            "nobody has said how this credential is tested; \
            give it a `test`, such as {\"method\":\"GET\",\"url\":\"https://api.example.com/me\"}"
        }
    };
    Err(Problem::new("test_not_defined", detail))
}

/// Notes the outcome at the version that was tested, unless that is neither staged nor current any
/// more. What somebody changed while the service was answering is kept.
async fn note(
    api: &Api,
    scope: &InWorkspace,
    id: CredentialId,
    version: i64,
    outcome: &TestOutcome,
) -> Result<(), Problem> {
    let noted = note_once(api, scope, id, version, outcome).await;
    match noted {
        Err(problem) if problem.code() == "conflict" => {
            note_once(api, scope, id, version, outcome).await
        }
        noted => noted,
    }
}

async fn note_once(
    api: &Api,
    scope: &InWorkspace,
    id: CredentialId,
    version: i64,
    outcome: &TestOutcome,
) -> Result<(), Problem> {
    let workspace = scope.id();
    let row = api.store().read(move |tx| tx.credential(workspace, id)).await?;
    let Some(row) = row else { return Ok(()) };
    let before = api.vault().verify(workspace, row).await?;
    let is_current = before.version == version;
    let is_staged = before.lifecycle.staged.as_ref().is_some_and(|s| s.version == version);
    if !is_current && !is_staged {
        return Ok(());
    }
    let mut after = before.clone();
    after.note_test(version, outcome.clone(), api.vault().now());
    let event = Event {
        reason: if outcome.ok { "test_passed" } else { "test_failed" }.into(),
        ..event(api, scope, &before, Action::CredentialUpdated)
    };
    let accepted = (outcome.ok && is_current).then_some(version);
    let change = Change { accepted, ..Change::of_head(before, after) };
    save(api, scope, change, vec![event]).await
}
