//! Which of several credentials of one key a workflow gets: the nearest scope that reaches it.

use crate::credential::{Credential, Scope};
use crate::id::{MemberId, WorkflowId};
use crate::share::{Share, level_of};

/// What decides which credentials count for a workflow.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its owner, whose personal credentials count, and those shared with them.
    pub owner: Option<MemberId>,
    /// Shares in the candidates.
    pub shares: &'a [Share],
}

impl Reach<'_> {
    /// How near a credential is to the workflow; `None` where it does not count there.
    pub fn rank(&self, credential: &Credential) -> Option<u8> {
        match credential.scope {
            Scope::Workflow(id) => (id == self.workflow).then_some(0),
            Scope::Personal(holder) if self.owner == Some(holder) => Some(1),
            Scope::Personal(_) => {
                let shared = level_of(self.shares, credential.id, self.owner?);
                shared.map(|_| 2)
            }
            Scope::Workspace => Some(3),
        }
    }
}

/// The credential of the nearest scope, be it broken; of several that are shared, the oldest.
/// Deleted ones do not count.
pub fn nearest<'c>(candidates: &'c [Credential], reach: &Reach<'_>) -> Option<&'c Credential> {
    let alive = candidates.iter().filter(|credential| credential.lifecycle.deleted.is_none());
    let ranked = alive.filter_map(|credential| Some((reach.rank(credential)?, credential)));
    let nearest =
        ranked.min_by_key(|(rank, credential)| (*rank, credential.created_at, credential.id));
    nearest.map(|(_, credential)| credential)
}
