//! A vault over a fresh database, for tests.

use crate::setup::{NewOwner, create_owner};
use keyward_egress::{Client, Options};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::WorkspaceId;
use keyward_store::{Store, Target};
use keyward_vault::Vault;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A time that tests move.
#[derive(Clone)]
pub(crate) struct Time(Arc<AtomicI64>);

impl Time {
    /// 2026-01-01T00:00:00Z.
    pub(crate) fn start() -> Self {
        Self(Arc::new(AtomicI64::new(1_767_225_600_000)))
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

/// A vault whose database and root key lie in that folder.
pub(crate) async fn vault(home: &Path, time: &Time) -> Vault {
    let database = home.join("db");
    let store = Store::open(&Target::Sqlite(database.join("keyward.db"))).expect("a database");
    let egress = Client::new(Options::default()).expect("a client");
    let now = time.0.clone();
    let clock = Clock::new(move || Timestamp::from_millis(now.load(Ordering::Relaxed)));
    let key = home.join("keys").join("root.key");
    Vault::unlock(store, egress, clock, &key, &database).await.expect("a vault")
}

/// An owner's workspace.
pub(crate) async fn workspace(vault: &Vault) -> WorkspaceId {
    let (email, workspace) = ("a@b.c".into(), "test".into());
    create_owner(vault, NewOwner { email, workspace, password: None }).await.expect("an owner");
    let found = vault.store().read(|tx| tx.workspace_by_slug("test")).await;
    found.expect("an answer").expect("a workspace").id
}
