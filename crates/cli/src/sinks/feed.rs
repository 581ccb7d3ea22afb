//! Feeds one sink from the database, each chain in its order. Of several nodes one feeds at a time;
//! where two overlap for a moment, records come twice, never not at all.

use super::pending::{Behind, taken};
use super::{Configured, Pending, Untaken};
use keyward_model::audit::{AuditCursor, Record};
use keyward_model::id::NodeId;
use keyward_store::StoreError;
use keyward_vault::{Vault, VaultError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Records in one delivery; the next one is read only after it was taken.
const BATCH: u32 = 200;
/// For how long a node feeds before another may.
const LEASE: Duration = Duration::from_secs(10);
/// Between attempts: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Feeds until the task is dropped.
pub(super) async fn run(
    sink: Arc<Configured>,
    vault: Vault,
    node: NodeId,
    mut told: watch::Receiver<Arc<Pending>>,
) {
    let mut feeder = Feeder { sink, vault, node, held: None, failing: None };
    let mut pause = PAUSES.0;
    loop {
        let pending = told.borrow_and_update().clone();
        match feeder.feed(&pending).await {
            Ok(true) => pause = PAUSES.0,
            Ok(false) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Err(error) => {
                tracing::warn!(sink = feeder.sink.place, %error, "audit sink not fed");
                tokio::time::sleep(PAUSES.1).await;
            }
        }
        if told.changed().await.is_err() {
            return;
        }
    }
}

struct Feeder {
    sink: Arc<Configured>,
    vault: Vault,
    node: NodeId,
    /// When the lease was last taken.
    held: Option<Instant>,
    /// Whether the database says that the sink fails; unknown at first.
    failing: Option<bool>,
}

impl Feeder {
    /// Brings what waits; false where the sink did not take it.
    async fn feed(&mut self, pending: &Pending) -> Result<bool, VaultError> {
        for behind in &pending.chains {
            if !self.hold().await? {
                return Ok(true);
            }
            if !self.feed_chain(*behind).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn feed_chain(&mut self, mut behind: Behind) -> Result<bool, VaultError> {
        // What was looked at may have been taken since.
        behind.after = taken(&self.vault, &self.sink.name, behind).await?;
        while self.hold().await? {
            let records = match self.read(behind).await {
                Ok(records) if records.is_empty() => return Ok(true),
                Ok(records) => Ok(records),
                Err(StoreError::Corrupt { .. }) => Err(Untaken::Unreadable),
                Err(error) => return Err(error.into()),
            };
            let taken = match &records {
                Ok(records) => self.sink.deliver(records).await,
                Err(_) => Err(Untaken::Unreadable),
            };
            if let Err(error) = taken {
                self.failed(&error).await?;
                return Ok(false);
            }
            let records = records.unwrap_or_default();
            let Some(last) = records.last() else { return Ok(true) };
            behind.after = last.number;
            self.keep(behind).await?;
            self.sink.sent.fetch_add(records.len() as u64, Ordering::Relaxed);
            self.succeeded().await?;
        }
        Ok(true)
    }

    /// The next records; one that cannot be read does not keep those before it back.
    async fn read(&self, behind: Behind) -> Result<Vec<Record>, StoreError> {
        let Behind { workspace, stream, after } = behind;
        let read = move |limit| {
            self.vault.store().read(move |tx| tx.audit_records(workspace, stream, after, limit))
        };
        match read(BATCH).await {
            Err(StoreError::Corrupt { .. }) => read(1).await,
            read => read,
        }
    }

    async fn keep(&self, behind: Behind) -> Result<(), VaultError> {
        let Behind { workspace, stream, after: number } = behind;
        let keys = self.vault.audit_keys(&[workspace]).await?;
        let cursor = AuditCursor { workspace, sink: self.sink.name.clone(), stream, number };
        let cursor = keys.sign(workspace, cursor)?;
        Ok(self.vault.store().record(move |tx| tx.put_audit_cursor(&cursor)).await?)
    }

    /// Takes or keeps the lease.
    async fn hold(&mut self) -> Result<bool, VaultError> {
        if self.held.is_some_and(|held| held.elapsed() < LEASE / 2) {
            return Ok(true);
        }
        let (name, node, now) = (self.sink.name.clone(), self.node, self.vault.now());
        let until = now.plus_millis(i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX));
        let begun = Instant::now();
        let hold = self.vault.store().record(move |tx| tx.hold_audit_sink(&name, node, now, until));
        let held = hold.await?;
        self.held = held.then_some(begun);
        if !held {
            self.failing = None;
        }
        Ok(held)
    }

    async fn failed(&mut self, error: &Untaken) -> Result<(), VaultError> {
        self.sink.failures.fetch_add(1, Ordering::Relaxed);
        let text = error.to_string();
        if self.sink.replace_failure(Some(text.clone())).as_ref() != Some(&text) {
            tracing::error!(
                sink = self.sink.place,
                kind = self.sink.kind(),
                required = self.sink.required,
                error = %text,
                "audit sink does not take records"
            );
        }
        self.say(true).await
    }

    async fn succeeded(&mut self) -> Result<(), VaultError> {
        if self.sink.replace_failure(None).is_some() {
            tracing::info!(sink = self.sink.place, "audit sink takes records again");
        }
        self.say(false).await
    }

    /// Says it to every node, once.
    async fn say(&mut self, failing: bool) -> Result<(), VaultError> {
        if self.failing == Some(failing) {
            return Ok(());
        }
        let (name, node) = (self.sink.name.clone(), self.node);
        let since = failing.then(|| self.vault.now());
        let say =
            move |tx: &mut keyward_store::RunTx<'_>| tx.set_audit_sink_failing(&name, node, since);
        self.vault.store().record(say).await?;
        self.failing = Some(failing);
        Ok(())
    }
}
