//! Follows what `keyward key rotate` does beside this server, and says how far.

use keyward_model::id::NodeId;
use keyward_vault::{Vault, VaultError};
use std::time::Duration;

const LOOK: Duration = Duration::from_secs(1);
/// How many looks go by between two warnings of the same kind.
const QUIET: u64 = 60;

/// Loads all keys, and new ones once a second, until the task is dropped.
pub(super) async fn follow(vault: Vault, node: NodeId) {
    if let Err(error) = vault.load_keys().await {
        tracing::warn!(%error, "not every workspace's keys can be loaded");
    }
    let mut look = tokio::time::interval(LOOK);
    let mut failures = 0u64;
    loop {
        look.tick().await;
        match follow_once(&vault, node).await {
            Ok(()) => failures = 0,
            Err(error) => {
                if failures.is_multiple_of(QUIET) {
                    tracing::warn!(%error, "new keys cannot be loaded yet; those at hand stay in use");
                }
                failures += 1;
            }
        }
    }
}

async fn follow_once(vault: &Vault, node: NodeId) -> Result<(), VaultError> {
    let epoch = vault.follow_keys().await?;
    let said = vault.store().read(move |tx| tx.node_keys_epoch(node)).await?;
    // Without a row there was no heartbeat yet, and nobody waits for this server.
    if said.is_some_and(|said| said != epoch) {
        vault.store().record(move |tx| tx.keys_followed(node, epoch)).await?;
    }
    Ok(())
}
