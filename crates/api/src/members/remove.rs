//! `DELETE /api/v1/workspaces/{workspace}/members/{id}`

use super::leave::Leave;
use super::{BY_ROLE, named, refusal, said, unchanged};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::actor::Actor;
use keyward_model::audit::Action;
use keyward_model::people::may_change;
use keyward_model::policy::Ability;
use keyward_store::{Audited, StoreError, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/members/{id}",
        "removeMember",
        "Remove a member: their tokens end, and their sessions where they are a member of nothing else.",
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
    scope.may_do(&api, Ability::Administer, Action::MemberRemoved).await?;
    let (member, tag) = named(&api, &scope, &id).await?;
    let mut removed = scope.event(&api, Action::MemberRemoved);
    removed.reason = member.id.to_string();
    let leave = Leave::of(&api, &Actor::from(&scope.caller), &member).await?;
    let actor = scope.caller.role;
    let write = move |tx: &mut Tx<'_>| {
        unchanged(tx, &member, &tag)?;
        let owners = tx.count_owners(member.workspace)?;
        may_change(actor, &member, None, owners).map_err(refusal)?;
        let mut events = vec![removed.clone()];
        events.extend(leave.write(tx)?);
        Ok(Audited::new((), events))
    };
    match api.store().write(write).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error @ StoreError::Conflict { what: BY_ROLE }) => {
            Err(scope.refused(&api, Action::MemberRemoved, said(error)).await)
        }
        Err(error) => Err(said(error)),
    }
}
