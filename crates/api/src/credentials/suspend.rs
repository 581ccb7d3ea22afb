//! `POST …/credentials/{id}/suspend` and `…/resume`: the kill switch.

use super::access::{event, find};
use super::refusal;
use super::save::{Change, save};
use super::shares::current_member;
use super::view::{Shown, show};
use crate::auth::InWorkspace;
use crate::body::JsonIfSent;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::credential::Scope;
use keyward_model::lifecycle::{LifecycleError, OWNER_LEFT};
use keyward_model::permission::Act;
use schemars::JsonSchema;
use serde::Deserialize;

const MAX_REASON: usize = 200;
/// What stands for a reason where none is given.
const BY_HAND: &str = "by_hand";
/// A use or a refresh that changes the credential at the same time must not keep it alive.
const TRIES: u32 = 10;

/// Why every use is stopped.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Suspend {
    /// Up to 200 characters; everybody who sees the credential reads them.
    reason: Option<String>,
}

pub(crate) fn suspend() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/suspend",
        "suspendCredential",
        "Refuse every use of a credential from now on, also by steps under way.",
        Access::Credential(Act::Suspend),
        handle_suspend,
    )
    .body::<Suspend>()
    .answer::<Shown>(200)
    .problems(&["conflict"])
}

pub(crate) fn resume() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/resume",
        "resumeCredential",
        "Allow the uses of a suspended credential again.",
        Access::Credential(Act::Suspend),
        handle_resume,
    )
    .answer::<Shown>(200)
    .problems(&["conflict"])
}

async fn handle_suspend(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    JsonIfSent(body): JsonIfSent<Suspend>,
) -> Result<Json<Shown>, Problem> {
    let mut tries = 0;
    loop {
        let before = find(&api, &scope, &id, Act::Suspend).await?.credential;
        let reason = reason(&body)?;
        let mut after = before.clone();
        after.suspend(scope.caller.member, api.vault().now(), reason).map_err(refusal)?;
        let mut event = event(&api, &scope, &before, Action::CredentialSuspended);
        event.reason = reason.to_owned();
        match save(&api, &scope, Change::of_head(before, after.clone()), vec![event]).await {
            Err(problem) if problem.code() == "conflict" && tries < TRIES => tries += 1,
            Err(problem) => return Err(problem),
            Ok(()) => return Ok(Json(show(&api, &scope, &after).await?)),
        }
    }
}

async fn handle_resume(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Shown>, Problem> {
    let before = find(&api, &scope, &id, Act::Suspend).await?.credential;
    let mut after = before.clone();
    after.resume(api.vault().now()).map_err(refusal)?;
    // Also where it had been stopped for another reason before its owner left.
    if let Scope::Personal(owner) = before.scope
        && current_member(&api, scope.id(), owner).await?.is_none()
    {
        return Err(refusal(LifecycleError::OwnerLeft));
    }
    let events = vec![event(&api, &scope, &before, Action::CredentialResumed)];
    save(&api, &scope, Change::of_head(before, after.clone()), events).await?;
    Ok(Json(show(&api, &scope, &after).await?))
}

fn reason(body: &Suspend) -> Result<&str, Problem> {
    let reason = body.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or(BY_HAND);
    let too_long = reason.chars().count() > MAX_REASON;
    if too_long || reason.chars().any(char::is_control) || reason == OWNER_LEFT {
        let detail = format!("up to {MAX_REASON} characters, none of them control characters");
        return Err(Problem::fault("/reason", "invalid_value", detail));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_text_and_not_the_servers_own() {
        let check = |sent: Option<&str>, expected: Option<&str>| {
            let body = Suspend { reason: sent.map(str::to_owned) };
            assert_eq!(reason(&body).ok(), expected, "{sent:?}");
        };
        check(None, Some("by_hand"));
        check(Some("  "), Some("by_hand"));
        check(Some(" seen in a paste "), Some("seen in a paste"));
        check(Some("a\nb"), None);
        check(Some("owner_left"), None);
        check(Some(&"ö".repeat(200)), Some(&"ö".repeat(200)));
        check(Some(&"a".repeat(201)), None);
    }
}
