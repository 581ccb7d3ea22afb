//! `GET /api/v1/account`

use super::own;
use crate::auth::{By, SignedIn};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::actor::Role;
use keyward_model::clock::Timestamp;
use keyward_model::id::{AccountId, MemberId, WorkspaceId};
use keyward_model::people::Account;
use keyward_model::tenant::{Member, Workspace};
use schemars::JsonSchema;
use serde::Serialize;

/// Your account.
#[derive(Serialize, JsonSchema)]
pub(super) struct AccountView {
    id: AccountId,
    email: String,
    name: String,
    /// Whether a password is set.
    password: bool,
    /// Whether signing in asks for a one-time code.
    totp: bool,
    /// How many recovery codes are left.
    recovery_codes: usize,
    /// The workspaces that you are a member of, oldest first.
    memberships: Vec<MembershipView>,
    created_at: Timestamp,
    /// For a request by cookie: what writes of the session send as `X-CSRF-Token`.
    csrf_token: Option<String>,
}

/// Your place in one workspace.
#[derive(Serialize, JsonSchema)]
struct MembershipView {
    /// Your id as a member there.
    id: MemberId,
    role: Role,
    workspace: NamedWorkspace,
}

/// A workspace by its names.
#[derive(Serialize, JsonSchema)]
struct NamedWorkspace {
    id: WorkspaceId,
    slug: String,
    name: String,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/account",
        "getAccount",
        "Show your account and the workspaces that you are a member of.",
        Access::SignedIn,
        handle,
    )
    .answer::<AccountView>(200)
    .problems(&["forbidden"])
}

async fn handle(State(api): State<Api>, signed_in: SignedIn) -> Result<Json<AccountView>, Problem> {
    let (account, members) = own(&api, &signed_in).await?;
    Ok(Json(view(&api, account, members, &signed_in).await?))
}

/// The account as it is shown to its owner.
pub(super) async fn view(
    api: &Api,
    account: Account,
    members: Vec<Member>,
    signed_in: &SignedIn,
) -> Result<AccountView, Problem> {
    let ids: Vec<WorkspaceId> = members.iter().map(|member| member.workspace).collect();
    let read = api.store().read(move |tx| {
        ids.iter().filter_map(|id| tx.workspace(*id).transpose()).collect::<Result<Vec<_>, _>>()
    });
    let workspaces = read.await?;
    let named = |member: &Member| {
        let found = workspaces.iter().find(|workspace| workspace.id == member.workspace)?;
        let Workspace { id, slug, name, .. } = found.clone();
        let workspace = NamedWorkspace { id, slug, name };
        Some(MembershipView { id: member.id, role: member.role, workspace })
    };
    Ok(AccountView {
        password: !account.password_hash.is_empty(),
        totp: account.has_totp(),
        recovery_codes: account.recovery.len(),
        memberships: members.iter().filter_map(named).collect(),
        id: account.id,
        email: account.email,
        name: account.name,
        created_at: account.created_at,
        csrf_token: match &signed_in.with.by {
            By::Token(_) => None,
            By::Session(_, csrf) => Some(csrf.clone()),
        },
    })
}
