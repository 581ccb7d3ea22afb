//! What retention leaves of the records that it cut off, and how far a sink has taken a chain.

use crate::clock::Timestamp;
use crate::id::{StreamId, WorkspaceId};
use crate::tag::{Columns, Granting};

/// The signed stub of a chain whose oldest records were cut off: verification goes on from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStub {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The chain.
    pub stream: StreamId,
    /// The last record that was cut off.
    pub number: i64,
    /// Its MAC.
    pub mac: [u8; 32],
    /// How many records were cut off in all.
    pub count: i64,
    /// The MACs of cut records after which other chains, still there, were opened.
    pub links: Vec<[u8; 32]>,
    /// When the last ones were cut off.
    pub cut_at: Timestamp,
}

impl AuditStub {
    /// The links as they are stored: one after the other.
    pub fn stored_links(&self) -> Vec<u8> {
        self.links.concat()
    }

    /// Reads stored links; `None` where they are not whole MACs.
    pub fn read_links(stored: &[u8]) -> Option<Vec<[u8; 32]>> {
        let (links, rest) = stored.as_chunks::<32>();
        rest.is_empty().then(|| links.to_vec())
    }
}

impl Granting for AuditStub {
    const TABLE: &'static str = "audit_stubs";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.stream.to_string());
        out.number(self.number).bytes(&self.mac).number(self.count);
        out.bytes(&self.stored_links()).number(self.cut_at.millis());
    }
}

/// How far a sink has accepted a chain. Absent or not the server's: not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditCursor {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The sink's name.
    pub sink: String,
    /// The chain.
    pub stream: StreamId,
    /// The last record that it has accepted.
    pub number: i64,
}

impl Granting for AuditCursor {
    const TABLE: &'static str = "audit_cursors";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.sink).text(&self.stream.to_string());
        out.number(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_read_back_whole_or_not_at_all() {
        assert_eq!(AuditStub::read_links(&[]), Some(vec![]));
        assert_eq!(AuditStub::read_links(&[7; 64]), Some(vec![[7; 32]; 2]));
        assert_eq!(AuditStub::read_links(&[7; 63]), None);
    }
}
