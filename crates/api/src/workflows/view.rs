//! How a workflow is shown.

use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::clock::Timestamp;
use keyward_model::id::{MemberId, WorkflowId};
use keyward_model::json::Fault;
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::{Workflow, WorkflowVersion};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A workflow with its current definition.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WorkflowView {
    id: WorkflowId,
    name: String,
    version: i64,
    active: bool,
    /// Where events are sent; null without an HTTP trigger, and for whoever may not run it.
    trigger_url: Option<String>,
    definition: Value,
    owner: MemberId,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Keys that its steps name and would not get now; left out for whoever may not list credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unavailable_credentials: Option<Vec<String>>,
    /// What its author should know, said when it is saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Fault>,
}

/// A workflow in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WorkflowSummary {
    id: WorkflowId,
    name: String,
    version: i64,
    active: bool,
    owner: MemberId,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<&Workflow> for WorkflowSummary {
    fn from(head: &Workflow) -> Self {
        Self {
            id: head.id,
            name: head.name.clone(),
            version: head.version,
            active: head.active,
            owner: head.owner,
            created_at: head.created_at,
            updated_at: head.updated_at,
        }
    }
}

/// The definition of a version as its author wrote it, the row's tag checked.
pub(crate) async fn definition(
    api: &Api,
    head: &Workflow,
    version: i64,
) -> Result<WorkflowVersion, Problem> {
    let (workspace, id) = (head.workspace, head.id);
    let row = api.store().read(move |tx| tx.workflow_version(workspace, id, version)).await?;
    Ok(api.vault().verify(workspace, row.ok_or_else(Problem::not_found)?).await?)
}

/// Shows a workflow to a member.
pub(crate) async fn view(
    api: &Api,
    scope: &InWorkspace,
    head: &Workflow,
    definition: Value,
) -> Result<WorkflowView, Problem> {
    let is_http = definition.pointer("/trigger/kind").and_then(Value::as_str) == Some("http");
    let shows_url = is_http && scope.may(Ability::RunWorkflows).is_ok();
    let trigger_url = match shows_url {
        true => {
            let sealed = &head.trigger_token;
            let token = api.vault().open_trigger_token(head.workspace, head.id, sealed).await?;
            Some(format!("{}/hooks/{token}", api.public_url()))
        }
        false => None,
    };
    let WorkflowSummary { id, name, version, active, owner, created_at, updated_at } = head.into();
    Ok(WorkflowView {
        id,
        name,
        version,
        active,
        trigger_url,
        definition,
        owner,
        created_at,
        updated_at,
        unavailable_credentials: None,
        warnings: Vec::new(),
    })
}
