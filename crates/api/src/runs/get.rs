//! `GET /api/v1/workspaces/{workspace}/runs/{id}`

use super::view::{RunView, view};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::policy::Ability;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/runs/{id}",
        "getRun",
        "Show a run with its steps.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer::<RunView>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<RunView>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let (run, steps) = super::find(&api, &scope, &id).await?;
    Ok(Json(view(&run, steps)))
}
