//! Jobs on their way from async callers to the threads that own the connections.

use crate::chain::Committed;
use crate::error::StoreError;
use crate::session::Session;
use crate::tx::{AuditReceipt, Audited, Reader, RunTx, Tx};
use keyward_model::audit::Event;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What a job does to the database, which decides how its transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Write,
    Record,
    Read,
    /// Outside transactions.
    Scrub,
}

/// One closure on its way. `run` may be called again after a roll-back; `done` answers, once.
pub(crate) trait Job: Send {
    fn kind(&self) -> Kind;
    /// Runs the closure; gives the events that belong into the same commit.
    fn run(&mut self, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError>;
    fn done(self: Box<Self>, outcome: Result<Committed, StoreError>);
}

/// The jobs that wait.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; drops it, and with it the caller's reply, once the queue is closed.
    pub(crate) fn push(&self, job: Box<dyn Job>) {
        let mut state = self.state();
        if !state.closed {
            state.jobs.push_back(job);
            self.arrived.notify_one();
        }
    }

    /// Waits for jobs and takes up to `most`; `None` once closed and empty.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<Box<dyn Job>>> {
        let mut state = self.state();
        loop {
            let count = state.jobs.len().min(most);
            if count > 0 {
                return Some(state.jobs.drain(..count).collect());
            }
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more jobs; what waits is still done.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// Runs a job's closure. A panic in it fails that job alone, and a statement that failed dooms it
/// even if the closure went on.
pub(crate) fn run(job: &mut dyn Job, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError> {
    let result = catch_unwind(AssertUnwindSafe(|| job.run(session)));
    let events =
        result.unwrap_or_else(|_| Err(StoreError::unavailable("an operation panicked")))?;
    match *session.failed {
        true => Err(StoreError::unavailable("an operation went on after a failed statement")),
        false => Ok(events),
    }
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Whether committed deletions have left copies behind that nobody has scrubbed yet.
#[derive(Default)]
pub(crate) struct Copies(AtomicBool);

impl Copies {
    fn note(&self, left: bool) {
        if left {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

/// A change of a person's making.
pub(crate) struct WriteJob<F, T> {
    pub(crate) closure: F,
    pub(crate) value: Option<T>,
    pub(crate) left: bool,
    pub(crate) copies: Arc<Copies>,
    pub(crate) reply: Reply<(T, AuditReceipt)>,
}

impl<F, T> Job for WriteJob<F, T>
where
    F: FnMut(&mut Tx<'_>) -> Result<Audited<T>, StoreError> + Send,
    T: Send,
{
    fn kind(&self) -> Kind {
        Kind::Write
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError> {
        let mut tx = Tx::new(session.lend());
        let (value, events) = (self.closure)(&mut tx)?.parts();
        (self.value, self.left) = (Some(value), tx.leaves_copies);
        if events.is_empty() { Err(StoreError::NoEvent) } else { Ok(events) }
    }

    fn done(self: Box<Self>, outcome: Result<Committed, StoreError>) {
        let Self { value, reply, left, copies, .. } = *self;
        copies.note(left && outcome.is_ok());
        let answer = outcome.and_then(|events| Ok((answer(value)?, AuditReceipt::new(events))));
        // A caller that went away does not want to know.
        let _ = reply.send(answer);
    }
}

/// The engine's bookkeeping.
pub(crate) struct RecordJob<F, T> {
    pub(crate) closure: F,
    pub(crate) value: Option<T>,
    pub(crate) left: bool,
    pub(crate) copies: Arc<Copies>,
    pub(crate) reply: Reply<T>,
}

impl<F, T> Job for RecordJob<F, T>
where
    F: FnMut(&mut RunTx<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn kind(&self) -> Kind {
        Kind::Record
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError> {
        let mut tx = RunTx::new(session.lend());
        self.value = Some((self.closure)(&mut tx)?);
        self.left = tx.leaves_copies;
        Ok(Vec::new())
    }

    fn done(self: Box<Self>, outcome: Result<Committed, StoreError>) {
        let Self { value, reply, left, copies, .. } = *self;
        copies.note(left && outcome.is_ok());
        let _ = reply.send(outcome.and_then(|_| answer(value)));
    }
}

/// A read on its way to a PostgreSQL connection.
pub(crate) struct ReadJob<F, T> {
    pub(crate) closure: Option<F>,
    pub(crate) value: Option<T>,
    pub(crate) reply: Reply<T>,
}

impl<F, T> Job for ReadJob<F, T>
where
    F: FnOnce(&mut Reader<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn kind(&self) -> Kind {
        Kind::Read
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError> {
        let again = || StoreError::unavailable("a read cannot be run again");
        let closure = self.closure.take().ok_or_else(again)?;
        self.value = Some(closure(&mut Reader::new(session.lend()))?);
        Ok(Vec::new())
    }

    fn done(self: Box<Self>, outcome: Result<Committed, StoreError>) {
        let Self { value, reply, .. } = *self;
        let _ = reply.send(outcome.and_then(|_| answer(value)));
    }
}

/// Overwrites what deletions have left behind, where there are any.
pub(crate) struct ScrubJob {
    pub(crate) copies: Arc<Copies>,
    pub(crate) reply: Reply<()>,
}

impl Job for ScrubJob {
    fn kind(&self) -> Kind {
        Kind::Scrub
    }

    fn run(&mut self, session: &mut Session<'_>) -> Result<Vec<Event>, StoreError> {
        if self.copies.0.swap(false, Ordering::SeqCst) {
            session.scrub().inspect_err(|_| self.copies.note(true))?;
        }
        Ok(Vec::new())
    }

    fn done(self: Box<Self>, outcome: Result<Committed, StoreError>) {
        let _ = self.reply.send(outcome.map(|_| ()));
    }
}

fn answer<T>(value: Option<T>) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::unavailable("an operation gave no answer"))
}
