//! `POST /api/v1/workspaces/{workspace}/workflows/{id}/activate` and `…/deactivate`

use super::view::WorkflowSummary;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::Workflow;
use keyward_store::{Audited, Tx};

pub(crate) fn operations() -> [Operation; 2] {
    let activate = Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/workflows/{id}/activate",
        "activateWorkflow",
        "Switch a workflow's trigger on.",
        Access::Member(Ability::EditWorkflows),
        |api, scope, path| switch(api, scope, path, true),
    );
    let deactivate = Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/workflows/{id}/deactivate",
        "deactivateWorkflow",
        "Switch a workflow's trigger off; its hook answers 404.",
        Access::Member(Ability::EditWorkflows),
        |api, scope, path| switch(api, scope, path, false),
    );
    [activate, deactivate].map(|operation| operation.answer::<WorkflowSummary>(200))
}

async fn switch(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    active: bool,
) -> Result<Json<WorkflowSummary>, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let before = super::find(&api, &scope, &id).await?;
    let (expected, updated_at) = (before.revision, api.vault().now());
    let head = Workflow { active, updated_at, revision: expected + 1, ..before };
    let action = if active { Action::WorkflowActivated } else { Action::WorkflowDeactivated };
    let mut event = scope.event(&api, action);
    event.workflow = Some(head.id);
    let signed = api.vault().sign(head.workspace, head.clone()).await?;
    let write = move |tx: &mut Tx<'_>| {
        tx.update_workflow(&signed, expected)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(Json((&head).into()))
}
