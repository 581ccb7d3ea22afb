//! What audit sinks have taken: a cursor for each sink and chain, and the node that feeds a sink.

use crate::audit::streams;
use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, Row, values};
use keyward_model::audit::AuditCursor;
use keyward_model::clock::Timestamp;
use keyward_model::id::{NodeId, StreamId, WorkspaceId};
use keyward_model::tag::Tagged;

statements! {
    ENDS = concat!(streams!(), " SELECT s.stream_id, (SELECT max(a.number) FROM audit a
            WHERE a.workspace_id = $1 AND a.stream_id = s.stream_id)
        FROM s WHERE s.stream_id IS NOT NULL ORDER BY s.stream_id");
    CURSORS = "SELECT workspace_id, sink, stream_id, number, tag FROM audit_cursors
        WHERE workspace_id = $1 AND sink = $2 ORDER BY stream_id";
    PUT = "INSERT INTO audit_cursors (workspace_id, sink, stream_id, number, tag)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, sink, stream_id)
        DO UPDATE SET number = excluded.number, tag = excluded.tag";
    HOLD = "INSERT INTO audit_feeders (sink, node_id, held_until) VALUES ($1, $2, $4)
        ON CONFLICT (sink) DO UPDATE SET node_id = excluded.node_id,
        held_until = excluded.held_until
        WHERE audit_feeders.node_id = excluded.node_id OR audit_feeders.held_until < $3";
    FAILING = "UPDATE audit_feeders SET failing_since = $3 WHERE sink = $1 AND node_id = $2";
    FEEDER = "SELECT failing_since FROM audit_feeders WHERE sink = $1";
}

/// The newest record of a chain, to hold a cursor against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainEnd {
    /// The chain.
    pub stream: StreamId,
    /// The newest record's number.
    pub number: i64,
}

fn cursor(row: Row) -> Result<Tagged<AuditCursor>, StoreError> {
    let mut cells = Cells::new("audit_cursors", row);
    let (workspace, sink) = (cells.parsed()?, cells.text()?);
    let cursor = AuditCursor { workspace, sink, stream: cells.parsed()?, number: cells.number()? };
    Ok(Tagged::stored(cursor, cells.tag()?))
}

impl Reader<'_> {
    /// Where each of the workspace's chains ends now.
    pub fn audit_ends(&mut self, workspace: WorkspaceId) -> Result<Vec<ChainEnd>, StoreError> {
        let end = |row| {
            let mut cells = Cells::new("audit", row);
            Ok(ChainEnd { stream: cells.parsed()?, number: cells.number()? })
        };
        self.session.query(ENDS, values![workspace])?.into_iter().map(end).collect()
    }

    /// How far a sink has taken the workspace's chains; what cannot be read counts as absent.
    pub fn audit_cursors(
        &mut self,
        workspace: WorkspaceId,
        sink: &str,
    ) -> Result<Vec<Tagged<AuditCursor>>, StoreError> {
        let rows = self.session.query(CURSORS, values![workspace, sink])?;
        Ok(rows.into_iter().filter_map(|row| cursor(row).ok()).collect())
    }

    /// Since when the sink's feeder fails; `None` where it does not, or nobody has begun to feed.
    pub fn audit_sink_failing(&mut self, sink: &str) -> Result<Option<Timestamp>, StoreError> {
        match self.session.one(FEEDER, values![sink])? {
            Some(row) => Cells::new("audit_feeders", row).optional_time(),
            None => Ok(None),
        }
    }
}

impl RunTx<'_> {
    /// Remembers how far a sink has accepted a chain.
    pub fn put_audit_cursor(&mut self, cursor: &Tagged<AuditCursor>) -> Result<(), StoreError> {
        let (row, tag) = cursor.parts();
        let values = values![row.workspace, row.sink.as_str(), row.stream, row.number, tag];
        self.session.execute(PUT, values).map(|_| ())
    }

    /// Makes the node the sink's feeder until `until`, unless another one is until after `now`; gives
    /// whether it is.
    pub fn hold_audit_sink(
        &mut self,
        sink: &str,
        node: NodeId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.session.execute(HOLD, values![sink, node, now, until])? > 0)
    }

    /// Says for the other nodes whether the sink takes what its feeder sends.
    pub fn set_audit_sink_failing(
        &mut self,
        sink: &str,
        node: NodeId,
        since: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.session.execute(FAILING, values![sink, node, since]).map(|_| ())
    }
}
