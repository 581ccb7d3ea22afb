//! `POST /api/v1/workspaces/{workspace}/runs/{id}/retry`

use super::start::under_way;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Method;
use keyward_model::actor::Actor;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use serde_json::Value;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/runs/{id}/retry",
        "retryRun",
        "Start a new run from the step that failed.",
        Access::Member(Ability::RunWorkflows),
        handle,
    )
    .answer::<Value>(202)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    scope.may(Ability::RunWorkflows)?;
    let (run, _) = super::find(&api, &scope, &id).await?;
    let mut audit = scope.event(&api, Action::RunRetried);
    audit.workflow = Some(run.workflow);
    audit.reason = format!("of {}", run.id);
    let (member, starter) = (scope.caller.member, Actor::from(&scope.caller));
    let accepted = api.engine().retry(scope.id(), run.id, member, starter, audit).await?;
    Ok(under_way(&accepted))
}
