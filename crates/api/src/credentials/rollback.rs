//! `POST /api/v1/workspaces/{workspace}/credentials/{id}/versions/{version}/rollback`

use super::access::{event, find};
use super::save::{Change, save};
use super::settings::require_template;
use super::view::{CredentialView, view};
use super::{refusal, version_number, version_reason};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::permission::Act;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions/{version}/rollback",
        "rollBackCredential",
        "Return to an earlier version, within its grace period.",
        Access::Credential(Act::Rotate),
        handle,
    )
    .answer::<CredentialView>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id, version)): Path<(String, String, String)>,
) -> Result<Json<CredentialView>, Problem> {
    let found = find(&api, &scope, &id, Act::Rotate).await?;
    let version = version_number(&version)?;
    let (before, now) = (found.credential, api.vault().now());
    let mut after = before.clone();
    after.roll_back(version, now, &found.settings).map_err(refusal)?;
    // The template may have been changed since it was the current one.
    require_template(&after)?;
    let mut event = event(&api, &scope, &before, Action::CredentialRolledBack);
    event.reason = version_reason(version);
    save(&api, &scope, Change::of_head(before, after.clone()), vec![event]).await?;
    Ok(Json(view(&api, &scope, &after).await?))
}
