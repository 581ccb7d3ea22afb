//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/audit`

use crate::audit::{AuditView, views};
use super::access::{Deleted, Named, named};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::permission::Act;
use keyward_store::AuditFilter;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/audit",
        "listCredentialAudit",
        "List what happened to a credential and who used it, newest first.",
        Access::Credential(Act::View),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<AuditView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<AuditView>>, Problem> {
    let page = query.page();
    query.done()?;
    let id = match named(&api, &scope, &id, Act::View, Deleted::Shown).await? {
        Named::Found(found) => found.credential.id,
        Named::Broken(broken) => broken.id,
    };
    let workspace = scope.id();
    let filter = AuditFilter { credential: Some(id), ..Default::default() };
    let rows = api.store().read(move |tx| tx.audit(workspace, &filter, &page)).await?;
    Ok(Json(views(&api, workspace, rows).await?))
}
