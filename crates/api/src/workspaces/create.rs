//! `POST /api/v1/workspaces`

use super::{WorkspaceView, view};
use crate::auth::{By, SignedIn, memberships};
use crate::body::Json;
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::setup::slug;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::actor::{Actor, ActorKind, Role};
use keyward_model::audit::{Action, Event};
use keyward_model::id::WorkspaceId;
use keyward_model::policy::Ability;
use keyward_model::settings::WorkspaceSettings;
use keyward_model::tenant::{Member, Workspace};
use keyward_store::{Audited, Reader, StoreError, Tx};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many numbers are tried behind a slug that is taken.
const MAX_NUMBER: u32 = 1_000;

/// A workspace to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewWorkspace {
    /// What people know it by; the slug is made from it.
    name: String,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces",
        "createWorkspace",
        "Make a workspace with you as its owner; for owners of a workspace.",
        Access::SignedIn,
        handle,
    )
    .body::<NewWorkspace>()
    .answer::<WorkspaceView>(201)
    .problems(&["forbidden", "conflict"])
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    Json(body): Json<NewWorkspace>,
) -> Result<impl IntoResponse, Problem> {
    let account = signed_in.account()?;
    // A session acts in all workspaces of its account, a token in the one that it was made in.
    let is_owner = match signed_in.with.by {
        By::Token(_) => signed_in.member.role == Role::Owner,
        By::Session(..) => {
            memberships(&api, account).await?.iter().any(|member| member.role == Role::Owner)
        }
    };
    if !is_owner || !signed_in.with.scopes.include(Ability::Administer) {
        return Err(Problem::new("forbidden", "only owners of a workspace make others"));
    }
    let name = names::name("/name", &body.name).map_err(|fault| Problem::invalid(vec![fault]))?;
    let (vault, now) = (api.vault(), api.vault().now());
    let id: WorkspaceId = vault.fresh();
    let key = vault.new_workspace(id)?;
    let row = Workspace { id, slug: slug(&name), name, created_at: now };
    let owner = Member {
        workspace: id,
        id: vault.fresh(),
        role: Role::Owner,
        created_at: now,
        ..signed_in.member
    };
    let actor =
        Actor { kind: ActorKind::Member, id: owner.id.to_string(), name: owner.name.clone() };
    let event = |action| Event::new(vault.fresh(), id, now, actor.clone(), action);
    let events = [Action::WorkspaceCreated, Action::MemberJoined].map(event).to_vec();
    let settings = vault.sign(id, WorkspaceSettings::new(id)).await?;
    let owner = vault.sign(id, owner).await?;
    let write = move |tx: &mut Tx<'_>| {
        let row = Workspace { slug: free_slug(tx, &row.slug)?, ..row.clone() };
        tx.insert_workspace(&row)?;
        tx.insert_settings(&settings)?;
        tx.insert_member(&owner)?;
        Ok(Audited::new(row, events.clone()))
    };
    let made = vault.write_workspace(key, write).await?;
    Ok((StatusCode::CREATED, axum::Json(view(made))))
}

/// The slug, or the first of `slug-2`, `slug-3`, … that no workspace has.
fn free_slug(tx: &mut Reader<'_>, wanted: &str) -> Result<String, StoreError> {
    let numbered = (2..=MAX_NUMBER).map(|number| format!("{wanted}-{number}"));
    for slug in std::iter::once(wanted.to_owned()).chain(numbered) {
        if tx.workspace_by_slug(&slug)?.is_none() {
            return Ok(slug);
        }
    }
    Err(StoreError::Conflict { what: "slug" })
}
