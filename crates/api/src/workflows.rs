//! Workflows: one file per operation, and how one is shown.

mod allowlist;
mod behind;
mod create;
mod delete;
mod export;
mod get;
mod import;
mod list;
mod replace;
mod switch;
mod versions;
mod view;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use keyward_model::id::WorkflowId;
use keyward_model::saved_workflow::Workflow;
use serde_json::Value;

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        list::operation(),
        create::operation(),
        get::operation(),
        replace::operation(),
        delete::operation(),
        versions::operation(),
        export::operation(),
        import::operation(),
    ];
    operations.extend(switch::operations());
    operations.extend(allowlist::operations());
    operations
}

/// `GET /api/workflow.schema.json`
pub(crate) async fn schema() -> Json<Value> {
    Json(keyward_model::workflow::json_schema())
}

/// The workflow that a path names, its tag checked; `not_found` for anything else.
pub(crate) async fn find(api: &Api, scope: &InWorkspace, id: &str) -> Result<Workflow, Problem> {
    let id: WorkflowId = id.parse().map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.workflow(workspace, id)).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    Ok(api.vault().verify(workspace, found).await?)
}
