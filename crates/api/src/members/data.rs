//! `GET /api/v1/workspaces/{workspace}/members/{id}/data`

use super::{MemberView, view};
use crate::audit::{AuditView, views};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, Scope};
use keyward_model::id::{AccountId, CredentialId, Identifier as _, MemberId, WorkflowId};
use keyward_model::policy::Ability;
use keyward_model::tenant::Member;
use keyward_store::{
    AuditFilter, Audited, CredentialFilter, Listed, Page, Paged, Reader, StoreError, Tx,
};
use schemars::JsonSchema;
use serde::Serialize;

/// The most events of the trail that one answer holds; the rest is in `GET .../audit?actor=`.
const MOST_EVENTS: usize = 10_000;
const BATCH: Page = Page { limit: 200, after: None };

/// Everything that the workspace keeps about a person.
#[derive(Serialize, JsonSchema)]
struct PersonData {
    member: MemberView,
    /// Null for service accounts, and once it is erased.
    account: Option<AccountData>,
    tokens: Vec<TokenData>,
    credentials: Vec<CredentialData>,
    /// Credentials that somebody shared with them.
    shared_with_them: Vec<CredentialId>,
    workflows: Vec<WorkflowData>,
    /// What they did, newest first.
    audit: Vec<AuditView>,
    /// Whether there is more in the audit trail than is shown here.
    audit_is_cut: bool,
}

/// What is kept about a person on the server.
#[derive(Serialize, JsonSchema)]
struct AccountData {
    id: AccountId,
    email: String,
    name: String,
    created_at: Timestamp,
    has_password: bool,
    has_totp: bool,
    has_single_sign_on: bool,
    sessions: Vec<SessionData>,
}

/// A browser that they signed in with.
#[derive(Serialize, JsonSchema)]
struct SessionData {
    created_at: Timestamp,
    seen_at: Timestamp,
    address: String,
    user_agent: String,
}

/// An API token.
#[derive(Serialize, JsonSchema)]
struct TokenData {
    name: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// A credential that they own.
#[derive(Serialize, JsonSchema)]
struct CredentialData {
    id: CredentialId,
    key: String,
    name: String,
    description: String,
    scope: &'static str,
    created_at: Timestamp,
}

/// A workflow that they own.
#[derive(Serialize, JsonSchema)]
struct WorkflowData {
    id: WorkflowId,
    name: String,
    created_at: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/members/{id}/data",
        "exportMemberData",
        "Export everything that is kept about a person: for themselves, owners and admins.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer::<PersonData>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<PersonData>, Problem> {
    let id = MemberId::parse(&id).map_err(|_| Problem::not_found())?;
    if id != scope.caller.member {
        scope.may_do(&api, Ability::Administer, Action::ExportMade).await?;
    }
    scope.within_scopes(Ability::Administer)?;
    let workspace = scope.id();
    let row = api.store().read(move |tx| tx.member_ever(workspace, id)).await?;
    let member = api.vault().verify(workspace, row.ok_or_else(Problem::not_found)?).await?;
    record(&api, &scope, id).await?;
    let data = gather(&api, &member, id == scope.caller.member).await?;
    Ok(Json(data))
}

/// The export is written to the trail before anything is given out.
async fn record(api: &Api, scope: &InWorkspace, member: MemberId) -> Result<(), Problem> {
    let event = scope.event(api, Action::ExportMade);
    let event = Event { reason: format!("person {member}"), ..event };
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
    api.store().write(write).await?;
    Ok(())
}

async fn gather(api: &Api, member: &Member, is_own: bool) -> Result<PersonData, Problem> {
    let (workspace, id) = (member.workspace, member.id);
    let read = api.store().read(move |tx| {
        let tokens = all(|page| tx.tokens_of(workspace, id, page))?;
        let shares = tx.shares_of(workspace, id)?;
        Ok((
            tokens,
            owned(tx, &member_filter(id), (workspace, is_own))?,
            shares,
            tx.workflows_of(workspace, id)?,
        ))
    });
    let (tokens, credentials, shares, workflows) = read.await?;
    let (audit, audit_is_cut) = events(api, member).await?;
    let tokens = tokens.iter().map(|row| row.parts().0).map(|token| TokenData {
        name: token.name.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
    });
    let workflows = workflows.iter().map(|row| row.parts().0).map(|workflow| WorkflowData {
        id: workflow.id,
        name: workflow.name.clone(),
        created_at: workflow.created_at,
    });
    Ok(PersonData {
        member: view(member),
        account: account(api, member).await?,
        tokens: tokens.collect(),
        credentials,
        shared_with_them: shares.iter().map(|row| row.parts().0.credential).collect(),
        workflows: workflows.collect(),
        audit,
        audit_is_cut,
    })
}

async fn account(api: &Api, member: &Member) -> Result<Option<AccountData>, Problem> {
    let Some(id) = member.account else { return Ok(None) };
    let read =
        api.store().read(move |tx| Ok((tx.account(id)?, all(|page| tx.sessions_of(id, page))?)));
    let (Some(account), sessions) = read.await? else { return Ok(None) };
    let account = api.vault().verify_server(account)?;
    let sessions = sessions.iter().map(|row| row.parts().0).map(|session| SessionData {
        created_at: session.created_at,
        seen_at: session.seen_at,
        address: session.address.clone(),
        user_agent: session.user_agent.clone(),
    });
    Ok(Some(AccountData {
        id,
        has_password: !account.password_hash.is_empty(),
        has_totp: account.has_totp(),
        has_single_sign_on: account.oidc_subject.is_some(),
        email: account.email,
        name: account.name,
        created_at: account.created_at,
        sessions: sessions.collect(),
    }))
}

fn member_filter(owner: MemberId) -> CredentialFilter {
    CredentialFilter { owner: Some(owner), ..CredentialFilter::default() }
}

fn owned(
    tx: &mut Reader<'_>,
    filter: &CredentialFilter,
    (workspace, is_own): (keyward_model::id::WorkspaceId, bool),
) -> Result<Vec<CredentialData>, StoreError> {
    let listed = all(|page| tx.credentials(workspace, filter, page))?;
    let shown = listed.iter().filter_map(|listed| match listed {
        Listed::Row(row) => Some(row.parts().0),
        Listed::Unreadable { .. } => None,
    });
    // Of another's personal one nobody sees more than that it exists.
    let description = |credential: &Credential| match credential.scope {
        Scope::Personal(_) if !is_own => String::new(),
        _ => credential.details.description.clone(),
    };
    let data = shown.map(|credential| CredentialData {
        id: credential.id,
        key: credential.key.clone(),
        name: credential.details.name.clone(),
        description: description(credential),
        scope: credential.scope.kind(),
        created_at: credential.created_at,
    });
    Ok(data.collect())
}

/// All pages of a list, one after the other.
fn all<T>(
    mut list: impl FnMut(&Page) -> Result<Paged<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let (mut items, mut page) = (Vec::new(), BATCH);
    loop {
        let found = list(&page)?;
        items.extend(found.items);
        let Some(next) = found.next else { return Ok(items) };
        page.after = Some(next);
    }
}

async fn events(api: &Api, member: &Member) -> Result<(Vec<AuditView>, bool), Problem> {
    let (workspace, mut page) = (member.workspace, BATCH);
    let mut items = Vec::new();
    loop {
        let (filter, at) = (of_actor(member.id), page.clone());
        let rows = api.store().read(move |tx| tx.audit(workspace, &filter, &at)).await?;
        let next = rows.next.clone();
        items.extend(views(api, workspace, rows).await?.items);
        let Some(next) = next else { return Ok((items, false)) };
        if items.len() >= MOST_EVENTS {
            return Ok((items, true));
        }
        page.after = Some(next);
    }
}

fn of_actor(member: MemberId) -> AuditFilter {
    AuditFilter { actor: Some(member.to_string()), ..AuditFilter::default() }
}
