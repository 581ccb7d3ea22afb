//! `POST /api/v1/workspaces/{workspace}/credentials/{id}/restore`

use super::access::{Deleted, Named, event, named};
use super::refusal;
use super::save::{Change, save};
use super::view::{Shown, show};
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
        "/api/v1/workspaces/{workspace}/credentials/{id}/restore",
        "restoreCredential",
        "Bring a deleted credential back, within 30 days.",
        Access::Credential(Act::Delete),
        handle,
    )
    .answer::<Shown>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Shown>, Problem> {
    let named = named(&api, &scope, &id, Act::Delete, Deleted::Shown).await?;
    let Named::Found(found) = named else { return Err(Problem::not_found()) };
    let before = found.credential;
    let mut after = before.clone();
    after.restore(api.vault().now()).map_err(refusal)?;
    let events = vec![event(&api, &scope, &before, Action::CredentialRestored)];
    save(&api, &scope, Change::of_head(before, after.clone()), events).await?;
    Ok(Json(show(&api, &scope, &after).await?))
}
