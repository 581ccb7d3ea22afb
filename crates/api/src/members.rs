//! Members of a workspace: one file per operation, and how one is shown.

mod change;
mod create;
mod credentials;
mod data;
mod erase;
pub(crate) mod leave;
mod left_behind;
mod list;
mod remove;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::Role;
use keyward_model::clock::Timestamp;
use keyward_model::id::{Identifier as _, MemberId, WorkspaceId};
use keyward_model::people::MemberRefusal;
use keyward_model::tag::{Tag, Tagged};
use keyward_model::tenant::{Member, MemberKind};
use keyward_store::{StoreError, Tx};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        list::operation(),
        create::operation(),
        change::operation(),
        remove::operation(),
        credentials::operation(),
        data::operation(),
        erase::operation(),
    ]
}

/// A member of a workspace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemberView {
    id: MemberId,
    /// The workspace.
    workspace: WorkspaceId,
    kind: MemberKind,
    /// The account's address; null for a service account.
    email: Option<String>,
    name: String,
    role: Role,
    created_at: Timestamp,
    /// When they left; null for members.
    left_at: Option<Timestamp>,
}

/// A member as everything shows one.
pub(crate) fn view(member: &Member) -> MemberView {
    let Member { id, workspace, kind, role, created_at, left_at, .. } = *member;
    let email = Some(member.email.clone()).filter(|email| !email.is_empty());
    MemberView { id, workspace, kind, email, name: member.name.clone(), role, created_at, left_at }
}

/// What stands in the way of a change.
const LAST_OWNER: &str = "last owner";
const BY_ROLE: &str = "role";
const SERVICE_OWNER: &str = "service owner";

/// A refusal on its way out of a transaction.
fn refusal(refused: MemberRefusal) -> StoreError {
    let what = match refused {
        MemberRefusal::Role => BY_ROLE,
        MemberRefusal::ServiceOwner => SERVICE_OWNER,
        MemberRefusal::LastOwner => LAST_OWNER,
    };
    StoreError::Conflict { what }
}

/// What a change that failed is answered with.
fn said(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict { what: BY_ROLE } => {
            Problem::new("forbidden", "only owners make or change owners")
        }
        StoreError::Conflict { what: SERVICE_OWNER } => {
            Problem::fault("/role", "invalid_value", MemberRefusal::ServiceOwner.to_string())
        }
        StoreError::Conflict { what: LAST_OWNER } => {
            Problem::new("conflict", MemberRefusal::LastOwner.to_string())
        }
        error => error.into(),
    }
}

/// The member that the path names, and the tag of its row.
async fn named(api: &Api, scope: &InWorkspace, id: &str) -> Result<(Member, Tag), Problem> {
    let id = MemberId::parse(id).map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.member(workspace, id)).await?;
    let found: Tagged<Member> = found.ok_or_else(Problem::not_found)?;
    let tag = *found.parts().1;
    Ok((api.vault().verify(workspace, found).await?, tag))
}

/// Fails where the row is not the one that was read before.
fn unchanged(tx: &mut Tx<'_>, member: &Member, tag: &Tag) -> Result<(), StoreError> {
    let now = tx.member(member.workspace, member.id)?;
    match now.is_some_and(|now| now.parts().1 == tag) {
        true => Ok(()),
        false => Err(StoreError::Conflict { what: "revision" }),
    }
}
