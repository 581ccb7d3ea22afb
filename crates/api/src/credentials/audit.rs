//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/audit`

use super::access::{Deleted, Named, named};
use crate::audit::{AuditView, views};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::id::{CredentialId, Identifier as _};
use keyward_model::permission::Act;
use keyward_model::policy::Ability;
use keyward_store::{AuditFilter, Page};

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
    let workspace = scope.id();
    let id = match named(&api, &scope, &id, Act::View, Deleted::Shown).await {
        Ok(Named::Found(found)) => found.credential.id,
        Ok(Named::Broken(broken)) => broken.id,
        Err(problem) => gone(&api, &scope, &id).await.ok_or(problem)?,
    };
    let filter = AuditFilter { credential: Some(id), ..Default::default() };
    let rows = api.store().read(move |tx| tx.audit(workspace, &filter, &page)).await?;
    Ok(Json(views(&api, workspace, rows).await?))
}

/// The id of a credential whose row is gone, for whoever may read the whole trail; what happened to
/// it is still there.
async fn gone(api: &Api, scope: &InWorkspace, id: &str) -> Option<CredentialId> {
    scope.may(Ability::ReadAudit).ok()?;
    let (workspace, id) = (scope.id(), CredentialId::parse(id).ok()?);
    let filter = AuditFilter { credential: Some(id), ..Default::default() };
    let read = api.store().read(move |tx| {
        let is_there = tx.credential(workspace, id)?.is_some();
        Ok(!is_there && !tx.audit(workspace, &filter, &Page::first(1))?.items.is_empty())
    });
    read.await.ok()?.then_some(id)
}
