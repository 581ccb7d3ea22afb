//! Exporting the audit trail: header, stubs, records and the sealed end, piece after piece, so that a
//! trail of any length passes through a little memory.

use crate::vault::{Vault, VaultError};
use keyward_model::audit::{AuditStub, End, Head, Record, write_line, write_stub};
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_store::StoreError;
use std::collections::VecDeque;

/// Records in one piece.
const BATCH: u32 = 500;
/// How often a chain's beginning is read again where retention has cut it in between.
const ATTEMPTS: usize = 5;

/// An export under way.
pub struct AuditExport {
    vault: Vault,
    workspaces: Vec<WorkspaceId>,
    stage: Stage,
    heads: Vec<Head>,
    records: u64,
}

enum Stage {
    Header,
    Streams { waiting: VecDeque<(WorkspaceId, StreamId)>, after: Option<i64> },
    Over,
}

impl AuditExport {
    /// An export of these workspaces' trails, as they are when they are read.
    pub fn new(vault: Vault, workspaces: Vec<WorkspaceId>) -> Self {
        let (heads, stage) = (Vec::new(), Stage::Header);
        Self { vault, workspaces, stage, heads, records: 0 }
    }

    /// How many records have been written.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The next lines, each with its line break; `None` after the end. A file that lacks its end was
    /// cut off.
    ///
    /// # Errors
    /// What the database gave; `Corrupt` for a record that cannot be read.
    pub async fn next(&mut self) -> Result<Option<String>, VaultError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Header => self.header().await.map(Some),
            Stage::Streams { waiting, after } => self.records_of(waiting, after).await.map(Some),
            Stage::Over => Ok(None),
        }
    }

    async fn header(&mut self) -> Result<String, VaultError> {
        let mut text =
            self.vault.audit_header(&self.workspaces).await?.write().map_err(unwritten)?;
        text.push('\n');
        let mut waiting = VecDeque::new();
        for &workspace in &self.workspaces {
            let store = self.vault.store();
            let (streams, stubs) = store
                .read(move |tx| Ok((tx.audit_streams(workspace)?, tx.audit_stubs(workspace)?)))
                .await?;
            // Of a chain that was cut whole, its stub alone is left.
            for stub in stubs.iter().filter(|stub| !streams.contains(&stub.parts().0.stream)) {
                push(&mut text, write_stub(stub))?;
            }
            waiting.extend(streams.into_iter().map(|stream| (workspace, stream)));
        }
        self.stage = Stage::Streams { waiting, after: None };
        Ok(text)
    }

    async fn records_of(
        &mut self,
        mut waiting: VecDeque<(WorkspaceId, StreamId)>,
        after: Option<i64>,
    ) -> Result<String, VaultError> {
        let Some(&(workspace, stream)) = waiting.front() else { return self.end().await };
        let mut text = String::new();
        let records = match after {
            Some(after) => self.page(workspace, stream, after).await?,
            None => {
                let (stub, records) = self.beginning(workspace, stream).await?;
                if let Some(stub) = stub {
                    push(&mut text, write_stub(&stub))?;
                }
                records
            }
        };
        for record in &records {
            push(&mut text, write_line(record))?;
        }
        self.records += records.len() as u64;
        let after = match records.last() {
            Some(last) => {
                let (number, mac) = (last.number, last.mac);
                self.heads.retain(|head| head.stream != stream);
                self.heads.push(Head { workspace, stream, number, mac });
                Some(number)
            }
            None => {
                waiting.pop_front();
                None
            }
        };
        self.stage = Stage::Streams { waiting, after };
        Ok(text)
    }

    /// A chain's stub and the first records after it.
    async fn beginning(
        &self,
        workspace: WorkspaceId,
        stream: StreamId,
    ) -> Result<(Option<Tagged<AuditStub>>, Vec<Record>), VaultError> {
        let mut found = (None, Vec::new());
        for _ in 0..ATTEMPTS {
            let stub = self.vault.store().read(move |tx| tx.audit_stub(workspace, stream)).await?;
            let cut = stub.as_ref().map_or(0, |stub| stub.parts().0.number);
            found = (stub, self.page(workspace, stream, 0).await?);
            if found.1.first().is_none_or(|first| first.number == cut + 1) {
                break;
            }
        }
        Ok(found)
    }

    async fn page(
        &self,
        workspace: WorkspaceId,
        stream: StreamId,
        after: i64,
    ) -> Result<Vec<Record>, VaultError> {
        let read = move |tx: &mut keyward_store::Reader<'_>| {
            tx.audit_records(workspace, stream, after, BATCH)
        };
        Ok(self.vault.store().read(read).await?)
    }

    async fn end(&mut self) -> Result<String, VaultError> {
        let sealed_by = *self.workspaces.first().ok_or(VaultError::NoWorkspaceKey)?;
        let end = End::new(self.records, self.heads.iter(), sealed_by);
        let content = end.content().map_err(unwritten)?;
        let mac = self.vault.audit_mac(sealed_by, End::PREVIOUS, end.number(), &content).await?;
        let mut text = String::new();
        push(&mut text, end.write(&mac))?;
        Ok(text)
    }
}

fn push(text: &mut String, line: serde_json::Result<String>) -> Result<(), VaultError> {
    text.push_str(&line.map_err(unwritten)?);
    text.push('\n');
    Ok(())
}

/// Serialising these types does not fail; if it ever did, the row would be at fault.
fn unwritten(_: serde_json::Error) -> VaultError {
    StoreError::Corrupt { table: "audit", key: String::new() }.into()
}
