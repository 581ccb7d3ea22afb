//! `GET /api/v1/workspaces/{workspace}/members/{id}/credentials`: what must be transferred when
//! they leave, or since they left.

use crate::auth::InWorkspace;
use crate::credentials::dependents::dependents;
use crate::credentials::view::{Around, ShortView};
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::credential::Credential;
use keyward_model::id::{Identifier as _, MemberId, WorkflowId};
use keyward_model::policy::Ability;
use schemars::JsonSchema;
use serde::Serialize;

/// A member's personal credential, and who else needs it.
#[derive(Serialize, JsonSchema)]
struct LeftView {
    #[serde(flatten)]
    credential: ShortView,
    /// Other members' workflows that name it or have used it.
    used_by: Vec<UserView>,
    /// In how many shares.
    shared_with: usize,
}

/// A workflow.
#[derive(Serialize, JsonSchema)]
struct UserView {
    workflow_id: WorkflowId,
    name: String,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/members/{id}/credentials",
        "listMemberCredentials",
        "List a member's personal credentials with who else uses them, also of one who left.",
        Access::Member(Ability::Administer),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<LeftView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<LeftView>>, Problem> {
    scope.may(Ability::Administer)?;
    let page = query.page();
    query.done()?;
    let id = MemberId::parse(&id).map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let read = api.store().read(move |tx| {
        Ok((tx.member_ever(workspace, id)?.is_some(), tx.personal_credentials(workspace, id)?))
    });
    let (is_known, rows) = read.await?;
    if !is_known {
        return Err(Problem::not_found());
    }
    let mut credentials = Vec::with_capacity(rows.len());
    for row in rows {
        let head = api.vault().verify(workspace, row).await.ok();
        credentials.extend(head.filter(|head| head.lifecycle.deleted.is_none()));
    }
    let credentials = ListOf::cut(credentials, &page, |text| text.parse().ok(), |head| head.id)?;
    let shown = credentials.items.clone();
    let around = api.store().read(move |tx| Around::read(tx, workspace, shown.iter()));
    let around = around.await?.verified(&api, workspace).await?;
    let mut items = Vec::with_capacity(credentials.items.len());
    for credential in &credentials.items {
        items.push(LeftView {
            credential: around.short(credential, &scope.caller),
            used_by: users(&api, credential, id).await?,
            shared_with: around.shares_in(credential),
        });
    }
    Ok(Json(ListOf { items, next_cursor: credentials.next_cursor }))
}

/// The workflows of others that need the credential.
async fn users(
    api: &Api,
    credential: &Credential,
    owner: MemberId,
) -> Result<Vec<UserView>, Problem> {
    let all = dependents(api, credential).await?.into_iter();
    let others = all.filter(|dependent| dependent.owner != owner);
    Ok(others.map(|d| UserView { workflow_id: d.workflow_id, name: d.name }).collect())
}
