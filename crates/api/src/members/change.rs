//! `PATCH /api/v1/workspaces/{workspace}/members/{id}`

use super::{BY_ROLE, MemberView, named, refusal, said, unchanged, view};
use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::actor::Role;
use keyward_model::audit::Action;
use keyward_model::people::may_change;
use keyward_model::policy::Ability;
use keyward_model::tenant::Member;
use keyward_store::{Audited, StoreError, Tx};
use schemars::JsonSchema;
use serde::Deserialize;

/// What changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemberChange {
    /// The new role.
    role: Role,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PATCH,
        "/api/v1/workspaces/{workspace}/members/{id}",
        "changeMember",
        "Change a member's role; admins neither make nor change owners. Their sessions end.",
        Access::Member(Ability::Administer),
        handle,
    )
    .body::<MemberChange>()
    .answer::<MemberView>(200)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    body::Json(body): body::Json<MemberChange>,
) -> Result<Json<MemberView>, Problem> {
    scope.may_do(&api, Ability::Administer, Action::MemberChanged).await?;
    let (member, tag) = named(&api, &scope, &id).await?;
    if member.role == body.role {
        return Ok(Json(view(&member)));
    }
    let after = Member { role: body.role, ..member.clone() };
    let shown = view(&after);
    let mut changed = scope.event(&api, Action::MemberChanged);
    changed.reason = format!("{} {}", member.id, body.role.as_str());
    let mut ended = scope.event(&api, Action::SessionEnded);
    ended.reason = member.id.to_string();
    let row = api.vault().sign(scope.id(), after).await?;
    let actor = scope.caller.role;
    let write = move |tx: &mut Tx<'_>| {
        unchanged(tx, &member, &tag)?;
        let owners = tx.count_owners(member.workspace)?;
        may_change(actor, &member, Some(row.parts().0.role), owners).map_err(refusal)?;
        tx.update_member(&row)?;
        let mut events = vec![changed.clone()];
        // What a browser shows was made for the earlier role.
        let sessions = member.account.map(|account| tx.delete_sessions(account, None));
        if sessions.transpose()?.is_some_and(|count| count > 0) {
            events.push(ended.clone());
        }
        Ok(Audited::new((), events))
    };
    match api.store().write(write).await {
        Ok(_) => Ok(Json(shown)),
        Err(error @ StoreError::Conflict { what: BY_ROLE }) => {
            Err(scope.refused(&api, Action::MemberChanged, said(error)).await)
        }
        Err(error) => Err(said(error)),
    }
}
