//! `GET /api/v1/workspaces/{workspace}`

use super::{WorkspaceView, view};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use axum::Json;
use http::Method;
use keyward_model::policy::Ability;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}",
        "getWorkspace",
        "Show one workspace.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer::<WorkspaceView>(200)
}

async fn handle(scope: InWorkspace) -> Result<Json<WorkspaceView>, Problem> {
    scope.may(Ability::ReadRuns)?;
    Ok(Json(view(scope.workspace)))
}
