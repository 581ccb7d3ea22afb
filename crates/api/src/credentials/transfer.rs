//! `POST …/credentials/{id}/transfer`

use super::access::{event, find};
use super::save::{Change, save};
use super::shares::current_member;
use super::versions::kept;
use super::view::{Shown, show_given};
use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::credential::{Credential, CredentialVersion};
use keyward_model::permission::{Act, may_create};
use keyward_model::settings::Settings;
use keyward_model::share::Sharee;
use keyward_model::tenant::{Member, MemberKind};
use keyward_store::StoreError;
use keyward_vault::VaultError;
use schemars::JsonSchema;
use serde::Deserialize;

/// Who shall own a credential.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Transfer {
    /// A member's id: a person whose role may make such a credential.
    to: String,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/{id}/transfer",
        "transferCredential",
        "Give a credential another owner; a personal one counts for that member's workflows from now on.",
        Access::Credential(Act::Transfer),
        handle,
    )
    .body::<Transfer>()
    .answer::<Shown>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    body::Json(body): body::Json<Transfer>,
) -> Result<Json<Shown>, Problem> {
    let found = find(&api, &scope, &id, Act::Transfer).await?;
    let before = found.credential;
    let to = match body.to.parse() {
        Ok(to) => current_member(&api, scope.id(), to).await?,
        Err(_) => None,
    };
    let to = check(&before, to, &found.settings)?;
    let mut after = before.clone();
    after.transfer(to.id, api.vault().now());
    check_key(&api, &before, &after).await?;
    let rewrapped = rewrap(&api, &before, &after).await?;
    let mut event = event(&api, &scope, &before, Action::CredentialTransferred);
    event.reason = to.id.to_string();
    // What is one's own needs no share.
    let own = (after.scope != before.scope).then_some(Sharee::Member(to.id));
    let change = Change { rewrapped, unshared: own, ..Change::of_head(before, after.clone()) };
    save(&api, &scope, change, vec![event]).await?;
    Ok(Json(show_given(&api, &scope, &after).await?))
}

/// Whether a member may own the credential.
fn check(
    credential: &Credential,
    to: Option<Member>,
    settings: &Settings,
) -> Result<Member, Problem> {
    let refused = |detail: &str| Err(Problem::fault("/to", "invalid_value", detail));
    let Some(to) = to else {
        return refused("there is no such member in this workspace; give the id of a member");
    };
    if to.kind != MemberKind::Person {
        return refused("a service account owns no credentials; give the id of a person");
    }
    if !may_create(to.role, credential.scope, settings) {
        return refused("this member's role may not own such a credential");
    }
    if to.id == credential.owner {
        return refused("this member owns it already");
    }
    Ok(to)
}

/// A key is unique among one's own.
async fn check_key(api: &Api, before: &Credential, after: &Credential) -> Result<(), Problem> {
    if after.scope == before.scope {
        return Ok(());
    }
    let (workspace, key, scope) = (after.workspace, after.key.clone(), after.scope);
    let rivals = match api.store().read(move |tx| tx.credentials_by_key(workspace, &key)).await {
        // Whether an unreadable row has the key, the write itself says.
        Err(StoreError::Corrupt { .. }) => Vec::new(),
        rivals => rivals?,
    };
    match rivals.iter().any(|row| row.parts().0.scope == scope) {
        true => {
            let detail =
                "the new owner has a credential of this key already; one of the two must go";
            Err(Problem::new("conflict", detail))
        }
        false => Ok(()),
    }
}

/// The versions that are kept, their keys wrapped for the new owner.
async fn rewrap(
    api: &Api,
    before: &Credential,
    after: &Credential,
) -> Result<Vec<CredentialVersion>, Problem> {
    if after.scope == before.scope {
        return Ok(Vec::new());
    }
    let versions = kept(api, before).await?;
    match api.vault().rebind_versions(before, after, &versions).await {
        Err(VaultError::Unreadable) => {
            let detail = "the saved value cannot be opened, and so not given on; enter it again, \
                or make the credential anew";
            Err(Problem::new("conflict", detail))
        }
        rewrapped => Ok(rewrapped?),
    }
}
