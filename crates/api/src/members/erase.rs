//! `POST /api/v1/workspaces/{workspace}/members/{id}/erase`

use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::id::{Identifier as _, MemberId};
use keyward_model::policy::Ability;
use keyward_model::tenant::Member;
use keyward_store::{Audited, StoreError, Tx};

/// What stands in the place of a name that was erased.
const ERASED: &str = "erased";

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/members/{id}/erase",
        "eraseMember",
        "Erase name, address and account of somebody who has left. Their id stays where it was.",
        Access::Member(Ability::Administer),
        handle,
    )
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    scope.may_do(&api, Ability::Administer, Action::MemberErased).await?;
    let id = MemberId::parse(&id).map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let row = api.store().read(move |tx| tx.member_ever(workspace, id)).await?;
    let member = api.vault().verify(workspace, row.ok_or_else(Problem::not_found)?).await?;
    if member.left_at.is_none() {
        let detail = "this is still a member; remove them first, then erase what is left of them";
        return Err(Problem::new("conflict", detail));
    }
    let (account, email) = (member.account, member.email.clone());
    let erased = Member { account: None, email: String::new(), name: ERASED.to_owned(), ..member };
    let erased = api.vault().sign(workspace, erased).await?;
    let mut event = scope.event(&api, Action::MemberErased);
    event.reason = id.to_string();
    let write = move |tx: &mut Tx<'_>| {
        if !tx.erase_member(&erased)? {
            return Err(StoreError::Conflict { what: "revision" });
        }
        tx.forget_starter(workspace, id)?;
        if !email.is_empty() {
            tx.delete_invitations_to(workspace, &email)?;
        }
        if let Some(account) = account {
            tx.delete_unused_account(account)?;
        }
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    api.engine().scrub().await;
    Ok(StatusCode::NO_CONTENT)
}
