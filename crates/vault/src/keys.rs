//! The key hierarchy: root key -> wrapping key -> workspace keys -> one derived key per purpose; and
//! the server's own key, which survives a new root key. Every HKDF label of the product stands in
//! this file.

use crate::bytes::{Key, random};
use crate::ring::Generation;
use crate::root::RootKey;
use crate::seal::{self, Aad};
use crate::vault::VaultError;
use keyward_model::clock::Timestamp;
use keyward_model::credential::Sealed;
use keyward_model::id::{Identifier as _, KeyId, RunId, WorkspaceId};
use keyward_model::tag::Tag;
use keyward_model::tenant::{KeyState, WorkspaceKey};
use zeroize::Zeroizing;

/// The key of one backup file, whose salt stands in its header.
pub(crate) fn backup_key(root: &RootKey, salt: &[u8]) -> Key {
    root.0.derive(salt, "backup", b"")
}

/// Keys of the whole server, derived from the server key with the instance's id as salt. They
/// survive a new root key, because what they made cannot be made again: hashes of tokens and
/// passwords.
pub(crate) struct ServerKeys {
    tokens: Key,
    anchor: Key,
    pepper: Key,
    accounts: Key,
    account_secrets: Key,
    sign_in: Key,
}

impl ServerKeys {
    pub(crate) fn new(server: &Key, instance: [u8; 16]) -> Self {
        let derive = |purpose| server.derive(&instance, purpose, b"");
        Self {
            tokens: derive("tokens"),
            anchor: derive("anchor"),
            pepper: derive("pepper"),
            accounts: derive("accounts"),
            account_secrets: derive("account-secrets"),
            sign_in: derive("sign-in"),
        }
    }

    /// Names what a bearer token is for and hashes it: tokens are stored in this form alone.
    pub(crate) fn token_hash(&self, purpose: &str, token: &str) -> [u8; 32] {
        self.tokens.mac(&[purpose.as_bytes(), &[0], token.as_bytes()])
    }

    /// Argon2's secret input.
    pub(crate) fn pepper(&self) -> [u8; 32] {
        *self.pepper.bytes()
    }

    /// Authenticates rows of the whole server: accounts and sessions.
    pub(crate) fn account_tag(&self, bytes: &[u8]) -> Tag {
        self.accounts.mac(&[bytes])
    }

    /// Seals what an account keeps secret, such as the secret of its one-time codes.
    pub(crate) fn account_secrets(&self) -> &Key {
        &self.account_secrets
    }

    /// Seals what a browser keeps while its person signs in at the provider.
    pub(crate) fn sign_in(&self) -> &Key {
        &self.sign_in
    }

    /// Authenticates the anchor file.
    pub(crate) fn anchor_mac(&self, content: &[u8]) -> [u8; 32] {
        self.anchor.mac(&[content])
    }
}

/// What the root key does: it wraps the workspace keys and the server key, and nothing else.
pub(crate) struct RootKeys {
    salt: [u8; 16],
    wrapping: Key,
    fingerprint: String,
}

impl RootKeys {
    pub(crate) fn new(root: &RootKey, instance: [u8; 16]) -> Self {
        Self {
            salt: instance,
            wrapping: root.0.derive(&instance, "wrapping", b""),
            fingerprint: root.fingerprint(),
        }
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Seals the server key for the table of small values.
    pub(crate) fn seal_server_key(&self, key: &Key) -> Result<Sealed, VaultError> {
        seal::seal(&self.wrapping, [0; 16], &self.server_key_aad(), key.bytes())
    }

    /// Opens the stored server key.
    pub(crate) fn open_server_key(&self, record: &[u8]) -> Result<Key, VaultError> {
        let opened = seal::open(&self.wrapping, [0; 16], &self.server_key_aad(), record)?;
        Key::from_slice(&opened).ok_or(VaultError::Unreadable)
    }

    fn server_key_aad(&self) -> Aad {
        let mut aad = Aad::new("keyward/server-key/v1");
        aad.part(&self.salt);
        aad
    }

    /// Makes a generation of a workspace's key.
    pub(crate) fn new_generation(
        &self,
        (workspace, number): (WorkspaceId, i64),
        state: KeyState,
        now: Timestamp,
    ) -> Result<WorkspaceKey, VaultError> {
        let row = WorkspaceKey {
            workspace,
            id: KeyId::from_bytes(random()?),
            generation: number,
            state,
            root: self.fingerprint.clone(),
            wrapped: Vec::new(),
            created_at: now,
        };
        self.wrap(row, Key::random()?.bytes())
    }

    /// Unwraps a stored generation.
    pub(crate) fn open(&self, row: &WorkspaceKey) -> Result<Generation, VaultError> {
        let plain = self.unwrap(row)?;
        let (id, number) = (row.id, row.generation);
        if row.state == KeyState::Retired {
            return Generation::retired(id, number, &plain).ok_or(VaultError::Unreadable);
        }
        let key = Key::from_slice(&plain).ok_or(VaultError::Unreadable)?;
        let derive = |purpose: &str| key.derive(&self.salt, purpose, row.workspace.as_bytes());
        Ok(Generation::live((id, number), row.state == KeyState::Active, derive))
    }

    /// The same generation in another state, which its record is bound to.
    pub(crate) fn restate(
        &self,
        row: &WorkspaceKey,
        state: KeyState,
    ) -> Result<WorkspaceKey, VaultError> {
        let plain = self.unwrap(row)?;
        self.wrap(WorkspaceKey { state, root: self.fingerprint.clone(), ..row.clone() }, &plain)
    }

    /// What is left of a generation that opens nothing any more.
    pub(crate) fn retire(
        &self,
        row: &WorkspaceKey,
        generation: &Generation,
        now: Timestamp,
    ) -> Result<WorkspaceKey, VaultError> {
        let (state, root) = (KeyState::Retired, self.fingerprint.clone());
        self.wrap(WorkspaceKey { state, root, ..row.clone() }, &generation.remains(now))
    }

    /// The same generation wrapped by another root key.
    pub(crate) fn rewrap(
        &self,
        row: &WorkspaceKey,
        to: &RootKeys,
    ) -> Result<WorkspaceKey, VaultError> {
        let plain = self.unwrap(row)?;
        to.wrap(WorkspaceKey { root: to.fingerprint.clone(), ..row.clone() }, &plain)
    }

    fn wrap(&self, row: WorkspaceKey, plain: &[u8]) -> Result<WorkspaceKey, VaultError> {
        let sealed = seal::seal(&self.wrapping, [0; 16], &row_aad(&row), plain)?;
        Ok(WorkspaceKey { wrapped: sealed.as_bytes().to_vec(), ..row })
    }

    fn unwrap(&self, row: &WorkspaceKey) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        seal::open(&self.wrapping, [0; 16], &row_aad(row), &row.wrapped)
    }
}

/// A generation's record is bound to its number and state, so that neither can be written by
/// another. The first generation's is as the first release wrote it.
fn row_aad(row: &WorkspaceKey) -> Aad {
    let number = row.generation.to_be_bytes();
    let label = match (row.generation, row.state) {
        (_, KeyState::Retired) => "keyward/retired-key/v1",
        (1, KeyState::Active) => "keyward/workspace-key/v1",
        _ => "keyward/workspace-key/v2",
    };
    let mut aad = Aad::new(label);
    aad.part(row.id.as_bytes()).part(row.workspace.as_bytes());
    if label != "keyward/workspace-key/v1" {
        aad.part(&number).part(row.state.as_str().as_bytes());
    }
    aad
}

/// The key under which a run's sealed values are computed: the same on every node.
pub(crate) fn run_sealing(run_key: &Key, run: RunId) -> Key {
    run_key.derive(b"", "run-sealing", run.as_bytes())
}
