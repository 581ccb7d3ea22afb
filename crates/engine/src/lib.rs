//! Drives runs: accepts events, executes steps, stores what came out.

mod accept;
mod audit_retention;
mod cancel;
mod compiled;
mod counters;
mod explain;
mod held_up;
mod live;
mod no_store;
mod node;
mod rename;
mod retention;
mod retry;
mod runner;
mod save;
mod shred;
mod steps;
mod withheld;

pub use accept::{Accepted, Event, RetryOf};
pub use audit_retention::cut_audit;
pub use compiled::CompiledWorkflow;
pub use counters::Counters;
pub use explain::Asked;
pub use live::{Live, LiveEvent, LiveRuns};
pub use retry::RetryError;
pub use runner::Ended;
pub use save::{Checked, SaveError};

use keyward_model::id::NodeId;
use keyward_model::saved_workflow::Workflow;
use keyward_sandbox::{Sandbox, SandboxError};
use keyward_store::StoreError;
use keyward_vault::{Vault, VaultError};
use std::sync::Arc;

/// What keeps the engine from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A version that a run needs is not there or cannot be read.
    #[error("the workflow's version cannot be read")]
    VersionGone,
    /// The server is stopping.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Runs workflows on this node. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    vault: Vault,
    sandbox: Sandbox,
    node: NodeId,
    cache: compiled::Cache,
    live: LiveRuns,
    lease: node::Lease,
    counters: Counters,
}

impl Engine {
    /// An engine that owns its runs as `node`.
    pub fn new(vault: Vault, sandbox: Sandbox, node: NodeId) -> Self {
        let lease = node::Lease::new();
        let (cache, live, counters) = Default::default();
        Self(Arc::new(Inner { vault, sandbox, node, cache, live, lease, counters }))
    }

    /// The vault beneath.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// The sandbox that runs code steps.
    pub fn sandbox(&self) -> &Sandbox {
        &self.0.sandbox
    }

    /// What this node has done since its start.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// The sandbox's walls by name, and whether each stands.
    pub fn walls(&self) -> Vec<(&'static str, bool)> {
        let walls = self.0.sandbox.walls();
        walls.iter().map(|wall| (wall.name.as_str(), wall.missing.is_none())).collect()
    }

    /// Runs under way on this node.
    pub fn live(&self) -> &LiveRuns {
        &self.0.live
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// A version ready to run.
    pub async fn compiled(
        &self,
        head: &Workflow,
        version: i64,
    ) -> Result<Arc<CompiledWorkflow>, EngineError> {
        self.0.cache.get(&self.0.vault, head, version).await
    }
}
