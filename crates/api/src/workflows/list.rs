//! `GET /api/v1/workspaces/{workspace}/workflows`

use super::view::WorkflowSummary;
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::policy::Ability;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/workflows",
        "listWorkflows",
        "List workflows, oldest first.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .query(&[
        ("active", "true or false: only those"),
        ("limit", "1 to 200, default 50"),
        ("cursor", "next_cursor of the page before"),
    ])
    .answer::<ListOf<WorkflowSummary>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<WorkflowSummary>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let active = query.read("active", "true or false", |text| text.parse().ok());
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let rows = api.store().read(move |tx| tx.workflows(workspace, active, &page)).await?;
    // Shown as stored: a list grants nothing, and opening one checks its tag.
    Ok(Json(ListOf::of(rows, |row| row.parts().0.into())))
}
