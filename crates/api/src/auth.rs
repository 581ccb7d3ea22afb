//! Signing in: the bearer token of a request, the workspace in its path, and what the role allows.

use crate::problem::Problem;
use crate::router::Api;
use crate::scopes::Scopes;
use axum::extract::{FromRequestParts, RawPathParams};
use http::header::AUTHORIZATION;
use http::request::Parts;
use keyward_model::actor::{Actor, Caller};
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::id::{Identifier as _, TokenId, WorkspaceId};
use keyward_model::policy::{Ability, may};
use keyward_model::tenant::{Member, Workspace};
use keyward_store::StoreError;
use keyward_vault::TokenKind;

/// Who sent a request, before any workspace is chosen.
pub(crate) struct SignedIn {
    /// The member that the token acts as, in the token's own workspace.
    pub(crate) member: Member,
    /// The token.
    pub(crate) token: Presented,
}

/// The API token that came with a request.
pub(crate) struct Presented {
    /// Its id.
    pub(crate) id: TokenId,
    /// What it may do at most.
    pub(crate) scopes: Scopes,
    /// When it stops working.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A member of the workspace that the path names.
pub(crate) struct InWorkspace {
    /// The workspace.
    pub(crate) workspace: Workspace,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The token that they ask with.
    pub(crate) token: Presented,
}

impl InWorkspace {
    /// Fails with `forbidden` where the role, or the token's scopes, do not allow it.
    pub(crate) fn may(&self, ability: Ability) -> Result<(), Problem> {
        if !may(self.caller.role, ability) {
            return Err(Problem::forbidden());
        }
        match self.token.scopes.include(ability) {
            true => Ok(()),
            false => Err(Problem::new("forbidden", "the scopes of your token do not allow this")),
        }
    }

    /// The workspace's id.
    pub(crate) fn id(&self) -> WorkspaceId {
        self.workspace.id
    }

    /// An audit event of the caller's making, its subject yet to be said.
    pub(crate) fn event(&self, api: &Api, action: Action) -> Event {
        let vault = api.vault();
        let actor = Actor::from(&self.caller);
        Event::new(vault.fresh(), self.id(), vault.now(), actor, action)
    }
}

impl FromRequestParts<Api> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = bearer(parts).ok_or_else(unauthenticated)?;
        let hash = api.vault().token_hash(TokenKind::Api, token);
        let found = api.store().read(move |tx| {
            let Some(token) = tx.token_by_hash(&hash)? else { return Ok(None) };
            let (row, _) = token.parts();
            let member = tx.member(row.workspace, row.member)?;
            Ok(Some((row.workspace, token, member)))
        });
        let found = match found.await {
            Ok(found) => found,
            // A row that cannot even be read signs nobody in.
            Err(StoreError::Corrupt { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let (workspace, token, member) = found.ok_or_else(unauthenticated)?;
        let token = api.vault().verify(workspace, token).await.map_err(|_| unauthenticated())?;
        let member = member.ok_or_else(unauthenticated)?;
        let member = api.vault().verify(workspace, member).await.map_err(|_| unauthenticated())?;
        if token.hash != hash || token.expires_at.is_some_and(|at| at <= api.vault().now()) {
            return Err(unauthenticated());
        }
        let scopes = Scopes::parse(&token.scopes);
        let token = Presented { id: token.id, scopes, expires_at: token.expires_at };
        Ok(Self { member, token })
    }
}

impl FromRequestParts<Api> for InWorkspace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let signed_in = SignedIn::from_request_parts(parts, api).await?;
        let params = RawPathParams::from_request_parts(parts, api).await;
        let params = params.map_err(|_| Problem::not_found())?;
        let named = params.iter().find(|(name, _)| *name == "workspace").map(|(_, value)| value);
        let named = named.ok_or_else(Problem::not_found)?.to_owned();
        let found = api.store().read(move |tx| match WorkspaceId::parse(&named) {
            Ok(id) => tx.workspace(id),
            // Nothing else is a slug, and PostgreSQL takes no NUL.
            Err(_) if named.contains('\0') => Ok(None),
            Err(_) => tx.workspace_by_slug(&named),
        });
        let workspace = found.await?.ok_or_else(Problem::not_found)?;
        let member = member_of(api, &workspace, signed_in.member).await?;
        let caller = Caller {
            workspace: workspace.id,
            member: member.id,
            name: member.name,
            role: member.role,
        };
        Ok(Self { workspace, caller, token: signed_in.token })
    }
}

/// The same person's membership of that workspace; whoever has none sees nothing there.
async fn member_of(api: &Api, workspace: &Workspace, member: Member) -> Result<Member, Problem> {
    let id = workspace.id;
    if member.workspace == id {
        return Ok(member);
    }
    let found = api.store().read(move |tx| tx.member_by_email(id, &member.email)).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    api.vault().verify(id, found).await.map_err(|_| Problem::not_found())
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthenticated() -> Problem {
    Problem::new("unauthenticated", "send a valid API token as `Authorization: Bearer <token>`")
}
