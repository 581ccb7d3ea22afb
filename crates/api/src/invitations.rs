//! Invitations into a workspace: one file per operation, and how one is shown.

mod accept;
mod create;
mod delete;
mod list;

use crate::operation::Operation;
use keyward_model::actor::Role;
use keyward_model::clock::Timestamp;
use keyward_model::id::{InvitationId, MemberId};
use keyward_model::people::Invitation;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    vec![list::operation(), create::operation(), delete::operation(), accept::operation()]
}

/// An invitation, without its token.
#[derive(Serialize, JsonSchema)]
struct InvitationView {
    id: InvitationId,
    /// Whom it is for.
    email: String,
    role: Role,
    /// The member who invites.
    inviter: MemberId,
    created_at: Timestamp,
    /// When the link stops working.
    expires_at: Timestamp,
}

fn view(invitation: &Invitation) -> InvitationView {
    let Invitation { id, role, inviter, created_at, expires_at, .. } = *invitation;
    InvitationView { id, email: invitation.email.clone(), role, inviter, created_at, expires_at }
}
