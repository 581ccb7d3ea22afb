//! Checks audit chains: each record's MAC, the numbering, what each chain was opened after, the stubs
//! of cut beginnings, and the records that must be there. The records come from a database or an
//! exported file, one at a time; what is kept of them grows with the number of chains alone.

mod watched;

pub use watched::Watched;

use super::{AuditStub, Head, Record};
use crate::clock::Timestamp;
use crate::id::{AuditId, CredentialId, StreamId, WorkspaceId};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// What is wrong with a chain, and where it begins to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The chain.
    pub stream: StreamId,
    /// The record's place in it.
    pub number: i64,
    /// What is wrong.
    pub kind: Kind,
    /// Id and time of the record as it stands there; where none does, of the sound one before it.
    pub record: Option<(AuditId, Timestamp)>,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
    /// The stub that says where retention has cut was not written by the server.
    Stub,
}

impl Kind {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "altered",
            Self::Missing => "missing",
            Self::Reordered => "reordered",
            Self::Cut => "cut",
            Self::Unlinked => "unlinked",
            Self::Stub => "stub",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workspace, stream, number, kind, record } = self;
        if *kind == Kind::Stub {
            let what = "the stub of cut records, up to record";
            return write!(
                f,
                "{what} {number} of stream {stream} in workspace {workspace}, was altered"
            );
        }
        write!(f, "record {number} of stream {stream} in workspace {workspace} ")?;
        let (what, stands_there) = match kind {
            Kind::Altered => ("was altered", true),
            Kind::Missing => ("is missing", false),
            Kind::Reordered => ("was reordered: it stands in another place, or twice", true),
            Kind::Cut => ("was cut off: it had been written, and the chain ends before it", false),
            Kind::Unlinked | Kind::Stub => {
                ("follows a record that is missing, or is from elsewhere", true)
            }
        };
        f.write_str(what)?;
        match record {
            Some((id, at)) if stands_there => write!(f, " ({id} of {at})"),
            Some((id, at)) => write!(f, " (the one before it is {id} of {at})"),
            None => Ok(()),
        }
    }
}

/// How much was checked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Workspaces with records.
    pub workspaces: usize,
    /// Chains.
    pub streams: usize,
    /// Records.
    pub records: u64,
}

type Key = (WorkspaceId, StreamId);

/// Takes every record once, each chain's in its order, after all that it must find is announced.
#[derive(Default)]
pub struct Checker {
    chains: HashMap<Key, Chain>,
    /// The chains in the order in which they were met, so that reports do not change.
    order: Vec<Key>,
    /// The records that chains were opened after, with those chains.
    links: HashMap<(WorkspaceId, Vec<u8>), Vec<StreamId>>,
    /// Records that must be there, with what they are.
    heads: BTreeMap<(WorkspaceId, StreamId, i64), [u8; 32]>,
    records: u64,
    watched: Option<Watched>,
}

/// How far a chain has been followed.
struct Chain {
    /// The next place, or the first that is wrong.
    place: i64,
    /// The MAC before that place.
    previous: Vec<u8>,
    /// The record before that place.
    last: Option<(AuditId, Timestamp)>,
    /// The last record that retention has cut off, 0 for none.
    cut: i64,
    fault: Option<Wrong>,
}

#[derive(Clone, Copy)]
struct Wrong {
    number: i64,
    kind: Kind,
    record: Option<(AuditId, Timestamp)>,
}

impl Checker {
    /// A checker that also reports what it met of one credential.
    pub fn watching(credential: CredentialId) -> Self {
        Self { watched: Some(Watched::new(credential)), ..Self::default() }
    }

    /// Announces where retention has cut a chain: it goes on from there. Before all else.
    pub fn expect_stub(&mut self, stub: &AuditStub) {
        let chain = self.chain((stub.workspace, stub.stream));
        (chain.place, chain.cut) = (stub.number.saturating_add(1), stub.number);
        chain.previous = stub.mac.to_vec();
        // What is left of the chain may have been opened after by others as well.
        let links = stub.links.iter().chain(std::iter::once(&stub.mac));
        for link in links {
            self.links.insert((stub.workspace, link.to_vec()), Vec::new());
        }
    }

    /// Takes note of a stub that is not the server's.
    pub fn forged_stub(&mut self, workspace: WorkspaceId, stream: StreamId, number: i64) {
        let wrong = Wrong { number, kind: Kind::Stub, record: None };
        self.chain((workspace, stream)).fault.get_or_insert(wrong);
    }

    /// Announces a chain's first record: what it was opened after must be found, unless empty.
    pub fn expect_link(&mut self, first: &Record) {
        let (1, Some(after)) = (first.number, &first.opened_after) else { return };
        let key = (first.event.workspace, after.clone());
        match self.links.get_mut(&key) {
            // Cut off by retention, as a stub says.
            Some(streams) if streams.is_empty() => {}
            Some(streams) => streams.push(first.stream),
            None => drop(self.links.insert(key, vec![first.stream])),
        }
    }

    /// Announces a record that must be found, unless retention has cut it off.
    pub fn expect_head(&mut self, head: &Head) {
        let cut = self.chains.get(&(head.workspace, head.stream)).map_or(0, |chain| chain.cut);
        if head.number > cut {
            self.heads.insert((head.workspace, head.stream, head.number), head.mac);
        }
    }

    /// Takes a record. `fits` says whether its MAC is right for that previous MAC and that number;
    /// false where there is no key for the workspace.
    pub fn accept(&mut self, record: &Record, fits: impl Fn(&Record, &[u8], i64) -> bool) {
        let (workspace, stream) = (record.event.workspace, record.stream);
        self.find(workspace, &record.mac, stream, record.number);
        self.records += 1;
        let chain = self.chain((workspace, stream));
        let previous = chain.previous_of(record);
        let right = previous.is_some_and(|previous| fits(record, previous, chain.place));
        chain.take(record, right);
        let cut = chain.cut;
        if let Some(watched) = &mut self.watched {
            watched.take(record, right, cut > 0);
        }
    }

    /// Takes note of a record that cannot even be read.
    pub fn unreadable(&mut self, workspace: WorkspaceId, stream: StreamId) {
        let chain = self.chain((workspace, stream));
        let wrong = Wrong { number: chain.place, kind: Kind::Altered, record: None };
        chain.fault.get_or_insert(wrong);
    }

    fn chain(&mut self, key: Key) -> &mut Chain {
        let order = &mut self.order;
        self.chains.entry(key).or_insert_with(|| {
            order.push(key);
            Chain { place: 1, previous: Vec::new(), last: None, cut: 0, fault: None }
        })
    }

    fn find(&mut self, workspace: WorkspaceId, mac: &[u8; 32], stream: StreamId, number: i64) {
        self.links.remove(&(workspace, mac.to_vec()));
        let place = (workspace, stream, number);
        if self.heads.get(&place) == Some(mac) {
            self.heads.remove(&place);
        }
    }

    /// What was checked, each chain's first fault, and what was met of the watched credential.
    pub fn finish(mut self) -> (Counts, Vec<Fault>, Option<Watched>) {
        let workspaces: HashSet<_> = self.order.iter().map(|(workspace, _)| *workspace).collect();
        let counts = Counts {
            workspaces: workspaces.len(),
            streams: self.order.len(),
            records: self.records,
        };
        self.judge_heads();
        self.judge_links();
        let fault = |key: &Key| {
            let Wrong { number, kind, record } = self.chains.get(key)?.fault?;
            Some(Fault { workspace: key.0, stream: key.1, number, kind, record })
        };
        (counts, self.order.iter().filter_map(fault).collect(), self.watched)
    }

    /// What is left was not found: the chain ends before it, or it is another record.
    fn judge_heads(&mut self) {
        for (workspace, stream, number) in std::mem::take(&mut self.heads).into_keys() {
            let chain = self.chain((workspace, stream));
            let is_there = number < chain.place;
            let (number, kind) =
                if is_there { (number, Kind::Altered) } else { (chain.place, Kind::Cut) };
            let record = if is_there { None } else { chain.last };
            chain.fault.get_or_insert(Wrong { number, kind, record });
        }
    }

    /// What is left leads nowhere, save each workspace's one beginning.
    fn judge_links(&mut self) {
        for ((workspace, after), mut streams) in std::mem::take(&mut self.links) {
            streams.sort_unstable();
            let right = usize::from(after.is_empty());
            for stream in streams.into_iter().skip(right) {
                let chain = self.chain((workspace, stream));
                let wrong = Wrong { number: 1, kind: Kind::Unlinked, record: None };
                chain.fault.get_or_insert(wrong);
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

    /// `right`: the record's MAC is the one of this chain's next place.
    fn take(&mut self, record: &Record, right: bool) {
        let this = Some((record.event.id, record.event.at));
        let wrong = |number, kind, record| Some(Wrong { number, kind, record });
        match self.fault {
            None if record.number < self.place => {
                self.fault = wrong(record.number, Kind::Reordered, this);
            }
            None if record.number > self.place => {
                self.fault = wrong(self.place, Kind::Missing, self.last);
            }
            None if right => {
                self.place += 1;
                self.previous = record.mac.to_vec();
                self.last = this;
            }
            None => self.fault = wrong(self.place, Kind::Altered, this),
            // What belongs to the place was met somewhere else.
            Some(Wrong { number, kind: Kind::Missing | Kind::Altered, .. })
                if right && number == self.place =>
            {
                self.fault = wrong(number, Kind::Reordered, this);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
