//! Signing in: the bearer token or the session's cookie of a request, the workspace in its path,
//! and what the role allows.

use crate::cookie;
use crate::problem::Problem;
use crate::router::Api;
use crate::scopes::Scopes;
use axum::extract::{FromRequestParts, RawPathParams};
use http::header::AUTHORIZATION;
use http::request::Parts;
use keyward_model::actor::{Actor, Caller};
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::clock::Timestamp;
use keyward_model::id::{AccountId, Identifier as _, SessionId, TokenId, WorkspaceId};
use keyward_model::people::Session;
use keyward_model::policy::{Ability, may};
use keyward_model::tag::Tagged;
use keyward_model::tenant::{Member, Workspace};
use keyward_store::{Audited, StoreError};
use keyward_vault::TokenKind;

/// Who sent a request, before any workspace is chosen.
pub(crate) struct SignedIn {
    /// The member that a token acts as, in the token's own workspace; with a session, the account's
    /// membership of its oldest workspace.
    pub(crate) member: Member,
    /// The token or session.
    pub(crate) with: Presented,
}

/// What came with a request to say who sent it.
pub(crate) struct Presented {
    /// Which token or session it was.
    pub(crate) by: By,
    /// What it may do at most; a session may all.
    pub(crate) scopes: Scopes,
    /// When it stops working, where what it makes must stop with it.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A token or a session.
pub(crate) enum By {
    /// An API token.
    Token(TokenId),
    /// A session, with the token that its writes send in `X-CSRF-Token`.
    Session(SessionId, String),
}

impl Presented {
    /// The token's or session's id.
    pub(crate) fn id(&self) -> String {
        match &self.by {
            By::Token(id) => id.to_string(),
            By::Session(id, _) => id.to_string(),
        }
    }

    /// The session's id, where it is one.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match &self.by {
            By::Token(_) => None,
            By::Session(id, _) => Some(*id),
        }
    }
}

impl SignedIn {
    /// The account behind the request; a service account has none.
    pub(crate) fn account(&self) -> Result<AccountId, Problem> {
        let detail = "a service account has neither account nor sessions";
        self.member.account.ok_or_else(|| Problem::new("forbidden", detail))
    }

    /// Fails where the token is narrowed by scopes.
    pub(crate) fn whole(&self) -> Result<(), Problem> {
        match self.with.scopes.whole() {
            true => Ok(()),
            false => Err(beyond_scopes()),
        }
    }

    /// Fails where the token ends some day: what it would leave behind stays.
    pub(crate) fn lasting(&self) -> Result<(), Problem> {
        let detail = "a token that expires sets up no other way to sign in; sign in first";
        match self.with.expires_at {
            None => Ok(()),
            Some(_) => Err(Problem::new("forbidden", detail)),
        }
    }
}

/// A member of the workspace that the path names.
pub(crate) struct InWorkspace {
    /// The workspace.
    pub(crate) workspace: Workspace,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The token or session that they ask with.
    pub(crate) with: Presented,
}

impl InWorkspace {
    /// Fails with `forbidden` where the role, or the token's scopes, do not allow it.
    pub(crate) fn may(&self, ability: Ability) -> Result<(), Problem> {
        if !may(self.caller.role, ability) {
            return Err(Problem::forbidden());
        }
        self.within_scopes(ability)
    }

    /// Fails with `forbidden` where the token's scopes do not allow it, whatever the role.
    pub(crate) fn within_scopes(&self, ability: Ability) -> Result<(), Problem> {
        match self.with.scopes.include(ability) {
            true => Ok(()),
            false => Err(beyond_scopes()),
        }
    }

    /// The same as `may`; a refusal is written to the audit trail as an attempt at that action.
    pub(crate) async fn may_do(
        &self,
        api: &Api,
        ability: Ability,
        action: Action,
    ) -> Result<(), Problem> {
        match self.may(ability) {
            Ok(()) => Ok(()),
            Err(problem) => Err(self.refused(api, action, problem).await),
        }
    }

    /// Writes an attempt to the audit trail that the caller's role does not allow, and gives the
    /// answer back; where that cannot be written, the answer that says so.
    pub(crate) async fn refused(&self, api: &Api, action: Action, problem: Problem) -> Problem {
        let mut event = self.event(api, action);
        event.outcome = Outcome::Refused;
        event.reason = "role".into();
        let write = move |_: &mut keyward_store::Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
        match api.store().write(write).await {
            Ok(_) => problem,
            Err(error) => error.into(),
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

    /// A token goes before a cookie where both came.
    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        if let Some(token) = bearer(parts) {
            return by_token(api, token).await;
        }
        let token = cookie::token(api, &parts.headers).ok_or_else(unauthenticated)?;
        let signed_in = by_session(api, token).await?;
        cookie::check_write(api, parts, &signed_in.with)?;
        Ok(signed_in)
    }
}

async fn by_token(api: &Api, token: &str) -> Result<SignedIn, Problem> {
    let hash = api.vault().token_hash(TokenKind::Api, token);
    let found = api.store().read(move |tx| {
        let Some(token) = tx.token_by_hash(&hash)? else { return Ok(None) };
        let (row, _) = token.parts();
        let member = tx.member(row.workspace, row.member)?;
        Ok(Some((row.workspace, token, member)))
    });
    let (workspace, token, member) = readable(found.await)?.ok_or_else(unauthenticated)?;
    let token = api.vault().verify(workspace, token).await.map_err(|_| unauthenticated())?;
    let member = member.ok_or_else(unauthenticated)?;
    let member = api.vault().verify(workspace, member).await.map_err(|_| unauthenticated())?;
    if token.hash != hash || token.expires_at.is_some_and(|at| at <= api.vault().now()) {
        return Err(unauthenticated());
    }
    let by = By::Token(token.id);
    let (scopes, expires_at) = (Scopes::parse(&token.scopes), token.expires_at);
    Ok(SignedIn { member, with: Presented { by, scopes, expires_at } })
}

async fn by_session(api: &Api, token: &str) -> Result<SignedIn, Problem> {
    let (vault, now) = (api.vault(), api.vault().now());
    let hash = vault.token_hash(TokenKind::Session, token);
    let found = api.store().read(move |tx| {
        let Some(session) = tx.session_by_hash(&hash)? else { return Ok(None) };
        let id = session.parts().0.account;
        let Some(account) = tx.account(id)? else { return Ok(None) };
        Ok(Some((session, account, tx.memberships(id)?)))
    });
    let (session, account, rows) = readable(found.await)?.ok_or_else(unauthenticated)?;
    let session = vault.verify_server(session).map_err(|_| unauthenticated())?;
    let account = vault.verify_server(account).map_err(|_| unauthenticated())?;
    if session.hash != hash || session.account != account.id || !session.lives(now) {
        return Err(unauthenticated());
    }
    let members = believed(api, account.id, rows).await;
    let member = members.into_iter().next().ok_or_else(unauthenticated)?;
    let by = By::Session(session.id, cookie::csrf(api, token));
    if session.is_stale(now) {
        write_down_use(api, Session { seen_at: now, ..session }).await;
    }
    Ok(SignedIn { member, with: Presented { by, scopes: Scopes::All, expires_at: None } })
}

/// A session that was in use stays alive; that this cannot be written down stops no request.
async fn write_down_use(api: &Api, session: Session) {
    let row = api.vault().sign_server(session);
    if let Err(error) = api.store().record(move |tx| tx.session_seen(&row)).await {
        tracing::warn!(%error, "the use of a session could not be written down");
    }
}

/// The account's memberships, oldest workspace first. One that somebody else wrote into the
/// database is none.
pub(crate) async fn memberships(api: &Api, account: AccountId) -> Result<Vec<Member>, StoreError> {
    let rows = api.store().read(move |tx| tx.memberships(account)).await?;
    Ok(believed(api, account, rows).await)
}

async fn believed(api: &Api, account: AccountId, rows: Vec<Tagged<Member>>) -> Vec<Member> {
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        let workspace = row.parts().0.workspace;
        match api.vault().verify(workspace, row).await {
            Ok(member) if member.account == Some(account) => members.push(member),
            _ => {}
        }
    }
    members
}

/// A row that cannot even be read signs nobody in.
fn readable<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, Problem> {
    match read {
        Ok(found) => Ok(found),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error.into()),
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
        Ok(Self { workspace, caller, with: signed_in.with })
    }
}

/// The same person's membership of that workspace; whoever has none sees nothing there.
async fn member_of(api: &Api, workspace: &Workspace, member: Member) -> Result<Member, Problem> {
    let id = workspace.id;
    if member.workspace == id {
        return Ok(member);
    }
    let account = member.account.ok_or_else(Problem::not_found)?;
    let found = readable(api.store().read(move |tx| tx.member_by_account(id, account)).await)?;
    let found = found.ok_or_else(Problem::not_found)?;
    api.vault().verify(id, found).await.map_err(|_| Problem::not_found())
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn beyond_scopes() -> Problem {
    Problem::new("forbidden", "the scopes of your token do not allow this")
}

fn unauthenticated() -> Problem {
    let detail = "sign in, or send a valid API token as `Authorization: Bearer <token>`";
    Problem::new("unauthenticated", detail)
}
