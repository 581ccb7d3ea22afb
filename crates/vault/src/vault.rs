//! The vault: unlocked keys, signed rows, tokens, and the entry to runs.

use crate::bytes::sha256;
use crate::gate::AuditGate;
use crate::keyring::Keyring;
use crate::keys::ServerKeys;
use crate::ring::WorkspaceKeys;
use crate::root::RootKeyError;
use crate::token::{NewToken, TokenKind};
use keyward_egress::Client;
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::{CredentialId, Identifier, WorkspaceId};
use keyward_model::mask::Needles;
use keyward_model::tag::{Granting, Tagged};
use keyward_model::tenant::WorkspaceKey;
use keyward_store::{Store, StoreError};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// What can go wrong in the vault. No text holds key material or a value.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A sealed record does not open: another key, altered, or moved.
    #[error("a sealed record cannot be opened")]
    Unreadable,
    /// A granting row without a valid tag.
    #[error(transparent)]
    Tampered(#[from] keyward_model::tag::Tampered),
    /// The operating system gave no random bytes.
    #[error("the operating system's random generator failed")]
    Randomness,
    /// The root key is missing, wrong or unfit.
    #[error(transparent)]
    Root(#[from] RootKeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A workspace that has no key.
    #[error("the workspace has no key")]
    NoWorkspaceKey,
}

/// Names in the store's table of small values.
const INSTANCE: &str = "instance";
const FINGERPRINT: &str = "root-key-fingerprint";

/// The unlocked vault of one server. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    egress: Client,
    clock: Clock,
    server: ServerKeys,
    fingerprint: String,
    audit_gate: AuditGate,
    workspaces: RwLock<HashMap<WorkspaceId, Arc<WorkspaceKeys>>>,
    needles: Mutex<HashMap<NeedleKey, CachedNeedles>>,
}

/// The credential, and the value's SHA-256: a value computed from a secret can be another each time.
type NeedleKey = (CredentialId, [u8; 32]);
type CachedNeedles = (Timestamp, Arc<Needles>);
/// How long needles are kept for the next run.
const NEEDLES_MILLIS: i64 = 60_000;

impl Vault {
    /// Unlocks the vault. On a new database the root key is made (or an existing file taken) and its
    /// fingerprint written down; afterwards exactly that key is asked for.
    pub async fn unlock(
        store: Store,
        egress: Client,
        clock: Clock,
        root_key_file: &Path,
        database_directory: &Path,
    ) -> Result<Self, VaultError> {
        let sealed_by = read_identity(&store).await?;
        let found = RootKey::read(root_key_file, database_directory)?;
        let (root, instance) = match (sealed_by, found) {
            (Some((instance, expected)), found) => {
                (expect_root(root_key_file, expected, found)?, instance)
            audit_gate: AuditGate::default(),
            }
            (None, Some(root)) => (root, random()?),
            (None, None) => (RootKey::create(root_key_file)?, random()?),
        };
        let fingerprint = root.fingerprint();
        let instance = adopt_identity(&store, instance, &fingerprint, root_key_file).await?;
        let server = ServerKeys::new(&root, instance);
        let vault = Self(Arc::new(Inner {
            store: store.clone(),
            egress,
            clock,
            server,
            fingerprint,
            workspaces: RwLock::default(),
            needles: Mutex::default(),
        }));
        let armed = Arc::downgrade(&vault.0);
        store.arm(Arc::new(move |workspace, previous, number, event| {
            let keys = armed.upgrade()?.cached(*workspace)?;
            Some(keys.audit_mac(previous, number, event))
        }));
        Ok(vault)
    }

    /// The fingerprint of the root key in use.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What audit sinks say to releasing values.
    pub fn audit_gate(&self) -> &AuditGate {
        &self.0.audit_gate
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// A new identifier.
    pub fn fresh<T: Identifier>(&self) -> T {
        crate::bytes::fresh_id(self.now())
    }

    pub(crate) fn egress(&self) -> &Client {
        &self.0.egress
    }

    /// Makes the key of a new workspace and keeps it at hand; the caller writes the row with the
    /// workspace.
    pub fn new_workspace(&self, workspace: WorkspaceId) -> Result<WorkspaceKey, VaultError> {
        let (row, keys) = self.0.server.new_workspace_key(workspace, self.now())?;
        self.0.remember(workspace, keys);
        Ok(row)
    }

    /// The workspace's keys, unwrapped at first use.
    pub(crate) async fn keys(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Arc<WorkspaceKeys>, VaultError> {
        if let Some(keys) = self.0.cached(workspace) {
            return Ok(keys);
        }
        let rows = self.0.store.read(move |tx| tx.workspace_keys(workspace)).await?;
        let newest = rows.iter().max_by_key(|row| row.generation);
        let row = newest.ok_or(VaultError::NoWorkspaceKey)?;
        Ok(self.0.remember(workspace, self.0.server.open_workspace_key(row)?))
    }

    /// Makes sure that the workspace's keys are at hand, so that its audit events can be chained.
    pub async fn load(&self, workspace: WorkspaceId) -> Result<(), VaultError> {
        self.keys(workspace).await.map(|_| ())
    }

    /// Signs a row that grants something.
    pub async fn sign<T: Granting>(
        &self,
        workspace: WorkspaceId,
        row: T,
    ) -> Result<Tagged<T>, VaultError> {
        Ok(self.keys(workspace).await?.sign(row))
    }

    /// Checks a stored row's tag and gives the row.
    pub async fn verify<T: Granting>(
        &self,
        workspace: WorkspaceId,
        row: Tagged<T>,
    ) -> Result<T, VaultError> {
        Ok(self.keys(workspace).await?.verify(row)?)
    }

    /// Checks one record of an audit chain.
    pub async fn audit_mac(
        &self,
        workspace: WorkspaceId,
        previous: &[u8],
        number: i64,
        event: &[u8],
    ) -> Result<[u8; 32], VaultError> {
        Ok(self.keys(workspace).await?.audit_mac(previous, number, event))
    }

    /// A new bearer token with the hash under which it is stored.
    pub fn new_token(&self, kind: TokenKind) -> Result<(NewToken, [u8; 32]), VaultError> {
        let token = NewToken::generate(kind)?;
        let hash = self.token_hash(kind, token.reveal());
        Ok((token, hash))
    }

    /// The hash under which a token is stored.
    pub fn token_hash(&self, kind: TokenKind, token: &str) -> [u8; 32] {
        self.0.server.token_hash(kind.purpose(), token)
    }

    pub(crate) fn server(&self) -> &ServerKeys {
        &self.0.server
    }

    pub(crate) fn pepper(&self) -> [u8; 32] {
        self.0.server.pepper()
    }

    /// Authenticates the anchor file's content.
    pub(crate) fn anchor_mac(&self, content: &[u8]) -> [u8; 32] {
        self.0.server.anchor_mac(content)
    }

    /// The needles of a value, from the cache where they are young enough.
    pub(crate) fn needles(&self, credential: CredentialId, value: &[u8]) -> Arc<Needles> {
        let (now, key) = (self.now(), (credential, sha256(value)));
        let lock = || self.0.needles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, needles)) = lock().get(&key) {
            return needles.clone();
        }
        let needles = Arc::new(Needles::build(value));
        let mut cache = lock();
        cache.retain(|_, (at, _)| at.plus_millis(NEEDLES_MILLIS) > now);
        cache.insert(key, (now, needles.clone()));
        needles
    }

    /// Drops needles whose minute is over; called once in a while by the composition root.
    pub fn forget_old_needles(&self) {
        let now = self.now();
        let mut cache = self.0.needles.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (at, _)| at.plus_millis(NEEDLES_MILLIS) > now);
    }
}

impl Inner {
    fn cached(&self, workspace: WorkspaceId) -> Option<Arc<WorkspaceKeys>> {
        let workspaces = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        workspaces.get(&workspace).cloned()
    }

    fn remember(&self, workspace: WorkspaceId, keys: WorkspaceKeys) -> Arc<WorkspaceKeys> {
        let mut workspaces = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        workspaces.entry(workspace).or_insert_with(|| Arc::new(keys)).clone()
    }
}

/// The instance's id and the fingerprint of the key that sealed it, where the database is not new.
pub async fn read_identity(store: &Store) -> Result<Option<([u8; 16], String)>, VaultError> {
    let (instance, fingerprint) =
        store.read(|tx| Ok((tx.meta(INSTANCE)?, tx.meta(FINGERPRINT)?))).await?;
    let instance = instance.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let fingerprint = fingerprint.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(instance.zip(fingerprint))
}

fn expect_root(
    path: &Path,
    expected: String,
    found: Option<RootKey>,
) -> Result<RootKey, VaultError> {
    let path = path.to_path_buf();
    let Some(root) = found else { return Err(RootKeyError::Missing { path, expected }.into()) };
    let found = root.fingerprint();
    if found != expected {
        return Err(RootKeyError::Wrong { path, expected, found }.into());
    }
    Ok(root)
}

/// Writes the identity of a new database; whoever comes second takes what the first has written.
async fn adopt_identity(
    store: &Store,
    instance: [u8; 16],
    fingerprint: &str,
    path: &Path,
) -> Result<[u8; 16], VaultError> {
    let name = fingerprint.to_owned();
    store
        .record(move |tx| {
            tx.init_meta(INSTANCE, &instance)?;
            tx.init_meta(FINGERPRINT, name.as_bytes()).map(drop)
        })
        .await?;
    match read_identity(store).await? {
        Some((instance, expected)) if expected == fingerprint => Ok(instance),
        Some((_, expected)) => {
            let (path, found) = (path.to_path_buf(), fingerprint.to_owned());
            Err(RootKeyError::Wrong { path, expected, found }.into())
        }
        None => Err(VaultError::Unreadable),
    }
}
