//! `GET /api/v1/workspaces/{workspace}/runs`

use super::view::{RunSummary, Seals, summary};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::policy::Ability;
use keyward_model::run::RunStatus;
use keyward_store::RunFilter;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/runs",
        "listRuns",
        "List runs, newest first.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .query(&[
        ("workflow", "only of this workflow"),
        ("status", "queued, running, waiting, succeeded, failed or cancelled"),
        ("credential", "only those that asked for this credential"),
        ("limit", "1 to 200, default 50"),
        ("cursor", "next_cursor of the page before"),
    ])
    .answer::<ListOf<RunSummary>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<RunSummary>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let filter = RunFilter {
        workflow: query.read("workflow", "a workflow's id", |text| text.parse().ok()),
        status: query.read("status", "a run's status", RunStatus::parse),
        credential: query.read("credential", "a credential's id", |text| text.parse().ok()),
    };
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let rows = api.store().read(move |tx| tx.runs(workspace, &filter, &page)).await?;
    Ok(Json(ListOf::of(rows, |run| summary(&run, &Seals::new()))))
}
