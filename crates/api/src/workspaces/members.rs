//! `GET /api/v1/workspaces/{workspace}/members`

use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::actor::Role;
use keyward_model::clock::Timestamp;
use keyward_model::id::MemberId;
use keyward_model::policy::Ability;
use keyward_model::tenant::Member;
use schemars::JsonSchema;
use serde::Serialize;

/// A member of the workspace.
#[derive(Serialize, JsonSchema)]
struct MemberView {
    id: MemberId,
    email: String,
    name: String,
    role: Role,
    created_at: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/members",
        "listMembers",
        "List the workspace's members.",
        Access::Member(Ability::Administer),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "`next_cursor` of the page before")])
    .answer::<ListOf<MemberView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<MemberView>>, Problem> {
    scope.may(Ability::Administer)?;
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let paged = api.store().read(move |tx| tx.members(workspace, &page)).await?;
    // Shown as stored: a list grants nothing, and signing in checks the member's tag.
    Ok(Json(ListOf::of(paged, |row| view(row.parts().0))))
}

fn view(member: &Member) -> MemberView {
    let Member { id, role, created_at, .. } = *member;
    let (email, name) = (member.email.clone(), member.name.clone());
    MemberView { id, email, name, role, created_at }
}
