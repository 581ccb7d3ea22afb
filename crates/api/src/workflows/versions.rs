//! `GET /api/v1/workspaces/{workspace}/workflows/{id}/versions`

use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::id::MemberId;
use keyward_model::policy::Ability;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// One saved version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct VersionView {
    version: i64,
    author: MemberId,
    definition: Value,
    created_at: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/workflows/{id}/versions",
        "listWorkflowVersions",
        "List the versions of a workflow, newest first.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<VersionView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<VersionView>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let page = query.page();
    query.done()?;
    let head = super::find(&api, &scope, &id).await?;
    let (workspace, workflow) = (head.workspace, head.id);
    let rows = api.store().read(move |tx| tx.workflow_versions(workspace, workflow, &page)).await?;
    Ok(Json(ListOf::of(rows, |row| {
        let (row, _) = row.parts();
        VersionView {
            version: row.version,
            author: row.author,
            definition: serde_json::from_str(&row.definition).unwrap_or(Value::Null),
            created_at: row.created_at,
        }
    })))
}
