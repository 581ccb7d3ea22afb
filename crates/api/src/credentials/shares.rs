//! `GET …/credentials/{id}/shares`, `PUT|DELETE …/credentials/{id}/shares/{member}`

use super::access::{Found, event, find};
use crate::auth::InWorkspace;
use crate::body;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::credential::Scope;
use keyward_model::id::{MemberId, WorkspaceId};
use keyward_model::permission::Act;
use keyward_model::share::{Level, Share, Sharee};
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;
use keyward_store::{Audited, Reader, StoreError, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const SHARES: &str = "/api/v1/workspaces/{workspace}/credentials/{id}/shares";
const SHARE: &str = "/api/v1/workspaces/{workspace}/credentials/{id}/shares/{member}";
/// A share that is not there.
const NONE: StoreError = StoreError::Conflict { what: "share" };
/// A member who has left while a share was given.
const LEFT: StoreError = StoreError::Conflict { what: "member" };

/// A share in a credential.
#[derive(Serialize, JsonSchema)]
struct ShareView {
    /// Whom it is given to.
    member: ShareeView,
    /// What it allows.
    level: Level,
    /// Who gave it.
    by: PersonView,
    at: Timestamp,
}

/// A member, or `all` for everybody in the workspace.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ShareeView {
    All(AllMembers),
    Member(PersonView),
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AllMembers {
    All,
}

/// A member by id and name.
#[derive(Serialize, JsonSchema)]
struct PersonView {
    id: MemberId,
    /// Null for a service account.
    email: Option<String>,
    /// Null where nothing is known of the member any more.
    name: Option<String>,
}

/// What a share shall allow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewShare {
    /// `use`: run and test with it; `view`: also see its configuration; `manage`: also change it.
    level: Level,
}

pub(crate) fn list() -> Operation {
    Operation::new(
        Method::GET,
        SHARES,
        "listCredentialShares",
        "List who has a share in a credential.",
        Access::Credential(Act::View),
        handle_list,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<ShareView>>(200)
}

pub(crate) fn give() -> Operation {
    Operation::new(
        Method::PUT,
        SHARE,
        "shareCredential",
        "Give a member, or with `all` the whole workspace, a share; replaces the one before.",
        Access::Credential(Act::Share),
        handle_give,
    )
    .body::<NewShare>()
    .answer::<ShareView>(200)
    .problems(&["conflict"])
}

pub(crate) fn take_back() -> Operation {
    Operation::new(
        Method::DELETE,
        SHARE,
        "unshareCredential",
        "Take a share back; the next use by it is refused.",
        Access::Credential(Act::Share),
        handle_take_back,
    )
}

async fn handle_list(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<ShareView>>, Problem> {
    let page = query.page();
    query.done()?;
    let found = find(&api, &scope, &id, Act::View).await?;
    let read = |text: &str| Sharee::parse(text).map(|sharee| sharee.to_string());
    let mut shares = found.shares;
    shares.sort_by_key(|share| share.sharee.to_string());
    let shares = ListOf::cut(shares, &page, read, |share| share.sharee.to_string())?;
    let people = People::of(&api, scope.id(), &shares.items).await?;
    let items = shares.items.iter().map(|share| people.view(share)).collect();
    Ok(Json(ListOf { items, next_cursor: shares.next_cursor }))
}

async fn handle_give(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id, to)): Path<(String, String, String)>,
    body::Json(NewShare { level }): body::Json<NewShare>,
) -> Result<Json<ShareView>, Problem> {
    let found = find(&api, &scope, &id, Act::Share).await?;
    let sharee = Sharee::parse(&to).ok_or_else(stranger)?;
    if let Sharee::Member(member) = sharee {
        check_sharee(&api, &scope, &found, member).await?;
    }
    let (vault, credential, workspace) = (api.vault(), found.credential, scope.id());
    let (by, at) = (scope.caller.member, vault.now());
    let share = Share { workspace, credential: credential.id, sharee, level, by, at };
    let row = vault.sign(workspace, share.clone()).await?;
    let mut event = event(&api, &scope, &credential, Action::CredentialShared);
    event.reason = format!("{} {sharee}", level.as_str());
    let write = move |tx: &mut Tx<'_>| {
        if let Sharee::Member(member) = sharee {
            tx.member(workspace, member)?.ok_or(LEFT)?;
        }
        tx.put_share(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    match api.store().write(write).await {
        Err(error) if error == LEFT => return Err(stranger()),
        written => written?,
    };
    let people = People::of(&api, workspace, std::slice::from_ref(&share)).await?;
    Ok(Json(people.view(&share)))
}

async fn handle_take_back(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id, from)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let found = find(&api, &scope, &id, Act::Share).await?;
    let sharee = Sharee::parse(&from).ok_or_else(Problem::not_found)?;
    let (workspace, credential) = (scope.id(), found.credential.id);
    let had = found.shares.iter().find(|share| share.sharee == sharee);
    let level = had.map_or("", |share| share.level.as_str());
    let event = Event {
        reason: format!("{level} {sharee}").trim_start().to_owned(),
        ..event(&api, &scope, &found.credential, Action::CredentialUnshared)
    };
    let write = move |tx: &mut Tx<'_>| match tx.delete_share(workspace, credential, sharee)? {
        true => Ok(Audited::new((), vec![event.clone()])),
        false => Err(NONE),
    };
    match api.store().write(write).await {
        Err(error) if error == NONE => Err(Problem::not_found()),
        written => written.map(|_| StatusCode::NO_CONTENT).map_err(Problem::from),
    }
}

async fn check_sharee(
    api: &Api,
    scope: &InWorkspace,
    found: &Found,
    member: MemberId,
) -> Result<(), Problem> {
    current_member(api, scope.id(), member).await?.ok_or_else(stranger)?;
    if found.credential.scope == Scope::Personal(member) {
        let detail = "it is this member's own already";
        return Err(Problem::fault("/member", "invalid_value", detail));
    }
    Ok(())
}

/// The one answer for whoever is no member here, whether or not they are one elsewhere.
fn stranger() -> Problem {
    let detail = "there is no such member in this workspace; give the id of a member, or `all`";
    Problem::new("not_found", detail)
}

/// A member of the workspace, unless they left or the row is not the server's.
pub(crate) async fn current_member(
    api: &Api,
    workspace: WorkspaceId,
    id: MemberId,
) -> Result<Option<Member>, Problem> {
    let row = match api.store().read(move |tx| tx.member(workspace, id)).await {
        Err(StoreError::Corrupt { .. }) => None,
        row => row?,
    };
    let Some(row) = row else { return Ok(None) };
    let member = api.vault().verify(workspace, row).await.ok();
    Ok(member.filter(|member| member.left_at.is_none()))
}

/// The names of those whom shares name.
struct People(HashMap<MemberId, Member>);

impl People {
    async fn of(api: &Api, workspace: WorkspaceId, shares: &[Share]) -> Result<Self, Problem> {
        let sharee = |share: &Share| match share.sharee {
            Sharee::Member(id) => Some(id),
            Sharee::All => None,
        };
        let ids: Vec<_> =
            shares.iter().flat_map(|share| [Some(share.by), sharee(share)]).flatten().collect();
        let read = api.store().read(move |tx| read_members(tx, workspace, &ids));
        let mut members = HashMap::new();
        for row in read.await? {
            let member = api.vault().verify(workspace, row).await.ok();
            members.extend(member.map(|member| (member.id, member)));
        }
        Ok(Self(members))
    }

    fn person(&self, id: MemberId) -> PersonView {
        let member = self.0.get(&id);
        let email = member.map(|member| member.email.clone()).filter(|email| !email.is_empty());
        PersonView { id, email, name: member.map(|member| member.name.clone()) }
    }

    fn view(&self, share: &Share) -> ShareView {
        let member = match share.sharee {
            Sharee::All => ShareeView::All(AllMembers::All),
            Sharee::Member(id) => ShareeView::Member(self.person(id)),
        };
        ShareView { member, level: share.level, by: self.person(share.by), at: share.at }
    }
}

/// Also those who left; one that cannot be read has no name, and keeps no other from theirs.
fn read_members(
    tx: &mut Reader<'_>,
    workspace: WorkspaceId,
    ids: &[MemberId],
) -> Result<Vec<Tagged<Member>>, StoreError> {
    let mut members = Vec::new();
    for id in ids {
        match tx.member_ever(workspace, *id) {
            Err(StoreError::Corrupt { .. }) => {}
            member => members.extend(member?),
        }
    }
    Ok(members)
}
