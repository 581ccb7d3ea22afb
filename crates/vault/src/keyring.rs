//! The keys that a server holds: the server's own, the root key's, and those of the workspaces that
//! were asked for; and how it follows when another process replaces some of them.

use crate::bytes::{Key, random};
use crate::keys::{RootKeys, ServerKeys};
use crate::ring::{Ring, WorkspaceKeys};
use crate::root::{RootKey, RootKeyError};
use crate::root_file::RootFile;
use crate::vault::VaultError;
use keyward_model::clock::Timestamp;
use keyward_model::id::WorkspaceId;
use keyward_model::tenant::{KeyState, WorkspaceKey};
use keyward_store::{KeysState, ROOT_FINGERPRINT, Store};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Names in the store's table of small values.
const INSTANCE: &str = "instance";
pub(crate) const SERVER_KEY: &str = "server-key";

pub(crate) struct Keyring {
    store: Store,
    instance: [u8; 16],
    server: ServerKeys,
    /// The server key itself, to seal it under a new root key.
    server_key: Key,
    root: RwLock<Arc<RootKeys>>,
    file: RootFile,
    workspaces: RwLock<HashMap<WorkspaceId, Arc<WorkspaceKeys>>>,
    /// The epoch up to which every change of keys has been followed.
    followed: AtomicI64,
    /// Held while keys are read, so that what was read first never replaces what was read later.
    following: tokio::sync::Mutex<()>,
}

impl Keyring {
    /// Finds and checks the keys. On a new database the root key is made (or an existing file taken)
    /// and its fingerprint written down; afterwards exactly that key is asked for.
    pub(crate) async fn unlock(
        store: Store,
        root_key_file: &Path,
        database_directory: &Path,
    ) -> Result<Self, VaultError> {
        let file = RootFile::new(root_key_file, database_directory);
        if read_identity(&store).await?.is_none() {
            adopt_identity(&store, &file).await?;
        }
        let read = store.read(|tx| Ok((tx.keys_state()?, tx.meta(SERVER_KEY)?)));
        let (KeysState { epoch, .. }, sealed) = read.await?;
        let (instance, expected) = read_identity(&store).await?.ok_or(VaultError::Unreadable)?;
        let root_key = file.settle(&expected)?;
        let root = RootKeys::new(&root_key, instance);
        let server_key = match sealed {
            Some(record) => root.open_server_key(&record)?,
            // A database of the first release, before its first new root key.
            None => Key::new(*root_key.0.bytes()),
        };
        Ok(Self {
            following: tokio::sync::Mutex::default(),
            store,
            instance,
            server: ServerKeys::new(&server_key, instance),
            server_key,
            root: RwLock::new(Arc::new(root)),
            file,
            workspaces: RwLock::default(),
            followed: AtomicI64::new(epoch),
        })
    }

    pub(crate) fn server(&self) -> &ServerKeys {
        &self.server
    }

    pub(crate) fn server_key(&self) -> &Key {
        &self.server_key
    }

    pub(crate) fn instance(&self) -> [u8; 16] {
        self.instance
    }

    pub(crate) fn file(&self) -> &RootFile {
        &self.file
    }

    pub(crate) fn root(&self) -> Arc<RootKeys> {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn take_root(&self, root: RootKeys) {
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(root);
    }

    /// Makes the first key generation of a workspace and keeps it at hand.
    pub(crate) fn new_workspace(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<WorkspaceKey, VaultError> {
        let root = self.root();
        let row = root.new_generation((workspace, 1), KeyState::Active, now)?;
        let keys = open_ring(&root, std::slice::from_ref(&row))?;
        self.remember(workspace, keys);
        Ok(row)
    }

    pub(crate) fn cached(&self, workspace: WorkspaceId) -> Option<Arc<WorkspaceKeys>> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(&workspace).cloned()
    }

    /// Wraps the key of a workspace that is not written yet for the root key in use by now.
    pub(crate) async fn rewrap_new_workspace(
        &self,
        row: &WorkspaceKey,
    ) -> Result<WorkspaceKey, VaultError> {
        let before = self.root();
        self.follow().await?;
        before.rewrap(row, &self.root())
    }

    /// The workspace's keys, unwrapped at first use.
    pub(crate) async fn keys(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Arc<WorkspaceKeys>, VaultError> {
        if let Some(keys) = self.cached(workspace) {
            return Ok(keys);
        }
        let _reading = self.following.lock().await;
        let ring = match self.read_ring(workspace).await {
            // The root key may have been changed since.
            Err(VaultError::Unreadable) => {
                self.follow_now().await?;
                self.read_ring(workspace).await?
            }
            other => other?,
        };
        Ok(self.remember(workspace, ring))
    }

    /// Unwraps the keys of all workspaces: a server that has them goes on where a new root key comes
    /// to it later than to the database.
    pub(crate) async fn load_all(&self) -> Result<(), VaultError> {
        let _reading = self.following.lock().await;
        let rows = self.store.read(|tx| tx.all_workspace_keys()).await?;
        let (root, mut outcome) = (self.root(), Ok(()));
        for rows in rows.chunk_by(|one, next| one.workspace == next.workspace) {
            let Some(workspace) = rows.first().map(|row| row.workspace) else { continue };
            if self.cached(workspace).is_some() {
                continue;
            }
            match open_ring(&root, rows) {
                Ok(ring) => drop(self.remember(workspace, ring)),
                // One that somebody damaged must not keep the others from being loaded.
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn remember(&self, workspace: WorkspaceId, ring: Ring) -> Arc<WorkspaceKeys> {
        let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        let keys = || Arc::new(WorkspaceKeys::new(workspace, ring));
        workspaces.entry(workspace).or_insert_with(keys).clone()
    }

    async fn read_ring(&self, workspace: WorkspaceId) -> Result<Ring, VaultError> {
        let rows = self.store.read(move |tx| tx.workspace_keys(workspace)).await?;
        open_ring(&self.root(), &rows)
    }

    /// Looks whether keys were changed, and loads what is new. Gives the epoch up to which that was
    /// done, and whether something was new.
    ///
    /// # Errors
    /// Where the new root key is not in its file yet, or the database cannot be read; then the keys
    /// that are loaded stay in use.
    pub(crate) async fn follow(&self) -> Result<(i64, bool), VaultError> {
        let _reading = self.following.lock().await;
        self.follow_now().await
    }

    async fn follow_now(&self) -> Result<(i64, bool), VaultError> {
        let followed = self.followed.load(Ordering::Acquire);
        let KeysState { epoch, root } = self.store.read(|tx| tx.keys_state()).await?;
        if epoch == followed {
            return Ok((epoch, false));
        }
        let expected = root.ok_or(VaultError::Unreadable)?;
        if expected != self.root().fingerprint() {
            let key = self.file.find(&expected)?;
            self.take_root(RootKeys::new(&key, self.instance));
        }
        let loaded: Vec<Arc<WorkspaceKeys>> = {
            let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
            workspaces.values().cloned().collect()
        };
        let mut outcome = Ok(());
        for keys in loaded {
            let followed = match self.read_ring(keys.workspace).await {
                Ok(ring) => keys.follow(ring),
                // Made here, and not written yet.
                Err(VaultError::NoWorkspaceKey) => Ok(()),
                Err(error) => Err(error),
            };
            outcome = outcome.and(followed);
        }
        outcome?;
        self.followed.fetch_max(epoch, Ordering::AcqRel);
        Ok((epoch, true))
    }
}

fn open_ring(root: &RootKeys, rows: &[WorkspaceKey]) -> Result<Ring, VaultError> {
    let generations = rows.iter().map(|row| root.open(row).map(Arc::new));
    let generations = generations.collect::<Result<Vec<_>, _>>()?;
    Ring::new(generations).ok_or(VaultError::NoWorkspaceKey)
}

/// The instance's id and the fingerprint of the key that sealed it, where the database is not new.
pub async fn read_identity(store: &Store) -> Result<Option<([u8; 16], String)>, VaultError> {
    let (instance, fingerprint) =
        store.read(|tx| Ok((tx.meta(INSTANCE)?, tx.meta(ROOT_FINGERPRINT)?))).await?;
    let instance = instance.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let fingerprint = fingerprint.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(instance.zip(fingerprint))
}

/// Whether the key of that fingerprint waits beside the root key's file, because a change of the
/// root key was cut off there: the next start puts it in its place.
pub fn root_key_waits(path: &Path, database: &Path, expected: &str) -> bool {
    RootFile::new(path, database).find(expected).is_ok()
}

/// Writes the identity of a new database; whoever comes second takes what the first has written.
async fn adopt_identity(store: &Store, file: &RootFile) -> Result<(), VaultError> {
    let root_key = match file.read()? {
        Some(key) => key,
        None => RootKey::create(file.path())?,
    };
    let instance: [u8; 16] = random()?;
    let root = RootKeys::new(&root_key, instance);
    let server_key = root.seal_server_key(&Key::random()?)?;
    let found = root.fingerprint().to_owned();
    let name = found.clone();
    let adopt = store.record(move |tx| {
        if tx.init_meta(INSTANCE, &instance)? == instance {
            tx.init_meta(SERVER_KEY, server_key.as_bytes())?;
        }
        tx.init_meta(ROOT_FINGERPRINT, name.as_bytes())
    });
    let expected = String::from_utf8(adopt.await?).map_err(|_| VaultError::Unreadable)?;
    match expected == found {
        true => Ok(()),
        false => {
            let path = file.path().to_path_buf();
            Err(RootKeyError::Wrong { path, expected, found }.into())
        }
    }
}
