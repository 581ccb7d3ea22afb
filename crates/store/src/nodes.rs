//! Nodes: one row each, touched at every heartbeat.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::session::Session;
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::NodeId;

statements! {
    BEAT = "INSERT INTO nodes (id, seen_at) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at";
    DEAD = "SELECT id FROM nodes WHERE seen_at < $1 ORDER BY id";
    DELETE = "DELETE FROM nodes WHERE id = $1";
    INSERT_DEAD = "INSERT INTO nodes (id, seen_at)
        SELECT DISTINCT node_id, CAST(0 AS BIGINT) FROM runs WHERE finished_at IS NULL";
}

/// Says of every owner of an open run that it was last seen long ago: after a restore none of them
/// is there, and their runs are to be taken over.
pub(crate) fn insert_dead(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.execute(INSERT_DEAD, values![]).map(|_| ())
}

impl Reader<'_> {
    /// Nodes that were last seen before `before`.
    pub fn dead_nodes(&mut self, before: Timestamp) -> Result<Vec<NodeId>, StoreError> {
        let rows = self.session.query(DEAD, values![before])?;
        rows.into_iter().map(|row| Cells::new("nodes", row).parsed()).collect()
    }
}

impl RunTx<'_> {
    /// Says that a node lives.
    pub fn heartbeat(&mut self, node: NodeId, at: Timestamp) -> Result<(), StoreError> {
        self.session.execute(BEAT, values![node, at]).map(|_| ())
    }

    /// Forgets a node, after its runs have been taken over or at its orderly end.
    pub fn delete_node(&mut self, node: NodeId) -> Result<(), StoreError> {
        self.session.execute(DELETE, values![node]).map(|_| ())
    }
}
