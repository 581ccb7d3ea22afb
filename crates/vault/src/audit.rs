//! Checking the audit trail: every key generation of the workspaces, from the database or out of the
//! header of an exported file.

mod export;

pub use export::AuditExport;

use crate::keyring::read_identity;
use crate::keys::RootKeys;
use crate::ring::{Ring, WorkspaceKeys};
use crate::root::{RootKey, RootKeyError};
use crate::vault::{Vault, VaultError};
use keyward_model::audit::{Header, Record, WrappedKey};
use keyward_model::clock::Timestamp;
use keyward_model::id::WorkspaceId;
use keyward_model::tag::{Granting, Tag, Tagged, Tampered};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// In the place of a previous MAC, and of no MAC's length, so that no record is taken for a row.
const ROW: &[u8] = b"keyward/audit-row/v1";

/// What records, stubs and exports of some workspaces are checked with.
#[derive(Default)]
pub struct AuditKeys(HashMap<WorkspaceId, Arc<WorkspaceKeys>>);

impl AuditKeys {
    /// The keys of an exported file, unwrapped by the root key at `path`, without the database.
    ///
    /// # Errors
    /// `Root` where the key is missing or another's, `Unreadable` where the header was altered.
    pub fn of_export(header: &Header, path: &Path, database: &Path) -> Result<Self, VaultError> {
        let expected = header.root_key.clone();
        let Some(root) = RootKey::read(path, database)? else {
            return Err(RootKeyError::Missing { path: path.into(), expected }.into());
        };
        let found = root.fingerprint();
        if found != expected {
            return Err(RootKeyError::Wrong { path: path.into(), expected, found }.into());
        }
        let root = RootKeys::new(&root, header.instance().ok_or(VaultError::Unreadable)?);
        let mut generations: HashMap<WorkspaceId, Vec<_>> = HashMap::new();
        for key in &header.keys {
            let row = key.row().ok_or(VaultError::Unreadable)?;
            generations.entry(row.workspace).or_default().push(Arc::new(root.open(&row)?));
        }
        let mut keys = Self::default();
        for (workspace, generations) in generations {
            let ring = Ring::new(generations).ok_or(VaultError::Unreadable)?;
            keys.0.insert(workspace, Arc::new(WorkspaceKeys::new(workspace, ring)));
        }
        Ok(keys)
    }

    /// Whether there is a key of the workspace at all.
    pub fn know(&self, workspace: WorkspaceId) -> bool {
        self.0.contains_key(&workspace)
    }

    /// Whether the record's MAC is the one over the MAC before it, that number and its content,
    /// under a generation of the workspace's audit key that may have been in use at its time.
    pub fn fits(&self, record: &Record, previous: &[u8], number: i64) -> bool {
        let (workspace, at) = (record.event.workspace, Some(record.event.at));
        self.fits_bytes(workspace, at, (previous, number, &record.canonical()), &record.mac)
    }

    /// The same for other content, such as the end of an exported file.
    pub fn fits_bytes(
        &self,
        workspace: WorkspaceId,
        at: Option<Timestamp>,
        (previous, number, bytes): (&[u8], i64, &[u8]),
        mac: &[u8; 32],
    ) -> bool {
        // None of this is secret: whoever holds a record holds its MAC.
        let found =
            |keys: &Arc<WorkspaceKeys>| keys.audit_mac_like(mac, at, (previous, number, bytes));
        self.0.get(&workspace).map(found) == Some(*mac)
    }

    /// Signs a row of the audit's own with the audit key, whose generations outlive those that vouch
    /// for other rows.
    ///
    /// # Errors
    /// `NoWorkspaceKey` for a workspace that these keys are not of.
    pub fn sign<T: Granting>(
        &self,
        workspace: WorkspaceId,
        row: T,
    ) -> Result<Tagged<T>, VaultError> {
        let keys = self.0.get(&workspace).ok_or(VaultError::NoWorkspaceKey)?;
        Ok(Tagged::sign(row, |bytes| keys.audit_mac(ROW, 0, bytes)))
    }

    /// Checks the tag of such a row and gives the row.
    ///
    /// # Errors
    /// `Tampered` where no generation made the tag.
    pub fn verify<T: Granting>(
        &self,
        workspace: WorkspaceId,
        row: Tagged<T>,
    ) -> Result<T, Tampered> {
        let keys = self.0.get(&workspace).ok_or(Tampered)?;
        let tag: Tag = *row.parts().1;
        row.open(|bytes| keys.audit_mac_like(&tag, None, (ROW, 0, bytes)))
    }
}

impl Vault {
    /// The keys of these workspaces, of all generations.
    ///
    /// # Errors
    /// `Unreadable` for a key that the root key does not open.
    pub async fn audit_keys(&self, workspaces: &[WorkspaceId]) -> Result<AuditKeys, VaultError> {
        let mut keys = AuditKeys::default();
        for &workspace in workspaces {
            keys.0.insert(workspace, self.keys(workspace).await?);
        }
        Ok(keys)
    }

    /// The header of an export of these workspaces' records.
    ///
    /// # Errors
    /// What the database gave.
    pub async fn audit_header(&self, workspaces: &[WorkspaceId]) -> Result<Header, VaultError> {
        let mut keys = Vec::new();
        for &workspace in workspaces {
            let rows = self.store().read(move |tx| tx.workspace_keys(workspace)).await?;
            keys.extend(rows.iter().map(WrappedKey::from));
        }
        let identity = read_identity(self.store()).await?;
        let (instance, root_key) = identity.ok_or(VaultError::Unreadable)?;
        Ok(Header::new(self.now(), &instance, &root_key, keys))
    }

    /// The name under which a sink's cursors are kept: of its URL, which may hold a secret, only a
    /// keyed hash.
    pub fn sink_name(&self, url: &str) -> String {
        let hash = self.server().token_hash("audit-sink", url);
        data_encoding::HEXLOWER.encode(hash.get(..12).unwrap_or_default())
    }
}
