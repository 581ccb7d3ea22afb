//! `POST /api/v1/workspaces/{workspace}/apps`

use super::view::{AppView, view};
use crate::auth::InWorkspace;
use crate::body::ManifestText;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::catalogue::{App, AppSource, MAX_OWN_APPS, Manifest};
use keyward_model::policy::Ability;
use keyward_store::{Audited, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/apps",
        "createApp",
        "Add an app of the workspace's own; the body is its manifest, JSON or YAML.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<Manifest>()
    .answer::<AppView>(201)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    ManifestText(text): ManifestText,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::ManageCredentials, Action::AppCreated).await?;
    let app = super::checked(&api, text, None).await?;
    let made = make(&api, &scope, &app, AppSource::Uploaded).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Saves a checked app as a new one of the workspace's own.
pub(super) async fn make(
    api: &Api,
    scope: &InWorkspace,
    app: &App,
    source: AppSource,
) -> Result<AppView, Problem> {
    let workspace = scope.id();
    // Two at once may make one more; the limit is for keeping lists short.
    if api.store().read(move |tx| tx.count_apps(workspace)).await? >= MAX_OWN_APPS {
        let detail = format!("a workspace has at most {MAX_OWN_APPS} apps of its own");
        return Err(Problem::fault("", "too_many", detail));
    }
    let row = super::row(api, scope, app, source)?;
    let mut event = scope.event(api, Action::AppCreated);
    event.reason.clone_from(&row.id);
    let shown = view(app, Some(&row));
    let row = api.vault().sign(workspace, row).await?;
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_app(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(shown)
}
