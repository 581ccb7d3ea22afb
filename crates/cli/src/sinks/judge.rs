//! Looks twice a second at what waits for a sink, and tells the gate whether values may be released.
//! Every node does so for itself; what counts is the database, whoever feeds.

use super::{Configured, Pending};
use keyward_model::clock::Timestamp;
use keyward_vault::{SinkState, Vault, VaultError};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it looks; seldomer where looking takes long.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);
/// The part of the time that looking may take, as its inverse.
const SHARE: u32 = 10;

/// Looks until the task is dropped; then a required sink holds values back.
pub(super) async fn run(sink: Arc<Configured>, vault: Vault, tell: watch::Sender<Arc<Pending>>) {
    let closing = CloseAtEnd { sink, vault };
    let (sink, vault) = (&closing.sink, &closing.vault);
    loop {
        let begun = Instant::now();
        match look(sink, vault).await {
            Ok((pending, state)) => {
                vault.audit_gate().report(state);
                tell.send_replace(Arc::new(pending));
            }
            // Without the database no use is recorded, and so nothing is released anyway.
            Err(error) => tracing::warn!(sink = sink.place, %error, "audit sink not looked at"),
        }
        tokio::time::sleep(INTERVAL.max(begun.elapsed() * SHARE)).await;
    }
}

struct CloseAtEnd {
    sink: Arc<Configured>,
    vault: Vault,
}

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.vault.audit_gate().report(self.sink.unknown());
    }
}

async fn look(sink: &Configured, vault: &Vault) -> Result<(Pending, SinkState), VaultError> {
    let pending = Pending::look(vault, &sink.name).await?;
    let name = sink.name.clone();
    let failing_since = vault.store().read(move |tx| tx.audit_sink_failing(&name)).await?;
    let failing_since = failing_since.filter(|_| pending.waiting > 0);
    let failure = sink.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let late = is_late(pending.oldest, vault.now(), sink.max_lag);
    let state = SinkState {
        waiting: pending.waiting,
        oldest: pending.oldest,
        sent: sink.sent.load(Ordering::Relaxed),
        failures: sink.failures.load(Ordering::Relaxed),
        failing_since,
        failure: failing_since.and(failure),
        blocks: sink.required && (failing_since.is_some() || late),
        ..sink.unknown()
    };
    Ok((pending, state))
}

/// Whether the oldest waiting record has waited for too long.
pub(super) fn is_late(oldest: Option<Timestamp>, now: Timestamp, max_lag: Duration) -> bool {
    let millis = i64::try_from(max_lag.as_millis()).unwrap_or(i64::MAX);
    oldest.is_some_and(|oldest| oldest.plus_millis(millis) < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_late_once_its_oldest_record_is_too_old() {
        let at = Timestamp::from_millis;
        let lag = Duration::from_secs(10);
        for (oldest, now, late) in [
            (None, 1_000_000, false),
            (Some(1_000), 1_000, false),
            (Some(1_000), 11_000, false),
            (Some(1_000), 11_001, true),
            (Some(99_000), 1_000, false),
        ] {
            assert_eq!(is_late(oldest.map(at), at(now), lag), late, "{oldest:?} {now}");
        }
    }
}
