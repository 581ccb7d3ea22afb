//! `GET /api/v1/workspaces/{workspace}/workflows/{id}/export`

use super::view::definition;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_store::{Audited, Tx};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A workflow to take elsewhere: its definition and the keys that it needs, never a value.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Export {
    definition: Value,
    /// The keys that its steps name.
    credentials: Vec<String>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/workflows/{id}/export",
        "exportWorkflow",
        "Export a workflow with the names of the credentials that it needs.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
    .answer::<Export>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Export>, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let head = super::find(&api, &scope, &id).await?;
    let version = definition(&api, &head, head.version).await?;
    let (workspace, workflow) = (head.workspace, head.id);
    let keys = api.store().read(move |tx| tx.workflow_keys(workspace, workflow)).await?;
    let mut credentials: Vec<String> = keys.into_iter().map(|(key, _)| key).collect();
    credentials.sort();
    credentials.dedup();
    let mut event = scope.event(&api, Action::WorkflowExported);
    event.workflow = Some(workflow);
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
    api.store().write(write).await?;
    let definition = serde_json::from_str(&version.definition).unwrap_or(Value::Null);
    Ok(Json(Export { definition, credentials }))
}
