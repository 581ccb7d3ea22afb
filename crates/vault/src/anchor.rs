//! The rollback anchor: a MACed file outside the database that names the newest audit records. A
//! database that lacks them is older than what this server last wrote.

use crate::vault::{Vault, VaultError};
use keyward_model::audit::Head;
use keyward_model::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Why the anchor does not hold.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The database lacks records that were written before.
    #[error(
        "rollback_detected: the database is older than {path} says; audit record {number} of workspace {workspace} is missing or differs. Bring the newest database back, or accept this one: `keyward restore --accept-older`"
    )]
    Rollback {
        /// The anchor file.
        path: PathBuf,
        /// The workspace concerned.
        workspace: WorkspaceId,
        /// The record's number in its chain.
        number: i64,
    },
    /// The file's MAC does not fit.
    #[error(
        "rollback_detected: {0} was not written by this server, or was altered. Bring the right file back, or accept the database without it: `keyward restore --accept-older`"
    )]
    Altered(PathBuf),
    /// The file system said no.
    #[error("the anchor file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The vault or the database.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

#[derive(Serialize, Deserialize)]
struct File {
    heads: Vec<Entry>,
    mac: String,
}

#[derive(Serialize, Deserialize, Clone, PartialEq)]
struct Entry {
    workspace: WorkspaceId,
    stream: keyward_model::id::StreamId,
    number: i64,
    mac: String,
}

/// The anchor file of one data directory.
pub struct Anchor {
    path: PathBuf,
    vault: Vault,
    heads: Mutex<BTreeMap<WorkspaceId, Entry>>,
}

impl Anchor {
    /// Reads the file and holds it against the database: every record that it names must exist.
    pub async fn check(path: &Path, vault: Vault) -> Result<Self, AnchorError> {
        let entries = read(path, &vault)?;
        for entry in &entries {
            let (workspace, number) = (entry.workspace, entry.number);
            if !is_there(&vault, entry).await? {
                return Err(AnchorError::Rollback { path: path.into(), workspace, number });
            }
        }
        let heads = entries.into_iter().map(|entry| (entry.workspace, entry)).collect();
        Ok(Self { path: path.into(), vault, heads: Mutex::new(heads) })
    }

    /// An anchor that is written but not asked, for databases that may rightly be older.
    pub fn unchecked(path: &Path, vault: Vault) -> Self {
        Self { path: path.into(), vault, heads: Mutex::default() }
    }

    /// Writes the heads where they have moved: a new file, synced, in the old one's place.
    pub fn write(&self, newest: Vec<Head>) -> Result<(), AnchorError> {
        let mut heads = self.heads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = heads.clone();
        for head in newest {
            let mac = data_encoding::HEXLOWER.encode(&head.mac);
            let (workspace, stream, number) = (head.workspace, head.stream, head.number);
            heads.insert(workspace, Entry { workspace, stream, number, mac });
        }
        if *heads == before {
            return Ok(());
        }
        let entries: Vec<Entry> = heads.values().cloned().collect();
        let mac = data_encoding::HEXLOWER.encode(&self.vault.anchor_mac(&content(&entries)));
        let text = serde_json::to_string_pretty(&File { heads: entries, mac }).unwrap_or_default();
        self.replace(&text).map_err(|source| AnchorError::Io { path: self.path.clone(), source })
    }

    fn replace(&self, text: &str) -> std::io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = fs::File::create(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &self.path)
    }
}

/// Whether the database holds the record, or the server's own stub says that retention has cut it.
async fn is_there(vault: &Vault, entry: &Entry) -> Result<bool, VaultError> {
    let Entry { workspace, stream, number, mac } = entry.clone();
    let read = vault.store().read(move |tx| {
        Ok((tx.audit_record(workspace, stream, number)?, tx.audit_stub(workspace, stream)?))
    });
    let (record, stub) = match read.await {
        Ok(found) => found,
        // What cannot be read is not what was written.
        Err(keyward_store::StoreError::Corrupt { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if let Some(record) = record {
        return Ok(data_encoding::HEXLOWER.encode(&record.mac) == mac);
    }
    let Some(stub) = stub else { return Ok(false) };
    let keys = vault.audit_keys(&[workspace]).await?;
    Ok(keys.verify(workspace, stub).is_ok_and(|stub| stub.number >= number))
}

fn read(path: &Path, vault: &Vault) -> Result<Vec<Entry>, AnchorError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(AnchorError::Io { path: path.into(), source }),
    };
    let altered = || AnchorError::Altered(path.into());
    let file: File = serde_json::from_slice(&text).map_err(|_| altered())?;
    let expected = data_encoding::HEXLOWER.encode(&vault.anchor_mac(&content(&file.heads)));
    if !bool::from(subtle::ConstantTimeEq::ct_eq(expected.as_bytes(), file.mac.as_bytes())) {
        return Err(altered());
    }
    Ok(file.heads)
}

fn content(entries: &[Entry]) -> Vec<u8> {
    serde_json::to_vec(entries).unwrap_or_default()
}
