//! `GET /api/v1/workspaces/{workspace}/credentials/{id}`

use super::Found;
use super::view::{BrokenView, Shown, view};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::policy::Ability;
use keyward_vault::VaultError;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "getCredential",
        "Show a credential without its values.",
        Access::Member(Ability::ViewCredential),
        handle,
    )
    .answer::<Shown>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Shown>, Problem> {
    scope.may(Ability::ViewCredential)?;
    let row = match super::row(&api, &scope, &id).await? {
        Found::Row(row) => *row,
        Found::Unreadable(id) => {
            return Ok(Json(Shown::Broken(BrokenView::unreadable(id, None, None))));
        }
    };
    let tampered = BrokenView::tampered(&row);
    match api.vault().verify(scope.id(), row).await {
        Ok(credential) => Ok(Json(Shown::Full(Box::new(view(&api, &scope, &credential).await?)))),
        Err(VaultError::Tampered(_)) => Ok(Json(Shown::Broken(tampered))),
        Err(error) => Err(error.into()),
    }
}
