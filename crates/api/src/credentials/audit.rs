//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/audit`

use crate::audit::{AuditView, view};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::policy::Ability;
use keyward_store::AuditFilter;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/audit",
        "listCredentialAudit",
        "List what happened to a credential and who used it, newest first.",
        Access::Member(Ability::ViewCredential),
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
    scope.may(Ability::ViewCredential)?;
    let page = query.page();
    query.done()?;
    let credential = super::find(&api, &scope, &id).await?;
    let workspace = credential.workspace;
    let filter = AuditFilter { credential: Some(credential.id), ..Default::default() };
    let rows = api.store().read(move |tx| tx.audit(workspace, &filter, &page)).await?;
    Ok(Json(ListOf::of(rows, |record| view(&record))))
}
