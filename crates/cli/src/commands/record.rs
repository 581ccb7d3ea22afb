//! What happens to the whole installation, written into the audit trail of each workspace.

use crate::logging;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_store::{Audited, Page};
use keyward_vault::{Vault, VaultError};

/// Workspaces whose events are one commit.
const BATCH: u32 = 200;

/// Writes one event into every workspace. A workspace whose own key cannot be opened has no trail to
/// write to: it is named and passed over, so that one broken row stops nothing else.
pub(super) async fn record_everywhere(
    vault: &Vault,
    action: Action,
    reason: &'static str,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = Page { limit: BATCH, after };
        let found = vault.store().read(move |tx| tx.workspaces(&page)).await?;
        let mut events = Vec::with_capacity(found.items.len());
        for workspace in found.items {
            match vault.load(workspace.id).await {
                Ok(()) => {}
                Err(VaultError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    logging::say(&format!("workspace {}: no audit record: {error}", workspace.id));
                    continue;
                }
            }
            let (id, now) = (vault.fresh(), vault.now());
            let mut event = Event::new(id, workspace.id, now, Actor::system(), action);
            reason.clone_into(&mut event.reason);
            events.push(event);
        }
        if !events.is_empty() {
            vault.store().write(move |_| Ok(Audited::new((), events.clone()))).await?;
        }
        after = found.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
