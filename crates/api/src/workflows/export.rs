//! `GET /api/v1/workspaces/{workspace}/workflows/{id}/export`

use super::behind::Behind;
use super::view::definition;
use crate::auth::InWorkspace;
use crate::credentials;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::credential::{Credential, CredentialType};
use keyward_model::permission::{Act, decide};
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::Workflow;
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
    /// What is known of the credentials behind those keys, to find or make the like elsewhere.
    needs: Vec<Needed>,
}

/// A key that a workflow needs.
#[derive(Serialize, JsonSchema)]
struct Needed {
    key: String,
    /// How the credential behind it is made up; null where there is none, or you may not see it.
    #[serde(rename = "type")]
    kind: Option<CredentialType>,
    /// The app that it belongs to.
    app: Option<String>,
    /// Where it may go, as far as you may see that.
    hosts: Vec<String>,
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
    let mut needs = Vec::with_capacity(credentials.len());
    for key in &credentials {
        needs.push(needed(&api, &scope, &head, key).await?);
    }
    Ok(Json(Export { definition, credentials, needs }))
}

/// What the caller may see of the credential that the workflow gets.
async fn needed(
    api: &Api,
    scope: &InWorkspace,
    head: &Workflow,
    key: &str,
) -> Result<Needed, Problem> {
    let behind = Behind::read(api, scope.id(), key).await?;
    let settings = credentials::settings(api, scope).await?;
    let (found, shares) = (behind.nearest(head.id, head.owner), &behind.shares);
    let may = |act, of: &Credential| decide(act, &scope.caller, of, shares, &settings).is_ok();
    let listed = found.filter(|found| may(Act::List, found));
    let viewed = found.filter(|found| may(Act::View, found));
    Ok(Needed {
        key: key.to_owned(),
        kind: listed.map(|found| found.kind),
        app: None,
        hosts: viewed.map(|found| found.policy.lists().0).unwrap_or_default(),
    })
}
