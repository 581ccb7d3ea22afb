//! This node's lease: heartbeats while it lives, and the runs of nodes that do not.

use crate::no_store::context;
use crate::runner::Drive;
use crate::withheld::Hidden;
use crate::{Engine, EngineError};
use keyward_model::error::StepErrorCode;
use keyward_model::mask::Masked;
use keyward_model::run::{RunEnd, RunStatus};
use keyward_store::{Owned, StoreError};
use keyward_vault::VaultError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// A node that has not said so for this long has lost its runs.
const LEASE_MILLIS: i64 = 10_000;
/// A node stops beginning steps this long before others may take its runs.
const MARGIN_MILLIS: i64 = 2_000;

/// When this node last said that it lives, and was heard.
pub(crate) struct Lease(AtomicI64, std::time::Instant);

impl Lease {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(0), std::time::Instant::now())
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.1.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn renew(&self) {
        self.0.store(self.elapsed(), Ordering::SeqCst);
    }

    /// Waits until the lease is fresh: no step begins that another node may begin too.
    pub(crate) async fn hold(&self) {
        while self.elapsed() - self.0.load(Ordering::SeqCst) > LEASE_MILLIS - MARGIN_MILLIS {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Engine {
    /// Takes up the unfinished runs of this node's earlier life. Called once, before events are taken.
    pub async fn resume(&self) -> Result<usize, EngineError> {
        self.beat().await?;
        self.take_over(vec![self.node()]).await
    }

    /// Keeps the lease, and where this node `adopts` takes up the runs of dead ones, until the task
    /// is dropped.
    pub async fn keep_lease(self, adopts: bool) {
        loop {
            tokio::time::sleep(BEAT).await;
            let kept = if adopts { self.beat_and_adopt().await } else { self.beat().await };
            if let Err(error) = kept {
                tracing::warn!(%error, "heartbeat not written");
            }
        }
    }

    async fn beat_and_adopt(&self) -> Result<(), EngineError> {
        self.beat().await?;
        let before = self.vault().now().plus_millis(-LEASE_MILLIS);
        let dead = self.vault().store().read(move |tx| tx.dead_nodes(before)).await?;
        let dead: Vec<_> = dead.into_iter().filter(|node| *node != self.node()).collect();
        if !dead.is_empty() {
            let count = self.take_over(dead).await?;
            tracing::info!(count, "runs of a dead node taken up");
        }
        Ok(())
    }

    async fn beat(&self) -> Result<(), EngineError> {
        let (node, now) = (self.node(), self.vault().now());
        self.vault().store().record(move |tx| tx.heartbeat(node, now)).await?;
        self.0.lease.renew();
        Ok(())
    }

    async fn take_over(&self, dead: Vec<keyward_model::id::NodeId>) -> Result<usize, EngineError> {
        let mut count = 0;
        for from in dead {
            let to = self.node();
            let runs = self
                .vault()
                .store()
                .record(move |tx| {
                    let runs = tx.take_over(from, to)?;
                    if from != to {
                        tx.delete_node(from)?;
                    }
                    Ok(runs)
                })
                .await?;
            count += runs.len();
            for run in runs {
                let engine = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = engine.continue_run(run).await {
                        tracing::error!(run = %run.run, %error, "run cannot be continued");
                        engine.end_where_hopeless(run, &error).await;
                    }
                });
            }
        }
        Ok(count)
    }

    /// Ends a run whose workflow is gone or was tampered with; after other errors it is taken up again.
    async fn end_where_hopeless(&self, run: Owned, error: &EngineError) {
        let hopeless = matches!(
            error,
            EngineError::VersionGone
                | EngineError::Vault(VaultError::Tampered(_) | VaultError::Unreadable)
                | EngineError::Store(StoreError::Corrupt { .. })
        );
        if !hopeless {
            return;
        }
        let end = RunEnd {
            status: RunStatus::Failed,
            error_code: Some(StepErrorCode::Interrupted),
            error_message: Some(Masked::from_static(
                "the server stopped, and the run's workflow is gone or cannot be read",
            )),
            error_step: None,
            finished_at: self.vault().now(),
        };
        let ended = self.vault().store().record(move |tx| tx.end_run(&run, &end)).await;
        if let Err(error) = ended {
            tracing::error!(run = %run.run, %error, "run cannot be ended");
        }
    }

    async fn continue_run(&self, owned: Owned) -> Result<(), EngineError> {
        let Owned { workspace, run: id, .. } = owned;
        let read = self.vault().store().read(move |tx| {
            let Some(run) = tx.run(workspace, id)? else { return Err(StoreError::LostRun) };
            Ok((tx.workflow(workspace, run.workflow)?, tx.steps(workspace, id)?, run))
        });
        let (head, steps, run) = read.await?;
        let head = self.vault().verify(workspace, head.ok_or(EngineError::VersionGone)?).await?;
        let at = context(workspace, run.workflow, id, &run.starter);
        let trigger = self.vault().open_row(&at, run.trigger).await?;
        let records = self.to_read(&at, steps).await?;
        let drive = Drive {
            owned,
            workflow: run.workflow,
            starter: run.starter,
            member: run.member,
            trigger: trigger.into(),
            hidden: Hidden::of(run.no_store, run.withheld),
            compiled: self.compiled(&head, run.version).await?,
        };
        self.drive(drive, records).await;
        Ok(())
    }
}
