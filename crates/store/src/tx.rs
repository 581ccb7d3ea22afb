//! What closures get: `Reader` reads, `RunTx` also keeps the engine's books, `Tx` also writes what
//! people change, and then owes an audit event. Each holds everything that the one before can do;
//! their operations stand in the files named for what they are about.

use crate::chain::Committed;
use crate::session::Session;
use keyward_model::audit::Event;
use keyward_model::id::AuditId;
use std::ops::{Deref, DerefMut};

/// Reads. Each statement sees what was committed last.
pub struct Reader<'a> {
    pub(crate) session: Session<'a>,
    /// Whether data was deleted that earlier copies of its rows still hold.
    pub(crate) leaves_copies: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(session: Session<'a>) -> Self {
        Self { session, leaves_copies: false }
    }
}

/// The engine's bookkeeping: runs, steps, run secrets, uses, nodes; nothing that people decide.
///
/// ```compile_fail,E0599
/// # use keyward_model::id::{CredentialId, WorkspaceId};
/// fn quietly(tx: &mut keyward_store::RunTx<'_>, workspace: WorkspaceId, id: CredentialId) {
///     let _ = tx.delete_credential(workspace, id);
/// }
/// ```
pub struct RunTx<'a>(Reader<'a>);

impl<'a> RunTx<'a> {
    pub(crate) fn new(session: Session<'a>) -> Self {
        Self(Reader::new(session))
    }
}

impl<'a> Deref for RunTx<'a> {
    type Target = Reader<'a>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for RunTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Writes anything; commits only together with an audit event.
pub struct Tx<'a>(RunTx<'a>);

impl<'a> Tx<'a> {
    pub(crate) fn new(session: Session<'a>) -> Self {
        Self(RunTx::new(session))
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = RunTx<'a>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// A closure's answer with the events that are committed together with what it wrote.
#[derive(Debug)]
pub struct Audited<T> {
    value: T,
    events: Vec<Event>,
}

impl<T> Audited<T> {
    /// An answer with its events; without any, the write fails with `StoreError::NoEvent`.
    pub fn new(value: T, events: Vec<Event>) -> Self {
        Self { value, events }
    }

    pub(crate) fn parts(self) -> (T, Vec<Event>) {
        (self.value, self.events)
    }
}

/// Proof that audit records are durable. Only the store makes one, after its commit.
///
/// ```compile_fail,E0451
/// let forged = keyward_store::AuditReceipt { events: Vec::new() };
/// ```
/// ```compile_fail,E0308
/// fn twice(receipt: &keyward_store::AuditReceipt) -> keyward_store::AuditReceipt {
///     receipt.clone()
/// }
/// ```
#[derive(Debug)]
pub struct AuditReceipt {
    events: Committed,
}

impl AuditReceipt {
    pub(crate) fn new(events: Committed) -> Self {
        Self { events }
    }

    /// Whether the record of this event, and so of this permit, is durable.
    pub fn covers(&self, id: AuditId) -> bool {
        self.events.contains(&id)
    }
}
