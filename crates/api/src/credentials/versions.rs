//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/versions`

use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::policy::Ability;
use schemars::JsonSchema;
use serde::Serialize;

/// A version of a credential's value.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CredentialVersionView {
    version: i64,
    /// `current` or `previous`.
    state: &'static str,
    created_at: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions",
        "listCredentialVersions",
        "List the versions of a credential's value, newest first.",
        Access::Member(Ability::ViewCredential),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<CredentialVersionView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<CredentialVersionView>>, Problem> {
    scope.may(Ability::ViewCredential)?;
    let page = query.page();
    query.done()?;
    let credential = super::find(&api, &scope, &id).await?;
    let (workspace, id, current) = (credential.workspace, credential.id, credential.version);
    let rows = api.store().read(move |tx| tx.credential_versions(workspace, id, &page)).await?;
    Ok(Json(ListOf::of(rows, |row| CredentialVersionView {
        version: row.version,
        state: if row.version == current { "current" } else { "previous" },
        created_at: row.created_at,
    })))
}
