//! Checks audit chains: each record's MAC, the numbering, what each chain was opened after, and the
//! records that must be there. Pure; the records come from a database or an exported file.

use keyward_model::audit::{Head, Record};
use keyward_model::id::{StreamId, WorkspaceId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// What is wrong with a chain, and where it begins to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) workspace: WorkspaceId,
    pub(crate) stream: StreamId,
    pub(crate) number: i64,
    pub(crate) kind: Kind,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record's content or MAC is not what was written.
    Altered,
    /// Later records are there, this one is not.
    Missing,
    /// The record stands in another place, or twice.
    Reordered,
    /// The record was there once; from it on the chain ends.
    Cut,
    /// The chain follows a record that is not there, or nothing although the workspace has another
    /// beginning.
    Unlinked,
}

impl Kind {
    /// The word in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Cut => "cut",
            Self::Unlinked => "unlinked",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workspace, stream, number, kind } = self;
        write!(f, "record {number} of stream {stream} in workspace {workspace} ")?;
        f.write_str(match kind {
            Kind::Altered => "was altered",
            Kind::Missing => "is missing",
            Kind::Reordered => "was reordered: it stands in another place, or twice",
            Kind::Cut => "was cut off: it had been written, and the chain ends before it",
            Kind::Unlinked => "follows a record that is missing, or is from elsewhere",
        })
    }
}

/// How much was checked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) workspaces: usize,
    pub(crate) streams: usize,
    pub(crate) records: u64,
}

type Key = (WorkspaceId, StreamId);

/// Takes every record once, each chain's in its order, after all that it must find is announced.
#[derive(Default)]
pub(crate) struct Checker {
    chains: HashMap<Key, Chain>,
    /// The chains in the order in which they were met, so that reports do not change.
    order: Vec<Key>,
    /// The records that chains were opened after, with those chains.
    links: HashMap<(WorkspaceId, Vec<u8>), Vec<StreamId>>,
    /// Records that must be there, with what they are.
    heads: BTreeMap<(WorkspaceId, StreamId, i64), [u8; 32]>,
    records: u64,
}

/// How far a chain has been followed.
struct Chain {
    /// The next place, or the first that is wrong.
    place: i64,
    /// The MAC before that place.
    previous: Vec<u8>,
    fault: Option<(i64, Kind)>,
}

impl Checker {
    /// Announces a chain's first record: what it was opened after must be found, unless empty.
    pub(crate) fn expect_link(&mut self, first: &Record) {
        if let (1, Some(after)) = (first.number, &first.opened_after) {
            let streams = self.links.entry((first.event.workspace, after.clone())).or_default();
            streams.push(first.stream);
        }
    }

    /// Announces a record that must be found.
    pub(crate) fn expect_head(&mut self, head: &Head) {
        self.heads.insert((head.workspace, head.stream, head.number), head.mac);
    }

    /// Takes a record. `mac` authenticates: workspace, previous MAC, number, event; `None` where there
    /// is no key for the workspace.
    ///
    /// # Errors
    /// What `mac` gave.
    pub(crate) async fn accept<E>(
        &mut self,
        record: &Record,
        mac: impl AsyncFn(WorkspaceId, &[u8], i64, &[u8]) -> Result<Option<[u8; 32]>, E>,
    ) -> Result<(), E> {
        let (workspace, stream) = (record.event.workspace, record.stream);
        self.find(workspace, &record.mac, stream, record.number);
        self.records += 1;
        let chain = self.chain((workspace, stream));
        let fits = match chain.previous_of(record) {
            Some(previous) => {
                let expected =
                    mac(workspace, previous, chain.place, &record.event.canonical()).await?;
                expected == Some(record.mac)
            }
            None => false,
        };
        chain.take(record, fits);
        Ok(())
    }

    /// Takes note of a record that cannot even be read.
    pub(crate) fn unreadable(&mut self, workspace: WorkspaceId, stream: StreamId) {
        let chain = self.chain((workspace, stream));
        if chain.fault.is_none() {
            chain.fault = Some((chain.place, Kind::Altered));
        }
    }

    fn chain(&mut self, key: Key) -> &mut Chain {
        let order = &mut self.order;
        self.chains.entry(key).or_insert_with(|| {
            order.push(key);
            Chain { place: 1, previous: Vec::new(), fault: None }
        })
    }

    fn find(&mut self, workspace: WorkspaceId, mac: &[u8; 32], stream: StreamId, number: i64) {
        self.links.remove(&(workspace, mac.to_vec()));
        let place = (workspace, stream, number);
        if self.heads.get(&place) == Some(mac) {
            self.heads.remove(&place);
        }
    }

    /// What was checked, and each chain's first fault.
    pub(crate) fn finish(mut self) -> (Counts, Vec<Fault>) {
        let workspaces: HashSet<_> = self.order.iter().map(|(workspace, _)| *workspace).collect();
        let counts = Counts {
            workspaces: workspaces.len(),
            streams: self.order.len(),
            records: self.records,
        };
        self.judge_heads();
        self.judge_links();
        let fault = |key: &Key| {
            let (number, kind) = self.chains.get(key)?.fault?;
            Some(Fault { workspace: key.0, stream: key.1, number, kind })
        };
        (counts, self.order.iter().filter_map(fault).collect())
    }

    /// What is left was not found: the chain ends before it, or it is another record.
    fn judge_heads(&mut self) {
        for (workspace, stream, number) in std::mem::take(&mut self.heads).into_keys() {
            let chain = self.chain((workspace, stream));
            if chain.fault.is_none() {
                let is_there = number < chain.place;
                let (at, kind) =
                    if is_there { (number, Kind::Altered) } else { (chain.place, Kind::Cut) };
                chain.fault = Some((at, kind));
            }
        }
    }

    /// What is left leads nowhere, save each workspace's one beginning.
    fn judge_links(&mut self) {
        for ((workspace, after), mut streams) in std::mem::take(&mut self.links) {
            streams.sort_unstable();
            let right = usize::from(after.is_empty());
            for stream in streams.into_iter().skip(right) {
                let chain = self.chain((workspace, stream));
                chain.fault = chain.fault.or(Some((1, Kind::Unlinked)));
            }
        }
    }
}

impl Chain {
    /// The MAC before this chain's next place, if a record of this form can stand there.
    fn previous_of<'a>(&'a self, record: &'a Record) -> Option<&'a [u8]> {
        match (self.place, &record.opened_after) {
            (1, Some(after)) if matches!(after.len(), 0 | 32) => Some(after),
            (1, _) | (_, Some(_)) => None,
            (_, None) => Some(&self.previous),
        }
    }

    /// `fits`: the record's MAC is the one of this chain's next place.
    fn take(&mut self, record: &Record, fits: bool) {
        match self.fault {
            None if record.number < self.place => {
                self.fault = Some((record.number, Kind::Reordered));
            }
            None if record.number > self.place => self.fault = Some((self.place, Kind::Missing)),
            None if fits => {
                self.place += 1;
                self.previous = record.mac.to_vec();
            }
            None => self.fault = Some((self.place, Kind::Altered)),
            // What belongs to the place was met somewhere else.
            Some((at, Kind::Missing | Kind::Altered)) if fits && at == self.place => {
                self.fault = Some((at, Kind::Reordered));
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
