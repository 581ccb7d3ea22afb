//! `PUT /api/v1/workspaces/{workspace}/workflows/{id}`

use super::view::{WorkflowView, view};
use crate::auth::InWorkspace;
use crate::body::Document;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::{Workflow, WorkflowVersion};
use keyward_store::{Audited, Tx};
use serde_json::Value;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PUT,
        "/api/v1/workspaces/{workspace}/workflows/{id}",
        "replaceWorkflow",
        "Save a new version; runs under way keep theirs.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
    .body::<Value>()
    .answer::<WorkflowView>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Document(document): Document,
) -> Result<Json<WorkflowView>, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let before = super::find(&api, &scope, &id).await?;
    let checked = api.engine().check(scope.id(), &document).await?;
    let (vault, workspace, now) = (api.vault(), scope.id(), api.vault().now());
    let expected = before.revision;
    let head = Workflow {
        name: checked.definition.name.clone(),
        version: before.version + 1,
        updated_at: now,
        revision: expected + 1,
        ..before
    };
    let version = WorkflowVersion {
        workspace,
        workflow: head.id,
        version: head.version,
        author: scope.caller.member,
        definition: document.to_string(),
        compiled: checked.compiled,
        created_at: now,
    };
    let mut event = scope.event(&api, Action::WorkflowUpdated);
    event.workflow = Some(head.id);
    let signed = vault.sign(workspace, head.clone()).await?;
    let version = vault.sign(workspace, version).await?;
    let (workflow, keys): (_, Vec<_>) = (head.id, checked.keys.into_iter().collect());
    let write = move |tx: &mut Tx<'_>| {
        tx.update_workflow(&signed, expected)?;
        tx.insert_workflow_version(&version)?;
        tx.set_workflow_keys(workspace, workflow, &keys)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    let mut shown = view(&api, &scope, &head, document).await?;
    shown.warnings = checked.warnings;
    Ok(Json(shown))
}
