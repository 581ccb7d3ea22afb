//! `POST /api/v1/workspaces/{workspace}/workflows/{id}/runs`

use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use keyward_engine::{Accepted, Event};
use keyward_model::actor::Actor;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_model::run::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a request waits for a run.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A manual run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRun {
    /// Becomes `trigger.body`.
    #[serde(default)]
    payload: Value,
    /// Whether to wait for the end, 60 s at most.
    #[serde(default)]
    wait: bool,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/workflows/{id}/runs",
        "startRun",
        "Run a workflow by hand; with wait, 200 with the run when it has ended.",
        Access::Member(Ability::RunWorkflows),
        handle,
    )
    .body::<StartRun>()
    .answer::<Value>(202)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    body::Json(body): body::Json<StartRun>,
) -> Result<Response, Problem> {
    scope.may(Ability::RunWorkflows)?;
    let workflow = crate::workflows::find(&api, &scope, &id).await?;
    let mut audit = scope.event(&api, Action::RunStarted);
    audit.workflow = Some(workflow.id);
    let trigger = json!({
        "body": body.payload, "headers": {}, "query": {}, "method": null, "path": "",
    });
    let event = Event {
        origin: Origin::Manual,
        starter: Actor::from(&scope.caller),
        member: scope.caller.member,
        trigger,
        no_store: false,
        retry_of: None,
        audit: Some(audit),
        workflow,
    };
    let accepted = api.engine().accept(event).await?;
    if body.wait { wait(&api, &scope, accepted).await } else { Ok(under_way(&accepted)) }
}

async fn wait(api: &Api, scope: &InWorkspace, accepted: Accepted) -> Result<Response, Problem> {
    let Accepted { run, mut ended } = accepted;
    if tokio::time::timeout(MAX_WAIT, &mut ended).await.is_err() {
        return Ok(under_way(&Accepted { run, ended }));
    }
    let (run, steps) = super::find(api, scope, &run.to_string()).await?;
    Ok(super::shown(&run, steps))
}

/// 202 with the run's id.
pub(super) fn under_way(accepted: &Accepted) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "run_id": accepted.run }))).into_response()
}
