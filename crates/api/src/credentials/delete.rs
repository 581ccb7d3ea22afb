//! `DELETE /api/v1/workspaces/{workspace}/credentials/{id}`

use super::Found;
use super::dependents::dependents;
use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::credential::Credential;
use keyward_model::id::CredentialId;
use keyward_model::policy::Ability;
use keyward_store::{Audited, StoreError, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "deleteCredential",
        "Delete a credential; one that workflows name only when confirmed.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .query(&[("confirm", "true to delete although workflows name it")])
    .problems(&["credential_in_use"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    scope.may(Ability::ManageCredentials)?;
    let confirm = query.read("confirm", "true or false", |text| text.parse().ok());
    query.done()?;
    // A row that somebody else wrote can be deleted like any other.
    let (id, key) = match super::row(&api, &scope, &id).await? {
        Found::Unreadable(id) => (id, None),
        Found::Row(row) => {
            let (row, _) = row.parts();
            if !confirm.unwrap_or(false) {
                refuse_in_use(&api, row).await?;
            }
            (row.id, Some(row.key.clone()))
        }
    };
    delete(&api, &scope, id, key).await
}

async fn refuse_in_use(api: &Api, credential: &Credential) -> Result<(), Problem> {
    let found = dependents(api, credential).await?;
    if found.is_empty() {
        return Ok(());
    }
    let detail =
        "workflows name this credential; see `dependents`, or delete it with ?confirm=true";
    let found = serde_json::to_value(found).unwrap_or_default();
    Err(Problem::new("credential_in_use", detail).with("dependents", found))
}

async fn delete(
    api: &Api,
    scope: &InWorkspace,
    id: CredentialId,
    key: Option<String>,
) -> Result<StatusCode, Problem> {
    let workspace = scope.id();
    let mut event = scope.event(api, Action::CredentialDeleted);
    event.credential = Some(id);
    event.key = key;
    let write = move |tx: &mut Tx<'_>| match tx.delete_credential(workspace, id)? {
        true => Ok(Audited::new((), vec![event.clone()])),
        false => Err(StoreError::Conflict { what: "revision" }),
    };
    api.store().write(write).await?;
    Ok(StatusCode::NO_CONTENT)
}
