//! `GET /api/v1/workspaces/{workspace}/credentials/{id}`

use super::access::{Deleted, Named, named};
use super::view::{BrokenView, Shown, show};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::permission::Act;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "getCredential",
        "Show a credential without its values.",
        Access::Credential(Act::List),
        handle,
    )
    .answer::<Shown>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Shown>, Problem> {
    match named(&api, &scope, &id, Act::List, Deleted::Hidden).await? {
        Named::Found(found) => Ok(Json(show(&api, &scope, &found.credential).await?)),
        Named::Broken(broken) => Ok(Json(Shown::Broken(match &broken.row {
            Some(row) => BrokenView::tampered(row),
            None => BrokenView::unreadable(broken.id, None, None),
        }))),
    }
}
