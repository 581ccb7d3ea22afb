//! `POST /api/v1/workspaces/{workspace}/invitations`

use super::{InvitationView, view};
use crate::auth::InWorkspace;
use crate::body::Json;
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::actor::Role;
use keyward_model::audit::Action;
use keyward_model::people::{INVITATION_MILLIS, Invitation, may_grant};
use keyward_model::policy::Ability;
use keyward_store::{Audited, StoreError, Tx};
use keyward_vault::TokenKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is in the way where somebody is a member already.
const MEMBER: &str = "member";

/// Somebody to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    /// Whom it is for; the account that accepts has this address.
    email: String,
    /// The role to be had; admins invite no owners.
    role: Role,
}

/// A new invitation: the only answer that holds its link.
#[derive(Serialize, JsonSchema)]
struct MadeInvitation {
    /// The token that accepts it, shown this once.
    token: String,
    /// The link for whom it is for. No mail is sent.
    url: String,
    #[serde(flatten)]
    view: InvitationView,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/invitations",
        "invite",
        "Invite somebody; the answer holds the link, which works once and for 7 days.",
        Access::Member(Ability::Administer),
        handle,
    )
    .body::<NewInvitation>()
    .answer::<MadeInvitation>(201)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Json(body): Json<NewInvitation>,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::Administer, Action::MemberInvited).await?;
    let email =
        names::email("/email", &body.email).map_err(|fault| Problem::invalid(vec![fault]))?;
    if !may_grant(scope.caller.role, body.role) {
        let problem = Problem::new("forbidden", "only owners invite owners");
        return Err(scope.refused(&api, Action::MemberInvited, problem).await);
    }
    let (vault, workspace, now) = (api.vault(), scope.id(), api.vault().now());
    let (token, hash) = vault.new_token(TokenKind::Invitation)?;
    let invitation = Invitation {
        workspace,
        id: vault.fresh(),
        email,
        role: body.role,
        inviter: scope.caller.member,
        hash,
        created_at: now,
        expires_at: now.plus_millis(INVITATION_MILLIS),
    };
    let made = MadeInvitation {
        token: token.reveal().to_owned(),
        url: format!("{}/invite#token={}", api.public_url(), token.reveal()),
        view: view(&invitation),
    };
    let mut event = scope.event(&api, Action::MemberInvited);
    event.reason = format!("{} {}", invitation.id, invitation.role.as_str());
    let row = vault.sign(workspace, invitation).await?;
    let write = move |tx: &mut Tx<'_>| {
        let account = tx.account_by_email(&row.parts().0.email)?.map(|row| row.parts().0.id);
        if let Some(account) = account
            && tx.member_by_account(workspace, account)?.is_some()
        {
            return Err(StoreError::Conflict { what: MEMBER });
        }
        tx.insert_invitation(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    match api.store().write(write).await {
        Ok(_) => Ok((StatusCode::CREATED, axum::Json(made))),
        Err(StoreError::Conflict { what: MEMBER }) => {
            Err(Problem::new("conflict", "whoever has this address is a member already"))
        }
        Err(error) => Err(error.into()),
    }
}
