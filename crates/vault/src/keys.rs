//! The key hierarchy: root key -> wrapping key -> workspace keys -> one derived key per purpose.
//! Every HKDF label of the product stands in this file.

use crate::bytes::{Key, random};
use crate::root::RootKey;
use crate::seal::{self, Aad};
use crate::vault::VaultError;
use keyward_model::clock::Timestamp;
use keyward_model::id::{Identifier as _, KeyId, RunId, WorkspaceId};
use keyward_model::tag::{Granting, Tag, Tagged, Tampered};
use keyward_model::tenant::WorkspaceKey;

/// The key of one backup file, whose salt stands in its header.
pub(crate) fn backup_key(root: &RootKey, salt: &[u8]) -> Key {
    root.0.derive(salt, "backup", b"")
}

/// Keys of the whole server, derived from the root key with the instance's id as salt.
pub(crate) struct ServerKeys {
    salt: [u8; 16],
    wrapping: Key,
    tokens: Key,
    anchor: Key,
    pepper: Key,
    accounts: Key,
    account_secrets: Key,
    sign_in: Key,
}

impl ServerKeys {
    pub(crate) fn new(root: &RootKey, instance: [u8; 16]) -> Self {
        Self {
            salt: instance,
            wrapping: root.0.derive(&instance, "wrapping", b""),
            tokens: root.0.derive(&instance, "tokens", b""),
            anchor: root.0.derive(&instance, "anchor", b""),
            pepper: root.0.derive(&instance, "pepper", b""),
            accounts: root.0.derive(&instance, "accounts", b""),
            account_secrets: root.0.derive(&instance, "account-secrets", b""),
            sign_in: root.0.derive(&instance, "sign-in", b""),
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

    /// Makes the first key generation of a workspace.
    pub(crate) fn new_workspace_key(
        &self,
        workspace: WorkspaceId,
        now: Timestamp,
    ) -> Result<(WorkspaceKey, WorkspaceKeys), VaultError> {
        let id = KeyId::from_bytes(random()?);
        let key = Key::random()?;
        let sealed = seal::seal(&self.wrapping, [0; 16], &wrap_aad(workspace, id), key.bytes())?;
        let row = WorkspaceKey {
            workspace,
            id,
            generation: 1,
            wrapped: sealed.as_bytes().to_vec(),
            created_at: now,
        };
        Ok((row, WorkspaceKeys::new(&self.salt, workspace, id, &key)))
    }

    /// Unwraps a stored generation.
    pub(crate) fn open_workspace_key(
        &self,
        row: &WorkspaceKey,
    ) -> Result<WorkspaceKeys, VaultError> {
        let aad = wrap_aad(row.workspace, row.id);
        let opened = seal::open(&self.wrapping, [0; 16], &aad, &row.wrapped)?;
        let key = Key::from_slice(&opened).ok_or(VaultError::Unreadable)?;
        Ok(WorkspaceKeys::new(&self.salt, row.workspace, row.id, &key))
    }
}

fn wrap_aad(workspace: WorkspaceId, id: KeyId) -> Aad {
    let mut aad = Aad::new("keyward/workspace-key/v1");
    aad.part(id.as_bytes()).part(workspace.as_bytes());
    aad
}

/// One generation of a workspace's keys, one per purpose.
pub(crate) struct WorkspaceKeys {
    pub(crate) workspace: WorkspaceId,
    pub(crate) id: KeyId,
    /// Wraps version keys, run keys and trigger tokens.
    pub(crate) wrap: Key,
    mac: Key,
    audit: Key,
    run: Key,
    request: Key,
}

impl WorkspaceKeys {
    fn new(salt: &[u8], workspace: WorkspaceId, id: KeyId, key: &Key) -> Self {
        let derive = |purpose| key.derive(salt, purpose, workspace.as_bytes());
        Self {
            workspace,
            id,
            wrap: derive("wrap"),
            mac: derive("mac"),
            audit: derive("audit"),
            run: derive("run"),
            request: derive("request"),
        }
    }

    /// The key under which a run's sealed values are computed: the same on every node.
    pub(crate) fn run_sealing(&self, run: RunId) -> Key {
        self.run.derive(b"", "run-sealing", run.as_bytes())
    }

    /// `mac_n = HMAC(audit key, mac_(n-1), n, event)`, the first part with its length before it.
    pub(crate) fn audit_mac(&self, previous: &[u8], number: i64, event: &[u8]) -> [u8; 32] {
        let length = u32::try_from(previous.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.audit.mac(&[&length, previous, &number.to_be_bytes(), event])
    }

    /// Digest of a request, each part with its length before it. Keyed, because a request may hold
    /// a secret that could be guessed from a plain hash.
    pub(crate) fn request_digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let lengths: Vec<_> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
        let pairs = lengths.iter().zip(parts);
        let all: Vec<&[u8]> = pairs.flat_map(|(length, part)| [length.as_slice(), part]).collect();
        self.request.mac(&all)
    }

    pub(crate) fn sign<T: Granting>(&self, row: T) -> Tagged<T> {
        Tagged::sign(row, |bytes| self.tag(bytes))
    }

    pub(crate) fn verify<T: Granting>(&self, row: Tagged<T>) -> Result<T, Tampered> {
        row.open(|bytes| self.tag(bytes))
    }

    fn tag(&self, bytes: &[u8]) -> Tag {
        self.mac.mac(&[bytes])
    }
}
