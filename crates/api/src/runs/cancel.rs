//! `POST /api/v1/workspaces/{workspace}/runs/{id}/cancel`

use super::view::RunView;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Method;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/runs/{id}/cancel",
        "cancelRun",
        "End a run that is under way.",
        Access::Member(Ability::RunWorkflows),
        handle,
    )
    .answer::<RunView>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    scope.may(Ability::RunWorkflows)?;
    let (run, _) = super::find(&api, &scope, &id).await?;
    let ended = || Problem::new("conflict", "the run has ended already");
    if run.status.is_final() {
        return Err(ended());
    }
    let mut event = scope.event(&api, Action::RunCancelled);
    (event.workflow, event.run) = (Some(run.workflow), Some(run.id));
    if !api.engine().cancel(scope.id(), run.id, event).await? {
        return Err(ended());
    }
    let (run, steps) = super::find(&api, &scope, &id).await?;
    Ok(super::shown(&run, steps))
}
