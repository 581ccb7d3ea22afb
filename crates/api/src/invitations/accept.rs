//! `POST /api/v1/invitations/{token}/accept`

use crate::body::Json;
use crate::guard::{Attempt, Client};
use crate::members::{MemberView, view};
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::sessions::failed;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::{Action, Event};
use keyward_model::json::Fault;
use keyward_model::people::{Account, Invitation, may_grant};
use keyward_model::tenant::{Member, MemberKind};
use keyward_store::{Audited, StoreError, Tx};
use keyward_vault::{Incoming, TokenKind};
use schemars::JsonSchema;
use serde::Deserialize;

/// Somebody else was faster.
const GONE: &str = "invitation that is gone";

/// Who accepts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// The name that people read; needed where the address has no account yet.
    name: Option<String>,
    /// The account's password; of a new account, at least 12 characters.
    #[schemars(with = "String")]
    password: Incoming,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/invitations/{token}/accept",
        "acceptInvitation",
        "Accept an invitation: makes the account, or joins with the one that the address has.",
        Access::Public,
        handle,
    )
    .body::<Acceptance>()
    .answer::<MemberView>(201)
    .problems(&["unauthenticated", "not_found", "conflict", "rate_limited"])
}

async fn handle(
    State(api): State<Api>,
    client: Client,
    path: Result<Path<String>, PathRejection>,
    Json(body): Json<Acceptance>,
) -> Result<impl IntoResponse, Problem> {
    let Path(token) = path.map_err(|_| over())?;
    let attempt = Attempt::begin(&api, &client, None).await?;
    let invitation = find(&api, &token).await?;
    // The link was right, so whoever holds it is no guesser.
    attempt.withdrawn(&api).await?;
    let email = invitation.email.clone();
    let found = api.store().read(move |tx| tx.account_by_email(&email)).await?;
    let account = match found {
        Some(row) => {
            let account = api.vault().verify_server(row)?;
            check_password(&api, &account, body.password, &client).await?;
            (account, false)
        }
        None => (new_account(&api, &invitation, body).await?, true),
    };
    let member = join(&api, invitation, account).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&member))))
}

/// The invitation of a token that is in force: its inviter may still grant what it promises.
async fn find(api: &Api, token: &str) -> Result<Invitation, Problem> {
    let hash = api.vault().token_hash(TokenKind::Invitation, token);
    let found = api.store().read(move |tx| {
        let Some(row) = tx.invitation_by_hash(&hash)? else { return Ok(None) };
        let (workspace, inviter) = (row.parts().0.workspace, row.parts().0.inviter);
        let inviter = tx.member(workspace, inviter)?;
        Ok(inviter.map(|inviter| (workspace, row, inviter)))
    });
    let found = match found.await {
        Ok(found) => found,
        // A row that cannot even be read invites nobody.
        Err(StoreError::Corrupt { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let (workspace, row, inviter) = found.ok_or_else(over)?;
    let invitation = api.vault().verify(workspace, row).await.map_err(|_| over())?;
    let inviter = api.vault().verify(workspace, inviter).await.map_err(|_| over())?;
    let in_force = invitation.hash == hash && api.vault().now() < invitation.expires_at;
    match in_force && may_grant(inviter.role, invitation.role) {
        true => Ok(invitation),
        false => Err(over()),
    }
}

/// Fails where that is not the password of the account that the address has already.
async fn check_password(
    api: &Api,
    account: &Account,
    password: Incoming,
    client: &Client,
) -> Result<(), Problem> {
    let attempt = Attempt::begin(api, client, Some(&account.email)).await?;
    let stored = (account.id, account.password_hash.as_str());
    if api.vault().check_password(&password, Some(stored)).await? {
        // No session is opened, so wrong one-time codes of this account stay counted.
        attempt.withdrawn(api).await?;
        return Ok(());
    }
    failed(api, Some(account), "password").await?;
    let detail = "the address has an account already; its password is another one";
    Err(Problem::new("unauthenticated", detail))
}

/// The account of somebody who had none.
async fn new_account(
    api: &Api,
    invitation: &Invitation,
    body: Acceptance,
) -> Result<Account, Problem> {
    let vault = api.vault();
    let name = check(&body).map_err(Problem::invalid)?;
    let mut account = Account::new(vault.fresh(), invitation.email.clone(), name, vault.now());
    account.password_hash = vault.hash_password(account.id, &body.password).await?;
    Ok(account)
}

/// The rules of a new account; gives its name.
fn check(body: &Acceptance) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    let name = names::name("/name", body.name.as_deref().unwrap_or_default());
    let name = name.map_err(|fault| faults.push(fault)).ok();
    faults.extend(names::password("/password", body.password.len()).err());
    name.filter(|_| faults.is_empty()).ok_or(faults)
}

/// Makes the member, and the account where it is new; the invitation is used up.
async fn join(
    api: &Api,
    invitation: Invitation,
    (account, is_new): (Account, bool),
) -> Result<Member, Problem> {
    let (vault, workspace, now) = (api.vault(), invitation.workspace, api.vault().now());
    let member = Member {
        workspace,
        id: vault.fresh(),
        kind: MemberKind::Person,
        account: Some(account.id),
        email: account.email.clone(),
        name: account.name.clone(),
        role: invitation.role,
        created_at: now,
        left_at: None,
    };
    let (kind, id, name) = (ActorKind::Member, member.id.to_string(), member.name.clone());
    let actor = Actor { kind, id, name };
    let mut event = Event::new(vault.fresh(), workspace, now, actor, Action::MemberJoined);
    event.reason = invitation.id.to_string();
    let joined = member.clone();
    let row = vault.sign(workspace, member).await?;
    let account = is_new.then(|| vault.sign_server(account));
    let write = move |tx: &mut Tx<'_>| {
        if !tx.delete_invitation(workspace, invitation.id)? {
            return Err(StoreError::Conflict { what: GONE });
        }
        if let Some(account) = &account {
            tx.insert_account(account)?;
        }
        tx.insert_member(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    match api.store().write(write).await {
        Ok(_) => Ok(joined),
        Err(StoreError::Conflict { what: GONE }) => Err(over()),
        Err(StoreError::Conflict { what: "member" }) => {
            Err(Problem::new("conflict", "you are a member of this workspace already"))
        }
        Err(error) => Err(error.into()),
    }
}

fn over() -> Problem {
    Problem::new("not_found", "the invitation is not valid any more; ask for another")
}
