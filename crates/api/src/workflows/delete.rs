//! `DELETE /api/v1/workspaces/{workspace}/workflows/{id}`

use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_store::{Audited, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/workflows/{id}",
        "deleteWorkflow",
        "Delete a workflow with its versions; its runs stay for as long as the workspace keeps runs.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let head = super::find(&api, &scope, &id).await?;
    let mut event = scope.event(&api, Action::WorkflowDeleted);
    event.workflow = Some(head.id);
    let write = move |tx: &mut Tx<'_>| {
        tx.delete_workflow(head.workspace, head.id)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(StatusCode::NO_CONTENT)
}
