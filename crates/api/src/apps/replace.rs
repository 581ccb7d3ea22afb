//! `PUT /api/v1/workspaces/{workspace}/apps/{id}`

use super::view::{AppView, view};
use crate::auth::InWorkspace;
use crate::body::ManifestText;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::catalogue::{AppSource, Manifest, WorkspaceApp};
use keyward_model::policy::Ability;
use keyward_store::{Audited, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PUT,
        "/api/v1/workspaces/{workspace}/apps/{id}",
        "replaceApp",
        "Replace one of the workspace's own apps; the next step of it follows the new manifest.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<Manifest>()
    .answer::<AppView>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    ManifestText(text): ManifestText,
) -> Result<Json<AppView>, Problem> {
    scope.may_do(&api, Ability::ManageCredentials, Action::AppUpdated).await?;
    super::refuse_built_in(&api, &id)?;
    let before = super::find(&api, &scope, &id).await?;
    let app = super::checked(&api, text, Some(id.clone())).await?;
    let expected = before.revision;
    let row = WorkspaceApp {
        created_at: before.created_at,
        revision: expected + 1,
        ..super::row(&api, &scope, &app, AppSource::Uploaded)?
    };
    let mut event = scope.event(&api, Action::AppUpdated);
    event.reason = id;
    let shown = view(&app, Some(&row));
    let row = api.vault().sign(scope.id(), row).await?;
    let write = move |tx: &mut Tx<'_>| {
        tx.update_app(&row, expected)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(Json(shown))
}
