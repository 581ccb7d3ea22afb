//! `GET /api/v1/workspaces/{workspace}/workflows/{id}`

use super::view::{WorkflowView, definition, view};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::policy::Ability;
use serde_json::Value;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/workflows/{id}",
        "getWorkflow",
        "Show a workflow.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer::<WorkflowView>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<WorkflowView>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let head = super::find(&api, &scope, &id).await?;
    let version = definition(&api, &head, head.version).await?;
    let document = serde_json::from_str(&version.definition).unwrap_or(Value::Null);
    let mut shown = view(&api, &scope, &head, document).await?;
    if scope.may(Ability::ListCredentials).is_ok() {
        shown.unavailable_credentials = Some(api.engine().unavailable_keys(&head).await?);
    }
    Ok(Json(shown))
}
