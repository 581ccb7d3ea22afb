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
use keyward_store::Paged;
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
    let mut items = Vec::with_capacity(paged.items.len());
    for member in paged.items {
        items.push(api.vault().verify(workspace, member).await?);
    }
    Ok(Json(ListOf::of(Paged { items, next: paged.next }, view)))
}

fn view(member: Member) -> MemberView {
    let Member { id, email, name, role, created_at, .. } = member;
    MemberView { id, email, name, role, created_at }
}
