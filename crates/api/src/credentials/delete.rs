//! `DELETE /api/v1/workspaces/{workspace}/credentials/{id}`

use super::access::{Broken, Deleted, Named, event, named};
use super::dependents::dependents;
use super::save::{Change, save};
use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::{Action, Event};
use keyward_model::credential::Credential;
use keyward_model::id::CredentialId;
use keyward_model::permission::Act;
use keyward_store::{Audited, StoreError, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "deleteCredential",
        "Delete a credential, to be restored within 30 days; one that workflows use only when confirmed.",
        Access::Credential(Act::Delete),
        handle,
    )
    .query(&[
        ("confirm", "true to delete although workflows use it"),
        ("now", "true to destroy its values at once: it cannot be restored"),
    ])
    .problems(&["credential_in_use", "conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<StatusCode, Problem> {
    let confirm = query.read("confirm", "true or false", |text| text.parse().ok());
    let now = query.read("now", "true or false", |text| text.parse().ok());
    query.done()?;
    let now = now.unwrap_or(false);
    let deleted = if now { Deleted::Shown } else { Deleted::Hidden };
    let found = match named(&api, &scope, &id, Act::Delete, deleted).await? {
        Named::Found(found) => *found,
        // A row that somebody else wrote can only be destroyed.
        Named::Broken(broken) => {
            let Broken { id, row } = *broken;
            let key = row.map(|row| row.parts().0.key.clone());
            return shred(&api, &scope, id, key).await;
        }
    };
    let before = found.credential;
    if !confirm.unwrap_or(false) && before.lifecycle.deleted.is_none() {
        refuse_in_use(&api, &before).await?;
    }
    if now {
        return shred(&api, &scope, before.id, Some(before.key)).await;
    }
    let mut after = before.clone();
    after.delete(scope.caller.member, api.vault().now());
    let events = vec![event(&api, &scope, &before, Action::CredentialDeleted)];
    save(&api, &scope, Change::of_head(before, after), events).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn refuse_in_use(api: &Api, credential: &Credential) -> Result<(), Problem> {
    let found = dependents(api, credential).await?;
    if found.is_empty() {
        return Ok(());
    }
    let detail = "workflows use this credential; see `dependents`, or delete it with ?confirm=true";
    let found = serde_json::to_value(found).unwrap_or_default();
    Err(Problem::new("credential_in_use", detail).with("dependents", found))
}

/// Destroys the credential with all its versions.
async fn shred(
    api: &Api,
    scope: &InWorkspace,
    id: CredentialId,
    key: Option<String>,
) -> Result<StatusCode, Problem> {
    let workspace = scope.id();
    let events = [Action::CredentialDeleted, Action::CredentialShredded].map(|action| Event {
        credential: Some(id),
        key: key.clone(),
        ..scope.event(api, action)
    });
    let write = move |tx: &mut Tx<'_>| match tx.delete_credential(workspace, id)? {
        true => Ok(Audited::new((), events.to_vec())),
        false => Err(StoreError::Conflict { what: "revision" }),
    };
    api.store().write(write).await?;
    Ok(StatusCode::NO_CONTENT)
}
