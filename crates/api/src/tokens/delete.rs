//! `DELETE /api/v1/workspaces/{workspace}/tokens/{id}`

use crate::auth::{By, InWorkspace};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::id::{Identifier as _, TokenId};
use keyward_model::policy::Ability;
use keyward_model::tenant::ApiToken;
use keyward_store::{Audited, StoreError, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/tokens/{id}",
        "revokeToken",
        "Revoke an API token: your own, or anybody's for owners and admins. It stops working at once.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    scope.may_do(&api, Ability::ReadRuns, Action::TokenRevoked).await?;
    let id = TokenId::parse(&id).map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.token(workspace, id)).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    // Also a row with a broken tag can be revoked: that only takes away.
    if let Err(problem) = may_revoke(&scope, found.parts().0) {
        return Err(scope.refused(&api, Action::TokenRevoked, problem).await);
    }
    let mut event = scope.event(&api, Action::TokenRevoked);
    event.reason = id.to_string();
    let write = move |tx: &mut Tx<'_>| match tx.delete_token(workspace, id)? {
        true => Ok(Audited::new((), vec![event.clone()])),
        false => Err(StoreError::Conflict { what: GONE }),
    };
    match api.store().write(write).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(StoreError::Conflict { what: GONE }) => Err(Problem::not_found()),
        Err(error) => Err(error.into()),
    }
}

/// Somebody else was faster.
const GONE: &str = "token that is gone";

/// A token may always end itself; a narrowed one ends no other of its maker.
fn may_revoke(scope: &InWorkspace, token: &ApiToken) -> Result<(), Problem> {
    let own = token.member == scope.caller.member;
    let itself = matches!(scope.with.by, By::Token(id) if id == token.id);
    if itself || own && scope.with.scopes.whole() {
        return Ok(());
    }
    match (scope.may(Ability::Administer), own) {
        // What the list does not show is not there.
        (Err(_), false) => Err(Problem::not_found()),
        (allowed, _) => allowed,
    }
}
