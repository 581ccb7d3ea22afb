//! The gate that required audit sinks can close: while one of them does not take records, no value is
//! released. Whoever feeds the sinks reports; whoever releases asks, and only reads a flag.

use keyward_model::clock::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How one sink does, as its feeder last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkState {
    /// Its place among the configured ones, from 1.
    pub place: usize,
    /// Its kind, such as `syslog+tls`.
    pub kind: &'static str,
    /// Whether values are released only while it takes records.
    pub required: bool,
    /// Records that it has not accepted yet.
    pub waiting: u64,
    /// The time of the oldest of them.
    pub oldest: Option<Timestamp>,
    /// Records that this node has brought to it.
    pub sent: u64,
    /// Attempts of this node that failed.
    pub failures: u64,
    /// Since when attempts fail; `None` where the last one did not.
    pub failing_since: Option<Timestamp>,
    /// What the last failed attempt said; a fixed text.
    pub failure: Option<String>,
    /// Whether it keeps values from being released.
    pub blocks: bool,
}

/// Whether values may be released, as far as audit sinks are concerned.
#[derive(Debug, Default)]
pub struct AuditGate {
    closed: AtomicBool,
    sinks: Mutex<Vec<SinkState>>,
}

impl AuditGate {
    /// Whether nothing may be released now. One atomic load.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Reports how a sink does; the gate is closed while any sink blocks.
    pub fn report(&self, state: SinkState) {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        match sinks.iter_mut().find(|known| known.place == state.place) {
            Some(known) => *known = state,
            None => sinks.push(state),
        }
        sinks.sort_by_key(|state| state.place);
        self.closed.store(sinks.iter().any(|state| state.blocks), Ordering::Release);
    }

    /// Every sink as it was last reported.
    pub fn sinks(&self) -> Vec<SinkState> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_blocking_sink_closes_and_only_none_opens() {
        let gate = AuditGate::default();
        let state = |place, blocks| SinkState {
            place,
            kind: "file",
            required: true,
            waiting: 0,
            oldest: None,
            sent: 0,
            failures: 0,
            failing_since: None,
            failure: None,
            blocks,
        };
        assert!(!gate.is_closed());
        for (place, blocks, closed) in [
            (2, true, true),
            (1, false, true),
            (1, true, true),
            (2, false, true),
            (1, false, false),
        ] {
            gate.report(state(place, blocks));
            assert_eq!(gate.is_closed(), closed, "{place} {blocks}");
        }
        let places: Vec<_> = gate.sinks().iter().map(|state| state.place).collect();
        assert_eq!(places, [1, 2]);
    }
}
