//! The vault: unlocked keys, signed rows, tokens, and the entry to runs.

use crate::apps::Apps;
use crate::bytes::sha256;
use crate::gate::AuditGate;
use crate::keyring::Keyring;
use crate::keys::ServerKeys;
use crate::link::Links;
use crate::ring::WorkspaceKeys;
use crate::root::RootKeyError;
use crate::session::{Fallbacks, Sessions};
use crate::sources::Sources;
use crate::token::{NewToken, TokenKind};
use keyward_egress::Client;
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::credential::Sealed;
use keyward_model::id::{CredentialId, Identifier, WorkspaceId};
use keyward_model::mask::Needles;
use keyward_model::tag::{Granting, Tagged};
use keyward_model::tenant::WorkspaceKey;
use keyward_store::{Audited, ROOT_KEY, Store, StoreError, Tx};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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
    /// The database holds older keys than this process has loaded: somebody put rows back.
    #[error("the database holds older keys of a workspace than before")]
    KeysWentBack,
    /// More secrets in one run than are kept of it.
    #[error("a run may receive at most 10,000 secret values")]
    TooMany,
    /// A sealed value inside an encoding, where it cannot be filled in.
    #[error(
        "a sealed value stands inside base64, where it cannot be filled in; let the app, or an \
         Authorization header, join user and password (placeholder_encoded)"
    )]
    EncodedPlaceholder,
    /// A workspace that has no key.
    #[error("the workspace has no key")]
    NoWorkspaceKey,
}

/// The unlocked vault of one server. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Store,
    egress: Client,
    clock: Clock,
    keys: Keyring,
    needles: Mutex<HashMap<NeedleKey, CachedNeedles>>,
    audit_gate: AuditGate,
    apps: Apps,
    sessions: Sessions,
    sources: Sources,
    fallbacks: Fallbacks,
    links: Links,
    sqlite_folder: OnceLock<PathBuf>,
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
        let keys = Keyring::unlock(store.clone(), root_key_file, database_directory).await?;
        let vault = Self(Arc::new(Inner {
            store: store.clone(),
            egress,
            clock,
            keys,
            needles: Mutex::default(),
            audit_gate: AuditGate::default(),
            apps: Apps::default(),
            sessions: Sessions::default(),
            sources: Sources::default(),
            fallbacks: Fallbacks::default(),
            links: Links::default(),
            sqlite_folder: OnceLock::new(),
        }));
        let armed = Arc::downgrade(&vault.0);
        store.arm(Arc::new(move |workspace, previous, number, event| {
            let keys = armed.upgrade()?.keys.cached(*workspace)?;
            Some(keys.audit_mac(previous, number, event))
        }));
        Ok(vault)
    }

    /// The fingerprint of the root key in use.
    pub fn fingerprint(&self) -> String {
        self.0.keys.root().fingerprint().to_owned()
    }

    /// The store beneath.
    pub fn store(&self) -> &Store {
        &self.0.store
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

    /// What audit sinks say to releasing values.
    pub fn audit_gate(&self) -> &AuditGate {
        &self.0.audit_gate
    }

    pub(crate) fn apps_slot(&self) -> &Apps {
        &self.0.apps
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.0.sources
    }

    pub(crate) fn fallbacks(&self) -> &Fallbacks {
        &self.0.fallbacks
    }

    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }

    /// Names the folder whose SQLite files steps may read; called once by the composition root.
    pub fn open_sqlite_folder(&self, folder: PathBuf) {
        if self.0.sqlite_folder.set(folder).is_err() {
            tracing::warn!("the folder of SQLite files was named twice; the first one stays");
        }
    }

    pub(crate) fn sqlite_folder(&self) -> Option<&Path> {
        self.0.sqlite_folder.get().map(PathBuf::as_path)
    }

    pub(crate) fn egress(&self) -> &Client {
        &self.0.egress
    }

    /// Makes the key of a new workspace and keeps it at hand; `write_workspace` writes it.
    pub fn new_workspace(&self, workspace: WorkspaceId) -> Result<WorkspaceKey, VaultError> {
        self.0.keys.new_workspace(workspace, self.now())
    }

    /// Writes a new workspace's key together with what the closure writes. Where the root key was
    /// changed meanwhile, the key is wrapped anew for that one.
    ///
    /// # Errors
    /// What the closure gave, or what the database says.
    pub async fn write_workspace<T, F>(&self, key: WorkspaceKey, write: F) -> Result<T, VaultError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Audited<T>, StoreError> + Clone + Send + 'static,
    {
        let attempt = async |key: WorkspaceKey| {
            let mut write = write.clone();
            let write = move |tx: &mut Tx<'_>| {
                tx.insert_workspace_key(&key)?;
                write(tx)
            };
            self.store().write(write).await.map(|(value, _)| value)
        };
        match attempt(key.clone()).await {
            Err(StoreError::Conflict { what: ROOT_KEY }) => {
                let key = self.0.keys.rewrap_new_workspace(&key).await?;
                Ok(attempt(key).await?)
            }
            other => Ok(other?),
        }
    }

    /// Looks whether another process replaced keys, and loads what is new; called once a second by
    /// the composition root. Gives the epoch up to which all changes have been followed.
    ///
    /// # Errors
    /// Where the new root key is not in its file yet, or the database cannot be read; then the keys
    /// that are loaded stay in use.
    pub async fn follow_keys(&self) -> Result<i64, VaultError> {
        Ok(self.0.keys.follow().await?.0)
    }

    /// Loads the keys of all workspaces; called at start by the composition root.
    ///
    /// # Errors
    /// Where the database cannot be read, or a key in it does not open.
    pub async fn load_keys(&self) -> Result<(), VaultError> {
        self.0.keys.load_all().await
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.0.keys
    }

    /// The workspace's keys, unwrapped at first use.
    pub(crate) async fn keys(
        &self,
        workspace: WorkspaceId,
    ) -> Result<Arc<WorkspaceKeys>, VaultError> {
        self.0.keys.keys(workspace).await
    }

    /// The same, for opening that record: a generation that was added since comes along.
    pub(crate) async fn keys_for(
        &self,
        workspace: WorkspaceId,
        record: &Sealed,
    ) -> Result<Arc<WorkspaceKeys>, VaultError> {
        let keys = self.keys(workspace).await?;
        if keys.of(record.as_bytes()).is_err() {
            self.0.keys.follow().await?;
        }
        Ok(keys)
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
        let keys = self.keys(workspace).await?;
        if !keys.vouch_for(&row) {
            // Perhaps signed under a generation that was added since.
            self.0.keys.follow().await?;
        }
        Ok(keys.verify(row)?)
    }

    /// What authenticates a record of an audit chain that is written now.
    pub async fn audit_mac(
        &self,
        workspace: WorkspaceId,
        previous: &[u8],
        number: i64,
        event: &[u8],
    ) -> Result<[u8; 32], VaultError> {
        Ok(self.keys(workspace).await?.audit_mac(previous, number, event))
    }

    /// What authenticates a stored record of an audit chain: under the key generation that gave
    /// `found`, if any did that was in use at the record's time, or else under the newest.
    pub async fn audit_mac_like(
        &self,
        workspace: WorkspaceId,
        (found, at): (&[u8], Option<Timestamp>),
        (previous, number, event): (&[u8], i64, &[u8]),
    ) -> Result<[u8; 32], VaultError> {
        let keys = self.keys(workspace).await?;
        Ok(keys.audit_mac_like(found, at, (previous, number, event)))
    }

    /// A new bearer token with the hash under which it is stored.
    pub fn new_token(&self, kind: TokenKind) -> Result<(NewToken, [u8; 32]), VaultError> {
        let token = NewToken::generate(kind)?;
        let hash = self.token_hash(kind, token.reveal());
        Ok((token, hash))
    }

    /// The hash under which a token is stored.
    pub fn token_hash(&self, kind: TokenKind, token: &str) -> [u8; 32] {
        self.0.keys.server().token_hash(kind.purpose(), token)
    }

    pub(crate) fn server(&self) -> &ServerKeys {
        self.0.keys.server()
    }

    pub(crate) fn pepper(&self) -> [u8; 32] {
        self.0.keys.server().pepper()
    }

    /// Authenticates the anchor file's content.
    pub(crate) fn anchor_mac(&self, content: &[u8]) -> [u8; 32] {
        self.0.keys.server().anchor_mac(content)
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
        drop(cache);
        self.0.sessions.forget_old();
        self.0.links.forget_old();
    }
}
