//! `DELETE /api/v1/workspaces/{workspace}/invitations/{id}`

use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::id::{Identifier as _, InvitationId};
use keyward_model::people::may_grant;
use keyward_model::policy::Ability;
use keyward_store::{Audited, StoreError, Tx};

/// Somebody else was faster.
const GONE: &str = "invitation that is gone";

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/invitations/{id}",
        "withdrawInvitation",
        "Withdraw an invitation: its link stops working at once.",
        Access::Member(Ability::Administer),
        handle,
    )
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    scope.may_do(&api, Ability::Administer, Action::MemberInvited).await?;
    let id = InvitationId::parse(&id).map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.invitation(workspace, id)).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    // Also a row with a broken tag can be withdrawn: that only takes away.
    if !may_grant(scope.caller.role, found.parts().0.role) {
        let problem = Problem::new("forbidden", "only owners withdraw the invitation of an owner");
        return Err(scope.refused(&api, Action::MemberInvited, problem).await);
    }
    let mut event = scope.event(&api, Action::MemberInvited);
    event.reason = format!("{id} withdrawn");
    let write = move |tx: &mut Tx<'_>| match tx.delete_invitation(workspace, id)? {
        true => Ok(Audited::new((), vec![event.clone()])),
        false => Err(StoreError::Conflict { what: GONE }),
    };
    match api.store().write(write).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Conflict { what: GONE }) => Err(Problem::not_found()),
        Err(error) => Err(error.into()),
    }
}
