//! The audit trail as the database and the anchor file hold it.

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use keyward_model::audit::{AuditStub, Head, Record};
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_model::tag::Tagged;
use keyward_store::{Page, StoreError};
use keyward_vault::Vault;
use serde::Deserialize;

/// Records read at once.
const BATCH: u32 = 500;
const WORKSPACES: u32 = 200;

/// Every chain of every workspace.
pub(crate) struct Trail<'a> {
    vault: &'a Vault,
    workspaces: Vec<WorkspaceId>,
    streams: Vec<(WorkspaceId, StreamId)>,
    stubs: Vec<Tagged<AuditStub>>,
}

impl<'a> Trail<'a> {
    /// Finds the chains: those that are there now, oldest workspace and chain first.
    pub(crate) async fn open(vault: &'a Vault) -> anyhow::Result<Self> {
        let (mut workspaces, mut streams, mut stubs) = (Vec::new(), Vec::new(), Vec::new());
        let mut after = None;
        loop {
            let page = Page { limit: WORKSPACES, after };
            let found = vault.store().read(move |tx| tx.workspaces(&page)).await?;
            for workspace in found.items {
                let id = workspace.id;
                workspaces.push(id);
                let read =
                    vault.store().read(move |tx| Ok((tx.audit_streams(id)?, tx.audit_stubs(id)?)));
                let (chains, cut) = read.await?;
                streams.extend(chains.into_iter().map(|stream| (id, stream)));
                stubs.extend(cut);
            }
            after = found.next;
            if after.is_none() {
                return Ok(Self { vault, workspaces, streams, stubs });
            }
        }
    }

    /// Every workspace, also those without records.
    pub(crate) fn workspaces(&self) -> Vec<WorkspaceId> {
        self.workspaces.clone()
    }

    /// What retention has left of cut chains; the tags are yet to be checked.
    pub(crate) fn stubs(&self) -> &[Tagged<AuditStub>] {
        &self.stubs
    }

    /// How far each chain was cut, to see whether that has changed.
    pub(crate) fn stubs_seen(&self) -> Vec<AuditStub> {
        self.stubs.iter().map(|stub| stub.parts().0.clone()).collect()
    }

    pub(crate) fn streams(&self) -> &[(WorkspaceId, StreamId)] {
        &self.streams
    }

    /// The first record of each chain, where it can be read.
    pub(crate) async fn first_records(&self) -> anyhow::Result<Vec<Record>> {
        let mut found = Vec::with_capacity(self.streams.len());
        for &(workspace, stream) in &self.streams {
            let read = self.vault.store().read(move |tx| tx.audit_records(workspace, stream, 0, 1));
            match read.await {
                Ok(records) => found.extend(records),
                Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// A chain's records, batch after batch.
    pub(crate) fn records(&self, workspace: WorkspaceId, stream: StreamId) -> Records<'a> {
        Records {
            vault: self.vault,
            workspace,
            stream,
            after: Some(0),
            limit: BATCH,
            broken: false,
        }
    }
}

/// A chain being read.
pub(crate) struct Records<'a> {
    vault: &'a Vault,
    workspace: WorkspaceId,
    stream: StreamId,
    /// The last number read; `None` at the end.
    after: Option<i64>,
    limit: u32,
    broken: bool,
}

impl Records<'_> {
    /// The next records; `None` at the end, or before one that cannot be read.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Vec<Record>>> {
        while let Some(after) = self.after {
            let (workspace, stream, limit) = (self.workspace, self.stream, self.limit);
            let read = self
                .vault
                .store()
                .read(move |tx| tx.audit_records(workspace, stream, after, limit));
            match read.await {
                Ok(records) => {
                    self.after = records.last().map(|record| record.number);
                    return Ok(Some(records).filter(|records| !records.is_empty()));
                }
                // One row spoils its batch: on in single steps, up to that row.
                Err(StoreError::Corrupt { .. }) if limit > 1 => self.limit = 1,
                Err(StoreError::Corrupt { .. }) => (self.after, self.broken) = (None, true),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Whether reading ended at a row that cannot be read.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// The anchor file's heads; the vault has checked its MAC.
pub(crate) fn read_heads(text: &[u8]) -> anyhow::Result<Vec<Head>> {
    #[derive(Deserialize)]
    struct File {
        heads: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        workspace: WorkspaceId,
        stream: StreamId,
        number: i64,
        mac: String,
    }
    let file: File = serde_json::from_slice(text).context("it cannot be read")?;
    let head = |entry: Entry| {
        let Entry { workspace, stream, number, mac } = entry;
        let mac = HEXLOWER.decode(mac.as_bytes()).ok().and_then(|mac| mac.try_into().ok());
        Some(Head { workspace, stream, number, mac: mac? })
    };
    file.heads.into_iter().map(head).collect::<Option<_>>().context("it cannot be read")
}
