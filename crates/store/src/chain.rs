//! The audit chains that one connection writes: one per workspace, opened when first needed.
//!
//! A chain's head moves with its transaction: a roll-back takes it back, and after a commit of
//! unknown outcome a new chain is begun, so that no number is ever given twice.

use crate::audit;
use crate::error::StoreError;
use crate::session::Session;
use keyward_model::audit::{Event, Head, Record};
use keyward_model::id::{AuditId, Identifier, StreamId, WorkspaceId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Authenticates one audit record: HMAC-SHA-256 under the workspace's audit key over the previous
/// MAC, the number and the event's canonical bytes. `None` where the key is not at hand.
pub type AuditMac = Arc<dyn Fn(&WorkspaceId, &[u8], i64, &[u8]) -> Option<[u8; 32]> + Send + Sync>;

/// What all connections of a store share: the function that authenticates, and the newest heads.
#[derive(Default)]
pub(crate) struct Shared {
    mac: RwLock<Option<AuditMac>>,
    heads: Mutex<HashMap<(WorkspaceId, StreamId), Head>>,
}

impl Shared {
    pub(crate) fn arm(&self, mac: AuditMac) {
        *self.mac.write().unwrap_or_else(PoisonError::into_inner) = Some(mac);
    }

    pub(crate) fn heads(&self) -> Vec<Head> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.values().cloned().collect()
    }

    fn mac(&self, workspace: &WorkspaceId, link: &Link<'_>) -> Result<[u8; 32], StoreError> {
        let mac = self.mac.read().unwrap_or_else(PoisonError::into_inner);
        let mac = mac.as_ref().ok_or(StoreError::AuditUnavailable)?;
        mac(workspace, link.previous, link.number, link.event).ok_or(StoreError::AuditUnavailable)
    }
}

struct Link<'a> {
    previous: &'a [u8],
    number: i64,
    event: &'a [u8],
}

/// The events of a job that has been committed.
pub(crate) type Committed = Vec<AuditId>;

/// The chains of one connection.
pub(crate) struct Chains {
    shared: Arc<Shared>,
    heads: HashMap<WorkspaceId, Head>,
    /// What this transaction has moved, newest last: the head as it was before.
    moved: Vec<(WorkspaceId, Option<Head>)>,
}

impl Chains {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, heads: HashMap::new(), moved: Vec::new() }
    }

    /// A place in the transaction to roll back to.
    pub(crate) fn mark(&self) -> usize {
        self.moved.len()
    }

    /// Takes the heads back to a mark.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        for (workspace, before) in self.moved.split_off(mark).into_iter().rev() {
            match before {
                Some(head) => self.heads.insert(workspace, head),
                None => self.heads.remove(&workspace),
            };
        }
    }

    /// The transaction is durable.
    pub(crate) fn committed(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut heads = self.shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
        for (workspace, _) in self.moved.drain(..) {
            if let Some(head) = self.heads.get(&workspace) {
                heads.insert((workspace, head.stream), head.clone());
            }
        }
    }

    /// Whether the transaction is durable is unknown: its chains are left as they are, for ever.
    pub(crate) fn abandon(&mut self) {
        for (workspace, _) in self.moved.drain(..) {
            self.heads.remove(&workspace);
        }
    }

    /// Writes the events, each chained to the one before it in its workspace.
    pub(crate) fn append(
        &mut self,
        session: &mut Session<'_>,
        events: Vec<Event>,
    ) -> Result<Committed, StoreError> {
        let mut ids = Vec::with_capacity(events.len());
        for event in events {
            let workspace = event.workspace;
            ids.push(event.id);
            let record = match self.heads.get(&workspace) {
                Some(head) => self.next(head, event)?,
                None => self.first(audit::newest_mac(session, workspace)?, event)?,
            };
            audit::insert(session, &record)?;
            let Record { stream, number, mac, .. } = record;
            let before = self.heads.insert(workspace, Head { workspace, stream, number, mac });
            self.moved.push((workspace, before));
        }
        Ok(ids)
    }

    fn first(&self, newest: Option<Vec<u8>>, event: Event) -> Result<Record, StoreError> {
        let opened_after = newest.unwrap_or_default();
        let link = Link { previous: &opened_after, number: 1, event: &event.canonical() };
        let mac = self.shared.mac(&event.workspace, &link)?;
        let stream = StreamId::from_bytes(uuid::Uuid::now_v7().into_bytes());
        Ok(Record { event, stream, number: 1, opened_after: Some(opened_after), mac })
    }

    fn next(&self, head: &Head, event: Event) -> Result<Record, StoreError> {
        let number = head.number.saturating_add(1);
        let link = Link { previous: &head.mac, number, event: &event.canonical() };
        let mac = self.shared.mac(&event.workspace, &link)?;
        Ok(Record { event, stream: head.stream, number, opened_after: None, mac })
    }
}
