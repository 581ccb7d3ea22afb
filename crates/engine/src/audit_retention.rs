//! Retention of the audit trail: of each chain the oldest records are cut off once they are older
//! than the workspace keeps them, and a signed stub stays in their place.

use crate::EngineError;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, AuditStub, Event, Record};
use keyward_model::clock::Timestamp;
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_model::settings::Settings;
use keyward_model::tag::Tagged;
use keyward_store::{Audited, Page, StoreError, Tx};
use keyward_vault::{AuditKeys, Vault, VaultError};
use std::collections::HashSet;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// How many records one commit cuts off.
const BATCH: u32 = 2000;

/// A chain, and what may be cut of it.
struct Chain<'a> {
    workspace: WorkspaceId,
    stream: StreamId,
    keys: &'a AuditKeys,
    before: Timestamp,
    /// Sinks that must have taken what is cut.
    sinks: &'a [String],
}

/// The beginning of a chain as it is stored.
struct Beginning {
    stub: Option<Tagged<AuditStub>>,
    records: Vec<Record>,
    /// What the workspace's chains were opened after.
    openings: Vec<(StreamId, Vec<u8>)>,
    /// The last record that every sink has taken.
    taken: i64,
}

/// Cuts what is older than its workspace keeps it, and was taken by the sinks of these names;
/// failures are logged and tried again later.
pub async fn cut_audit(vault: &Vault, sinks: &[String]) {
    if let Err(error) = cut_every_trail(vault, sinks).await {
        tracing::warn!(%error, "old audit records not cut off");
    }
}

async fn cut_every_trail(vault: &Vault, sinks: &[String]) -> Result<(), EngineError> {
    let mut page = Page::first(200);
    loop {
        let at = page.clone();
        let found = vault.store().read(move |tx| tx.workspaces(&at)).await?;
        for workspace in &found.items {
            if let Err(error) = cut_trail(vault, workspace.id, sinks).await {
                tracing::warn!(workspace = %workspace.id, %error, "old audit records not cut off");
            }
        }
        let Some(next) = found.next else { return Ok(()) };
        page.after = Some(next);
    }
}

async fn cut_trail(
    vault: &Vault,
    workspace: WorkspaceId,
    sinks: &[String],
) -> Result<(), EngineError> {
    let row = vault.store().read(move |tx| tx.settings(workspace)).await?;
    // Settings that are gone or not the server's throw nothing away.
    let settings = match row {
        Some(row) => vault.verify(workspace, row).await.map(|row| row.settings),
        None => Ok(Settings::strictest()),
    };
    let Ok(Settings { audit_retention_days: Some(days), .. }) = settings else { return Ok(()) };
    let before = vault.now().plus_millis(-i64::from(days).saturating_mul(DAY_MILLIS));
    let keys = vault.audit_keys(&[workspace]).await?;
    vault.load(workspace).await?;
    for stream in vault.store().read(move |tx| tx.audit_streams(workspace)).await? {
        let chain = Chain { workspace, stream, keys: &keys, before, sinks };
        // What is wrong with one chain, such as a stub that is not the server's, stops no other.
        while cut_once(vault, &chain).await.unwrap_or_else(|error| {
            tracing::error!(%stream, %error, "old audit records of a chain not cut off");
            false
        }) {}
    }
    Ok(())
}

/// Cuts up to a batch; whether there may be more.
async fn cut_once(vault: &Vault, chain: &Chain<'_>) -> Result<bool, EngineError> {
    let found = beginning(vault, chain).await?;
    let Some(stub) = chain.next_stub(&found, vault.now())? else { return Ok(false) };
    let cut_whole_batch = stub.number - found.cut() == i64::from(BATCH);
    let mut event =
        Event::new(vault.fresh(), chain.workspace, vault.now(), Actor::system(), Action::AuditCut);
    event.reason = "retention".into();
    let (stub, before) = (chain.keys.sign(chain.workspace, stub)?, found.stub);
    let write = move |tx: &mut Tx<'_>| {
        tx.cut_audit(&stub, before.as_ref())?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    match vault.store().write(write).await {
        Ok(_) => Ok(cut_whole_batch),
        // Another node cuts, too.
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn beginning(vault: &Vault, chain: &Chain<'_>) -> Result<Beginning, EngineError> {
    let (workspace, stream) = (chain.workspace, chain.stream);
    let names = chain.sinks.to_vec();
    let read = vault.store().read(move |tx| {
        let stub = tx.audit_stub(workspace, stream)?;
        let cut = stub.as_ref().map_or(0, |stub| stub.parts().0.number);
        let records = tx.audit_records(workspace, stream, cut, BATCH)?;
        let mut cursors = Vec::with_capacity(names.len());
        for name in &names {
            cursors.push(tx.audit_cursors(workspace, name)?);
        }
        Ok((stub, records, tx.audit_openings(workspace)?, cursors))
    });
    let (stub, records, openings, cursors) = read.await?;
    let taken = cursors.into_iter().map(|rows| {
        let row = rows.into_iter().find(|row| row.parts().0.stream == stream);
        let cursor = row.and_then(|row| chain.keys.verify(workspace, row).ok());
        cursor.map_or(0, |cursor| cursor.number)
    });
    let taken = taken.min().unwrap_or(i64::MAX);
    Ok(Beginning { stub, records, openings, taken })
}

impl Beginning {
    fn cut(&self) -> i64 {
        self.stub.as_ref().map_or(0, |stub| stub.parts().0.number)
    }
}

impl Chain<'_> {
    /// The stub that is to stand in the place of the oldest records; `None` where none are to go.
    /// A chain that does not hold is left as it is: cutting it would hide what was done to it.
    fn next_stub(
        &self,
        beginning: &Beginning,
        now: Timestamp,
    ) -> Result<Option<AuditStub>, VaultError> {
        let old = match beginning.stub.clone() {
            Some(stub) => Some(self.keys.verify(self.workspace, stub)?),
            None => None,
        };
        let first = beginning.records.first().and_then(|first| first.opened_after.clone());
        let mut previous = old.as_ref().map_or(first.unwrap_or_default(), |old| old.mac.to_vec());
        let mut number = beginning.cut();
        let mut gone: HashSet<[u8; 32]> = HashSet::new();
        let goes =
            |record: &&Record| record.event.at < self.before && record.number <= beginning.taken;
        for record in beginning.records.iter().take_while(goes) {
            number += 1;
            if record.number != number || !self.keys.fits(record, &previous, number) {
                tracing::error!(
                    stream = %self.stream,
                    number,
                    "the audit trail does not hold here, so nothing is cut off; `keyward audit verify` says more"
                );
                return Ok(None);
            }
            previous = record.mac.to_vec();
            gone.insert(record.mac);
        }
        let Ok(mac) = <[u8; 32]>::try_from(previous) else { return Ok(None) };
        if gone.is_empty() {
            return Ok(None);
        }
        let count = old.as_ref().map_or(0, |old| old.count) + (number - beginning.cut());
        if let Some(old) = &old {
            gone.extend(old.links.iter().copied().chain([old.mac]));
        }
        let others = beginning.openings.iter().filter(|(stream, _)| *stream != self.stream);
        let links = others.filter_map(|(_, after)| <[u8; 32]>::try_from(after.as_slice()).ok());
        let links = links.filter(|link| gone.contains(link)).collect();
        let (workspace, stream) = (self.workspace, self.stream);
        Ok(Some(AuditStub { workspace, stream, number, mac, count, links, cut_at: now }))
    }
}
