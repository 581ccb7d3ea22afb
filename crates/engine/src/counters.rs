//! How many runs ended how, since the node's start.

use keyward_model::run::RunStatus;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a node; only ever raised.
#[derive(Debug, Default)]
pub struct Counters {
    succeeded: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

impl Counters {
    /// Counts a run's end; one that this node lost to another is not counted.
    pub(crate) fn count(&self, status: RunStatus) {
        let counter = match status {
            RunStatus::Succeeded => &self.succeeded,
            RunStatus::Failed => &self.failed,
            RunStatus::Cancelled => &self.cancelled,
            RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Each final status with its count.
    pub fn ended(&self) -> [(RunStatus, u64); 3] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            (RunStatus::Succeeded, of(&self.succeeded)),
            (RunStatus::Failed, of(&self.failed)),
            (RunStatus::Cancelled, of(&self.cancelled)),
        ]
    }
}
