//! `GET /api/v1/workspaces/{workspace}/invitations`

use super::{InvitationView, view};
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
        "/api/v1/workspaces/{workspace}/invitations",
        "listInvitations",
        "List invitations that nobody has accepted, also those that have expired. Never their links.",
        Access::Member(Ability::Administer),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "`next_cursor` of the page before")])
    .answer::<ListOf<InvitationView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    mut query: Query,
) -> Result<Json<ListOf<InvitationView>>, Problem> {
    scope.may(Ability::Administer)?;
    let page = query.page();
    query.done()?;
    let workspace = scope.id();
    let paged = api.store().read(move |tx| tx.invitations(workspace, &page)).await?;
    // Shown as stored: a list grants nothing, and accepting checks the tag.
    Ok(Json(ListOf::of(paged, |row| view(row.parts().0))))
}
