//! Retention of the audit trail: the beginnings of chains are cut off, and signed stubs stay.

use crate::audit::streams;
use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::audit::AuditStub;
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_model::tag::Tagged;

statements! {
    STUBS = "SELECT workspace_id, stream_id, number, mac, count, links, cut_at, tag
        FROM audit_stubs WHERE workspace_id = $1 ORDER BY stream_id";
    STUB = "SELECT workspace_id, stream_id, number, mac, count, links, cut_at, tag
        FROM audit_stubs WHERE workspace_id = $1 AND stream_id = $2";
    PUT = "INSERT INTO audit_stubs (workspace_id, stream_id, number, mac, count, links, cut_at, tag)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (workspace_id, stream_id) DO UPDATE SET number = excluded.number,
        mac = excluded.mac, count = excluded.count, links = excluded.links,
        cut_at = excluded.cut_at, tag = excluded.tag";
    CUT = "DELETE FROM audit WHERE workspace_id = $1 AND stream_id = $2 AND number <= $3";
    OPENINGS = concat!(streams!(), " SELECT s.stream_id, a.opened_after FROM s JOIN audit a
        ON a.workspace_id = $1 AND a.stream_id = s.stream_id AND a.number = 1
        WHERE s.stream_id IS NOT NULL AND a.opened_after IS NOT NULL ORDER BY s.stream_id");
}

fn stub(row: Row) -> Result<Tagged<AuditStub>, StoreError> {
    let mut cells = Cells::new("audit_stubs", row);
    let (workspace, stream) = (cells.parsed()?, cells.parsed()?);
    let (number, mac, count) = (cells.number()?, cells.tag()?, cells.number()?);
    let links = AuditStub::read_links(&cells.bytes()?).ok_or_else(|| cells.corrupt())?;
    let cut_at = cells.time()?;
    let stub = AuditStub { workspace, stream, number, mac, count, links, cut_at };
    Ok(Tagged::stored(stub, cells.tag()?))
}

impl Reader<'_> {
    /// The workspace's stubs; one that cannot even be read is left out, as if it were missing.
    pub fn audit_stubs(
        &mut self,
        workspace: WorkspaceId,
    ) -> Result<Vec<Tagged<AuditStub>>, StoreError> {
        let rows = self.session.query(STUBS, values![workspace])?;
        Ok(rows.into_iter().filter_map(|row| stub(row).ok()).collect())
    }

    /// One chain's stub.
    pub fn audit_stub(
        &mut self,
        workspace: WorkspaceId,
        stream: StreamId,
    ) -> Result<Option<Tagged<AuditStub>>, StoreError> {
        self.session.one(STUB, values![workspace, stream])?.map(stub).transpose()
    }

    /// What each chain whose first record is still there was opened after; empty for nothing.
    pub fn audit_openings(
        &mut self,
        workspace: WorkspaceId,
    ) -> Result<Vec<(StreamId, Vec<u8>)>, StoreError> {
        let rows = self.session.query(OPENINGS, values![workspace])?;
        let opening = |row| {
            let mut cells = Cells::new("audit", row);
            Ok((cells.parsed()?, cells.bytes()?))
        };
        rows.into_iter().map(opening).collect()
    }
}

impl Tx<'_> {
    /// Cuts a chain's records up to the stub's number and puts the stub in their place; gives how
    /// many were there. Fails with `Conflict` where another stub than `before` stands there.
    pub fn cut_audit(
        &mut self,
        stub: &Tagged<AuditStub>,
        before: Option<&Tagged<AuditStub>>,
    ) -> Result<u64, StoreError> {
        let (row, tag) = stub.parts();
        let found = self.audit_stub(row.workspace, row.stream)?;
        if found.as_ref().map(Tagged::parts) != before.map(Tagged::parts) {
            return Err(StoreError::Conflict { what: "stub" });
        }
        let links = row.stored_links();
        let values = values![
            row.workspace, row.stream, row.number, &row.mac, row.count, links, row.cut_at, tag,
        ];
        self.session.execute(PUT, values)?;
        self.session.execute(CUT, values![row.workspace, row.stream, row.number])
    }
}
