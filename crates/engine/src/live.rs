//! Runs that are under way on this node: their events as they happen, and the way to end them.

use keyward_model::id::RunId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// One event of a run, masked: `log`, `step` or `run` with its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// `log`, `step` or `run`.
    pub kind: &'static str,
    /// The event as JSON text.
    pub data: Arc<str>,
}

/// One run under way: what has happened so far, kept until it ends.
pub struct Live {
    events: Mutex<Vec<LiveEvent>>,
    length: watch::Sender<usize>,
    cancelled: AtomicBool,
    cancel: tokio::sync::Notify,
}

impl Live {
    fn new() -> Self {
        Self {
            events: Mutex::default(),
            length: watch::Sender::new(0),
            cancelled: AtomicBool::new(false),
            cancel: tokio::sync::Notify::new(),
        }
    }

    /// Adds an event and wakes whoever follows.
    pub(crate) fn push(&self, kind: &'static str, data: impl Into<Arc<str>>) {
        let mut events = lock(&self.events);
        events.push(LiveEvent { kind, data: data.into() });
        let length = events.len();
        drop(events);
        self.length.send_replace(length);
    }

    /// The events from a position on; waits where there are none yet. `None` after the last.
    pub async fn after(&self, position: usize) -> Option<Vec<LiveEvent>> {
        let mut length = self.length.subscribe();
        loop {
            let events = lock(&self.events).get(position..).map(<[_]>::to_vec).unwrap_or_default();
            if !events.is_empty() {
                return Some(events);
            }
            let ended = lock(&self.events).last().is_some_and(|event| event.kind == "run");
            if ended || length.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Asks the run to end; its owner stops what it is doing.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.cancel.notify_one();
    }

    /// Whether somebody has cancelled the run.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Ends once somebody has cancelled the run.
    pub(crate) async fn cancelled(&self) {
        while !self.is_cancelled() {
            self.cancel.notified().await;
        }
        // Whoever asks again learns it again.
        self.cancel.notify_one();
    }
}

/// All runs under way on this node.
#[derive(Default)]
pub struct LiveRuns(Mutex<HashMap<RunId, Arc<Live>>>);

impl LiveRuns {
    pub(crate) fn begin(&self, run: RunId) -> Arc<Live> {
        let live = Arc::new(Live::new());
        lock(&self.0).insert(run, live.clone());
        live
    }

    pub(crate) fn end(&self, run: RunId) {
        lock(&self.0).remove(&run);
    }

    /// The run, where this node drives it.
    pub fn get(&self, run: RunId) -> Option<Arc<Live>> {
        lock(&self.0).get(&run).cloned()
    }

    /// How many runs are under way.
    pub fn count(&self) -> usize {
        lock(&self.0).len()
    }

    /// Asks a run to end, where this node drives it.
    pub(crate) fn cancel(&self, run: RunId) {
        if let Some(live) = self.get(run) {
            live.cancel();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
