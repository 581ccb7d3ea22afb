//! Sessions: signing in with a password, one file per operation; and `open`, by which every way of
//! signing in gives an account its session.

mod create;
mod delete;
mod list;

use crate::auth::memberships;
use crate::cookie;
use crate::guard::Client;
use crate::members::{MemberView, view};
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::id::{AccountId, SessionId};
use keyward_model::people::{Account, Session};
use keyward_model::tenant::Member;
use keyward_store::{Audited, StoreError, Tx};
use keyward_vault::TokenKind;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    vec![create::operation(), list::operation(), delete::operation()]
}

/// A session that has just been opened; `Set-Cookie` goes with it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewSession {
    id: SessionId,
    /// Your membership, of the oldest of your workspaces.
    member: MemberView,
    /// What writes of this session send as `X-CSRF-Token`.
    csrf_token: String,
}

/// What `open` gives: as a response 201 with the cookie, or its parts for a page that goes on.
pub(crate) struct Opened {
    /// What the API answers.
    pub(crate) session: NewSession,
    /// The value of `Set-Cookie`.
    pub(crate) cookie: HeaderValue,
}

impl IntoResponse for Opened {
    fn into_response(self) -> Response {
        let cookie = [(header::SET_COOKIE, self.cookie)];
        (StatusCode::CREATED, cookie, axum::Json(self.session)).into_response()
    }
}

/// Opens a session for an account whose person has proven who they are. `used` is the account as it
/// is to be written in the same commit, where the proof used something up, such as a one-time code.
///
/// # Errors
/// `forbidden` for an account without any membership; `conflict` where the account was changed in
/// the meantime.
pub(crate) async fn open(
    api: &Api,
    account: &Account,
    used: Option<Account>,
    client: &Client,
) -> Result<Opened, Problem> {
    let (vault, now) = (api.vault(), api.vault().now());
    let members = memberships(api, account.id).await?;
    let events = events(api, &members, Action::SessionCreated);
    let member = members.first().ok_or_else(member_of_nothing)?;
    let (token, hash) = vault.new_token(TokenKind::Session)?;
    let session = Session {
        id: vault.fresh(),
        account: account.id,
        hash,
        address: client.address.clone(),
        user_agent: client.user_agent.clone(),
        created_at: now,
        seen_at: now,
    };
    let opened = Opened {
        session: NewSession {
            id: session.id,
            member: view(member),
            csrf_token: cookie::csrf(api, token.reveal()),
        },
        cookie: cookie::set(api, &token),
    };
    let (session, used) = (vault.sign_server(session), used.map(|used| vault.sign_server(used)));
    let (id, revision) = (account.id, account.revision);
    let write = move |tx: &mut Tx<'_>| {
        match &used {
            Some(used) => tx.update_account(used)?,
            // What was proven counts for the account as it was then: not for a new password.
            None => unchanged(tx, id, revision)?,
        }
        tx.insert_session(&session)?;
        Ok(Audited::new((), events.clone()))
    };
    api.store().write(write).await?;
    Ok(opened)
}

fn unchanged(tx: &mut Tx<'_>, id: AccountId, revision: i64) -> Result<(), StoreError> {
    let now = tx.account(id)?.map(|row| row.parts().0.revision);
    match now == Some(revision) {
        true => Ok(()),
        false => Err(StoreError::Conflict { what: "revision" }),
    }
}

/// One event of an account's doing in each workspace that it is a member of.
pub(crate) fn events(api: &Api, members: &[Member], action: Action) -> Vec<Event> {
    let vault = api.vault();
    let event = |member: &Member| {
        let (kind, id) = (ActorKind::Member, member.id.to_string());
        let actor = Actor { kind, id, name: member.name.clone() };
        Event::new(vault.fresh(), member.workspace, vault.now(), actor, action)
    };
    members.iter().map(event).collect()
}

/// Writes down that signing in to an account failed; nothing but the log tells of an address that
/// nobody has, after the same work.
pub(crate) async fn failed(
    api: &Api,
    account: Option<&Account>,
    reason: &'static str,
) -> Result<(), StoreError> {
    let members = match account {
        Some(account) => memberships(api, account.id).await?,
        None => Vec::new(),
    };
    let mut events = events(api, &members, Action::SessionFailed);
    tracing::info!(known = !events.is_empty(), reason, "a sign-in failed");
    if events.is_empty() {
        return api.store().record(|tx| tx.put_meta("sign-in", b"")).await;
    }
    for event in &mut events {
        event.outcome = Outcome::Refused;
        event.reason = reason.into();
    }
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), events.clone()));
    api.store().write(write).await.map(|_| ())
}

fn member_of_nothing() -> Problem {
    Problem::new("forbidden", "you are a member of no workspace; ask for an invitation")
}
