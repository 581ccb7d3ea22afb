//! `GET /api/v1/workspaces/{workspace}/members`

use super::{MemberView, view};
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
        "/api/v1/workspaces/{workspace}/members",
        "listMembers",
        "List the workspace's members: persons and service accounts.",
        Access::Member(Ability::Administer),
        handle,
    )
    .query(&[
        ("left", "`true` to list those who left, too"),
        ("limit", "1 to 200, default 50"),
        ("cursor", "`next_cursor` of the page before"),
    ])
    .answer::<ListOf<MemberView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<MemberView>>, Problem> {
    scope.may(Ability::Administer)?;
    let left = query.read("left", "`true` or `false`", |text| text.parse().ok());
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let paged = api.store().read(move |tx| match left {
        Some(true) => tx.members_ever(workspace, &page),
        _ => tx.members(workspace, &page),
    });
    // Shown as stored: a list grants nothing, and signing in checks the member's tag.
    Ok(Json(ListOf::of(paged.await?, |row| view(row.parts().0))))
}
