//! First use: the owner, the workspace and an API token, by the set-up link or by `keyward init`.

use crate::body::Json;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use keyward_model::actor::{Actor, ActorKind, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::id::{MemberId, TokenId, WorkspaceId};
use keyward_model::tenant::{ApiToken, Member, Workspace};
use keyward_store::{Audited, StoreError, Tx};
use keyward_vault::{NewToken, TokenKind, Vault, VaultError};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// The name under which the hash of the set-up link's token is kept until an owner exists.
const SET_UP_HASH: &str = "set-up-token";

/// The first owner.
pub struct NewOwner {
    /// The e-mail address.
    pub email: String,
    /// The name of the workspace; its slug is made from it.
    pub workspace: String,
    /// The password's hash, where one was given.
    pub password_hash: String,
}

/// Why there is no new owner.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// There is one.
    #[error("an owner exists already; sign in as one, or ask one for an invitation")]
    OwnerExists,
    /// The vault or the database.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Makes owner, workspace and an API token that acts as the owner.
pub async fn create_owner(vault: &Vault, new: NewOwner) -> Result<NewToken, SetUpError> {
    let now = vault.now();
    let (workspace, member): (WorkspaceId, MemberId) = (vault.fresh(), vault.fresh());
    let key = vault.new_workspace(workspace)?;
    let name = new.workspace;
    let row = Workspace { id: workspace, slug: slug(&name), name, created_at: now };
    let owner = Member {
        workspace,
        id: member,
        name: new.email.split('@').next().unwrap_or_default().to_owned(),
        email: new.email.to_lowercase(),
        role: Role::Owner,
        password_hash: new.password_hash,
        created_at: now,
    };
    let actor =
        Actor { kind: ActorKind::Member, id: member.to_string(), name: owner.name.clone() };
    let event = |action| Event::new(vault.fresh(), workspace, now, actor.clone(), action);
    let events =
        [Action::WorkspaceCreated, Action::MemberJoined, Action::TokenCreated].map(event).to_vec();
    let (token, hash) = vault.new_token(TokenKind::Api)?;
    let token_row = ApiToken {
        workspace,
        id: vault.fresh::<TokenId>(),
        member,
        name: "first token".into(),
        hash,
        scopes: String::new(),
        expires_at: None,
        created_at: now,
    };
    let owner = vault.sign(workspace, owner).await?;
    let token_row = vault.sign(workspace, token_row).await?;
    let write = move |tx: &mut Tx<'_>| {
        if tx.has_owner()? {
            return Ok(Audited::new(false, events.clone()));
        }
        tx.insert_workspace(&row)?;
        tx.insert_workspace_key(&key)?;
        tx.insert_member(&owner)?;
        tx.insert_token(&token_row)?;
        Ok(Audited::new(true, events.clone()))
    };
    let made = vault.store().write(write).await.map_err(VaultError::from)?.0;
    if made { Ok(token) } else { Err(SetUpError::OwnerExists) }
}

/// Lower-case letters, digits and hyphens, from a name.
pub(crate) fn slug(name: &str) -> String {
    let plain = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let parts: Vec<_> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(60).collect();
    if slug.is_empty() { "workspace".into() } else { slug }
}

pub(crate) fn operations() -> Vec<Operation> {
    Vec::new()
}
