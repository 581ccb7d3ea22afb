//! The audit chains that one connection writes: one per workspace, opened when first needed.
//!
//! A chain's head moves with its transaction: a roll-back takes it back, and after a commit of
//! unknown outcome a new chain is begun, so that no number is ever given twice.

use crate::audit;
use crate::error::StoreError;
use crate::session::Session;
use keyward_model::audit::{Event, Head, Record};
use keyward_model::id::{AuditId, CredentialId, Identifier, StreamId, WorkspaceId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    chains: HashMap<WorkspaceId, Chain>,
    /// What this transaction has moved, newest last.
    moved: Vec<Moved>,
}

/// One workspace's chain.
struct Chain {
    head: Head,
    /// How many records of this chain name each credential.
    credentials: HashMap<CredentialId, i64>,
}

/// One record's way back.
struct Moved {
    workspace: WorkspaceId,
    /// The head as it was before.
    before: Option<Head>,
    credential: Option<CredentialId>,
}

impl Chains {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, chains: HashMap::new(), moved: Vec::new() }
    }

    /// A place in the transaction to roll back to.
    pub(crate) fn mark(&self) -> usize {
        self.moved.len()
    }

    /// Takes the chains back to a mark.
    pub(crate) fn roll_back(&mut self, mark: usize) {
        for Moved { workspace, before, credential } in self.moved.split_off(mark).into_iter().rev()
        {
            let Some(head) = before else {
                self.chains.remove(&workspace);
                continue;
            };
            let Some(chain) = self.chains.get_mut(&workspace) else { continue };
            chain.head = head;
            if let Some(count) = credential.and_then(|id| chain.credentials.get_mut(&id)) {
                *count -= 1;
            }
        }
    }

    /// The transaction is durable.
    pub(crate) fn committed(&mut self) {
        if self.moved.is_empty() {
            return;
        }
        let mut heads = self.shared.heads.lock().unwrap_or_else(PoisonError::into_inner);
        for moved in self.moved.drain(..) {
            if let Some(Chain { head, .. }) = self.chains.get(&moved.workspace) {
                heads.insert((moved.workspace, head.stream), head.clone());
            }
        }
    }

    /// Whether the transaction is durable is unknown: its chains are left as they are, for ever.
    pub(crate) fn abandon(&mut self) {
        for moved in self.moved.drain(..) {
            self.chains.remove(&moved.workspace);
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
            let event = event.for_chain();
            let (workspace, credential) = (event.workspace, event.credential);
            ids.push(event.id);
            let record = match self.chains.get(&workspace) {
                Some(chain) => self.next(chain, event)?,
                None => self.first(audit::newest_mac(session, workspace)?, event)?,
            };
            audit::insert(session, &record)?;
            let before = self.advance(&record);
            self.moved.push(Moved { workspace, before, credential });
        }
        Ok(ids)
    }

    /// Moves the chain to its new head; gives the one before.
    fn advance(&mut self, record: &Record) -> Option<Head> {
        let (workspace, stream) = (record.event.workspace, record.stream);
        let head = Head { workspace, stream, number: record.number, mac: record.mac };
        let mut before = None;
        let chain = match self.chains.entry(workspace) {
            Entry::Occupied(chain) => {
                let chain = chain.into_mut();
                before = Some(std::mem::replace(&mut chain.head, head));
                chain
            }
            Entry::Vacant(place) => place.insert(Chain { head, credentials: HashMap::new() }),
        };
        if let (Some(id), Some(number)) = (record.event.credential, record.credential_number) {
            chain.credentials.insert(id, number);
        }
        before
    }

    fn first(&self, newest: Option<Vec<u8>>, event: Event) -> Result<Record, StoreError> {
        let opened_after = newest.unwrap_or_default();
        let credential_number = event.credential.map(|_| 1);
        let bytes = event.canonical(credential_number);
        let link = Link { previous: &opened_after, number: 1, event: &bytes };
        let mac = self.shared.mac(&event.workspace, &link)?;
        let stream = StreamId::from_bytes(uuid::Uuid::now_v7().into_bytes());
        let opened_after = Some(opened_after);
        Ok(Record { event, stream, number: 1, credential_number, opened_after, mac })
    }

    fn next(&self, chain: &Chain, event: Event) -> Result<Record, StoreError> {
        let Head { stream, number, mac: previous, .. } = &chain.head;
        let number = number.saturating_add(1);
        let count = |id| chain.credentials.get(&id).copied().unwrap_or_default();
        let credential_number = event.credential.map(|id| count(id).saturating_add(1));
        let bytes = event.canonical(credential_number);
        let mac = self.shared.mac(&event.workspace, &Link { previous, number, event: &bytes })?;
        let (stream, opened_after) = (*stream, None);
        Ok(Record { event, stream, number, credential_number, opened_after, mac })
    }
}
