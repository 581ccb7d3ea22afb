//! What a check met of one credential: its records are numbered among themselves, so a gap shows
//! that what is missing was the credential's.

use crate::audit::Record;
use crate::clock::Timestamp;
use crate::id::{AuditId, CredentialId, StreamId};
use std::collections::HashMap;

/// The records of one credential.
#[derive(Debug)]
pub struct Watched {
    /// The credential.
    pub credential: CredentialId,
    /// How many records name it.
    pub records: u64,
    /// Those of them that are not as they were written, the first ones.
    pub altered: Vec<(AuditId, Timestamp)>,
    /// Gaps, the first ones: the chain, and the first and last missing number among the
    /// credential's records of that chain.
    pub gaps: Vec<(StreamId, i64, i64)>,
    newest: HashMap<StreamId, i64>,
}

/// How many faults are listed.
const SHOWN: usize = 20;

impl Watched {
    pub(super) fn new(credential: CredentialId) -> Self {
        let (altered, gaps, newest) = Default::default();
        Self { credential, records: 0, altered, gaps, newest }
    }

    /// `right`: the record is as it was written. `cut`: the chain's beginning was cut by retention.
    pub(super) fn take(&mut self, record: &Record, right: bool, cut: bool) {
        if record.event.credential != Some(self.credential) {
            return;
        }
        self.records += 1;
        if !right && self.altered.len() < SHOWN {
            self.altered.push((record.event.id, record.event.at));
        }
        let Some(number) = record.credential_number else { return };
        let before = self.newest.insert(record.stream, number);
        let expected = match before {
            Some(before) => before.saturating_add(1),
            None if cut => number,
            None => 1,
        };
        if number > expected && self.gaps.len() < SHOWN {
            self.gaps.push((record.stream, expected, number - 1));
        }
    }
}
