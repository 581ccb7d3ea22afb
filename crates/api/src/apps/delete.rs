//! `DELETE /api/v1/workspaces/{workspace}/apps/{id}`

use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::catalogue::names_app;
use keyward_model::policy::Ability;
use keyward_store::{Audited, StoreError, Tx};
use serde_json::Value;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/apps/{id}",
        "deleteApp",
        "Delete one of the workspace's own apps.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .query(&[("confirm", "true to delete it although credentials or workflows use it")])
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    scope.may_do(&api, Ability::ManageCredentials, Action::AppDeleted).await?;
    let confirm = query.read("confirm", "true or false", |text| text.parse().ok());
    query.done()?;
    super::refuse_built_in(&api, &id)?;
    let workspace = scope.id();
    if !is_there(&api, &scope, &id).await? {
        return Err(Problem::not_found());
    }
    if confirm != Some(true) {
        refuse_used(&api, &scope, &id).await?;
    }
    let mut event = scope.event(&api, Action::AppDeleted);
    event.reason.clone_from(&id);
    let write = move |tx: &mut Tx<'_>| {
        tx.delete_app(workspace, &id)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether there is a row of that id; one that is not the server's can be deleted too.
async fn is_there(api: &Api, scope: &InWorkspace, id: &str) -> Result<bool, Problem> {
    let (workspace, id) = (scope.id(), id.to_owned());
    if id.contains('\0') {
        return Ok(false);
    }
    match api.store().read(move |tx| tx.app_tag(workspace, &id)).await {
        Err(StoreError::Corrupt { .. }) => Ok(true),
        found => Ok(found?.is_some()),
    }
}

async fn refuse_used(api: &Api, scope: &InWorkspace, id: &str) -> Result<(), Problem> {
    let (workspace, name) = (scope.id(), id.to_owned());
    let found = api.store().read(move |tx| tx.users_of_app(workspace, &name)).await?;
    let (credentials, definitions) = found;
    let names = |text: &String| {
        let definition: Option<Value> = serde_json::from_str(text).ok();
        definition.is_some_and(|definition| names_app(&definition, id))
    };
    let workflows = definitions.iter().filter(|text| names(text)).count();
    if credentials == 0 && workflows == 0 {
        return Ok(());
    }
    let detail = format!(
        "{} and {} use this app; delete it all the same with confirm=true",
        counted(credentials, "credential"),
        counted(workflows, "workflow"),
    );
    Err(Problem::new("conflict", detail)
        .with("credentials", credentials)
        .with("workflows", workflows))
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
