//! `POST /api/v1/workspaces/{workspace}/workflows`

use super::view::{WorkflowView, view};
use crate::auth::InWorkspace;
use crate::body::Document;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_engine::Checked;
use keyward_model::audit::Action;
use keyward_model::id::WorkflowId;
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::{Allowlist, Workflow, WorkflowVersion};
use keyward_store::{Audited, Tx};
use keyward_vault::TokenKind;
use serde_json::Value;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/workflows",
        "createWorkflow",
        "Save a new workflow; the body is its definition, JSON or YAML.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
    .query(&[("active", "false to leave its trigger off")])
    .body::<Value>()
    .answer::<WorkflowView>(201)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
    Document(document): Document,
) -> Result<impl IntoResponse, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let active = query.read("active", "true or false", |text| text.parse().ok()).unwrap_or(true);
    query.done()?;
    let checked = api.engine().check(scope.id(), &document).await?;
    let made = make(&api, &scope, document, checked, active, Action::WorkflowCreated).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Saves a checked definition as a new workflow of the caller's, in one write.
pub(super) async fn make(
    api: &Api,
    scope: &InWorkspace,
    document: Value,
    checked: Checked,
    active: bool,
    action: Action,
) -> Result<WorkflowView, Problem> {
    let (vault, workspace, now) = (api.vault(), scope.id(), api.vault().now());
    let id: WorkflowId = vault.fresh();
    let (token, trigger_hash) = vault.new_token(TokenKind::Trigger)?;
    let head = Workflow {
        workspace,
        id,
        name: checked.definition.name.clone(),
        version: 1,
        active,
        owner: scope.caller.member,
        trigger_hash,
        trigger_token: vault.seal_trigger_token(workspace, id, token.reveal()).await?,
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    let version = WorkflowVersion {
        workspace,
        workflow: id,
        version: 1,
        author: scope.caller.member,
        definition: document.to_string(),
        compiled: checked.compiled,
        created_at: now,
    };
    let allowlist = Allowlist { workspace, workflow: id, enabled: false, keys: Vec::new() };
    let mut event = scope.event(api, action);
    event.workflow = Some(id);
    let rows = (
        vault.sign(workspace, head.clone()).await?,
        vault.sign(workspace, version).await?,
        vault.sign(workspace, allowlist).await?,
    );
    let keys: Vec<_> = checked.keys.into_iter().collect();
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_workflow(&rows.0)?;
        tx.insert_workflow_version(&rows.1)?;
        tx.put_allowlist(&rows.2)?;
        tx.set_workflow_keys(workspace, id, &keys)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    let mut shown = view(api, scope, &head, document).await?;
    shown.warnings = checked.warnings;
    Ok(shown)
}
