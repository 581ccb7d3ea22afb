//! `GET /api/v1/workspaces/{workspace}/tokens`

use super::{TokenView, view};
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::policy::Ability;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/tokens",
        "listTokens",
        "List API tokens: your own, or everybody's for owners and admins. Never the tokens themselves.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "`next_cursor` of the page before")])
    .answer::<ListOf<TokenView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<TokenView>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let page = query.page();
    query.done()?;
    let (workspace, member) = (scope.id(), scope.caller.member);
    let all = scope.may(Ability::Administer).is_ok();
    let paged = api.store().read(move |tx| match all {
        true => tx.tokens(workspace, &page),
        false => tx.tokens_of(workspace, member, &page),
    });
    // Shown as stored: a list grants nothing, and presenting a token checks its tag.
    Ok(Json(ListOf::of(paged.await?, |row| view(row.parts().0))))
}
