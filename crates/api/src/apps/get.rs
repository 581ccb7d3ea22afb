//! `GET /api/v1/workspaces/{workspace}/apps/{id}`

use super::view::{AppView, view};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::catalogue::Manifest;
use keyward_model::policy::Ability;
use schemars::JsonSchema;
use serde::Serialize;

/// An app with its manifest.
#[derive(Serialize, JsonSchema)]
struct WholeAppView {
    #[serde(flatten)]
    app: AppView,
    /// What its author wrote, with every default filled in.
    manifest: Manifest,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/apps/{id}",
        "getApp",
        "Show an app with its manifest.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer::<WholeAppView>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<WholeAppView>, Problem> {
    scope.may(Ability::ReadRuns)?;
    if let Some(app) = api.vault().built_in_apps().get(&id) {
        let manifest = app.manifest.clone();
        return Ok(Json(WholeAppView { app: view(app, None), manifest }));
    }
    let row = super::find(&api, &scope, &id).await?;
    let app = row.app().ok_or_else(Problem::not_found)?;
    Ok(Json(WholeAppView { app: view(&app, Some(&row)), manifest: app.manifest }))
}
