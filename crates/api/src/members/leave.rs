//! What ends when a member leaves. `Leave::of` reads, opens and signs before the transaction,
//! `Leave::write` writes in it; what else a leaver leaves behind is dealt with at the same two places.

use crate::problem::Problem;
use crate::router::Api;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::id::WorkspaceId;
use keyward_model::tag::Tagged;
use keyward_model::tenant::Member;
use keyward_store::{StoreError, Tx};

/// A member's leaving, ready to be written.
pub(crate) struct Leave {
    /// The member's row as it is kept.
    row: Tagged<Member>,
    /// Written where sessions ended.
    sessions_ended: Event,
}

impl Leave {
    /// Makes ready what is to be written.
    pub(crate) async fn of(api: &Api, actor: &Actor, member: &Member) -> Result<Self, Problem> {
        let (vault, workspace) = (api.vault(), member.workspace);
        let left = Member { left_at: Some(vault.now()), ..member.clone() };
        let row = vault.sign(workspace, left).await?;
        let (id, now) = (vault.fresh(), vault.now());
        let mut sessions_ended =
            Event::new(id, workspace, now, actor.clone(), Action::SessionEnded);
        sessions_ended.reason = member.id.to_string();
        Ok(Self { row, sessions_ended })
    }

    /// The workspace that is left.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.row.parts().0.workspace
    }

    /// Ends the membership, its tokens, and the account's sessions where it has no other
    /// membership; gives the events beside the removal itself.
    pub(crate) fn write(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, StoreError> {
        tx.end_member(&self.row)?;
        let Some(account) = self.row.parts().0.account else { return Ok(Vec::new()) };
        let is_last = tx.memberships(account)?.is_empty();
        let ended = is_last && tx.delete_sessions(account, None)? > 0;
        Ok(if ended { vec![self.sessions_ended.clone()] } else { Vec::new() })
    }
}
