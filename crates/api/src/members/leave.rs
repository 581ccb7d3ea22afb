//! What ends when a member leaves. `Leave::of` reads, opens and signs before the transaction,
//! `Leave::write` writes in it; what else a leaver leaves behind is dealt with at the same two places.

use super::left_behind::LeftBehind;
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
    /// Credentials, workflows and shares.
    left_behind: LeftBehind,
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
        let left_behind = LeftBehind::of(api, actor, member).await?;
        Ok(Self { row, left_behind, sessions_ended })
    }

    /// The workspace that is left.
    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.row.parts().0.workspace
    }

    /// Ends the membership, its tokens, and the account's sessions where it has no other
    /// membership; gives the events beside the removal itself.
    pub(crate) fn write(&self, tx: &mut Tx<'_>) -> Result<Vec<Event>, StoreError> {
        let mut events = self.left_behind.write(tx)?;
        tx.end_member(&self.row)?;
        let Some(account) = self.row.parts().0.account else { return Ok(events) };
        let is_last = tx.memberships(account)?.is_empty();
        let ended = is_last && tx.delete_sessions(account, None)? > 0;
        events.extend(ended.then(|| self.sessions_ended.clone()));
        Ok(events)
    }
}
