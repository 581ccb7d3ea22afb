//! `DELETE /api/v1/workspaces/{workspace}/credentials/{id}/versions/{version}`

use super::access::{event, find};
use super::save::{Change, save};
use super::{refusal, version_number, version_reason};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::{Action, Event};
use keyward_model::permission::Act;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions/{version}",
        "deleteCredentialVersion",
        "Discard a staged version, or destroy an earlier one: nobody can return to it.",
        Access::Credential(Act::Rotate),
        handle,
    )
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id, version)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let before = find(&api, &scope, &id, Act::Rotate).await?.credential;
    let version = version_number(&version)?;
    if !before.kept_versions().contains(&version) {
        return Err(Problem::not_found());
    }
    let mut after = before.clone();
    after.discard(version, api.vault().now()).map_err(refusal)?;
    // An earlier one was in use, so its end is an event of its own beside the destroyed key.
    let revoked = before.retired(version).map(|_| Event {
        reason: version_reason(version),
        ..event(&api, &scope, &before, Action::CredentialRevoked)
    });
    save(&api, &scope, Change::of_head(before, after), revoked.into_iter().collect()).await?;
    Ok(StatusCode::NO_CONTENT)
}
