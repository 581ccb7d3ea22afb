//! `POST /api/v1/workspaces/{workspace}/credentials/{id}/versions`

use super::access::{event, find};
use super::overwrite::complete;
use super::save::{Change, save};
use super::sent::{NewValue, Sent};
use super::settings::{field_set, require_template};
use super::warnings::Warning;
use super::{refusal, version_reason};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::permission::Act;
use schemars::JsonSchema;
use serde::Serialize;

/// A version that waits for its promotion.
#[derive(Serialize, JsonSchema)]
struct StagedVersion {
    version: i64,
    /// `staged`.
    state: &'static str,
    /// Values that masking can hide only in part.
    warnings: Vec<Warning>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions",
        "stageCredentialVersion",
        "Save a new value beside the current one, to be tested and promoted.",
        Access::Credential(Act::Rotate),
        handle,
    )
    .body::<NewValue>()
    .answer::<StagedVersion>(201)
    .problems(&["conflict", "value_too_large"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Sent { body, fields }: Sent<NewValue>,
) -> Result<(StatusCode, Json<StagedVersion>), Problem> {
    let found = find(&api, &scope, &id, Act::Rotate).await?;
    let (before, now) = (found.credential, api.vault().now());
    let (fields, warnings) = complete(&api, &scope, &before, fields).await?;
    let mut after = before.clone();
    let set = field_set(&fields, body.expires_at);
    let version = after.stage(set, scope.caller.member, now).map_err(refusal)?;
    let staged = after.at_version(version).ok_or_else(Problem::not_found)?;
    require_template(&staged)?;
    let new = api.vault().seal_version(&staged, &fields.secret).await?;
    let mut event = event(&api, &scope, &after, Action::CredentialStaged);
    event.reason = version_reason(version);
    let change = Change { new: Some(new), ..Change::of_head(before, after) };
    save(&api, &scope, change, vec![event]).await?;
    Ok((StatusCode::CREATED, Json(StagedVersion { version, state: "staged", warnings })))
}
