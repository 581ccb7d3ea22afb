//! The root key: where it is read from, how it is made, and the fingerprint that names it.

use crate::bytes::{Key, random, sha256};
use crate::vault::VaultError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The root key: everything else is wrapped by it or derived from it.
pub struct RootKey(pub(crate) Key);

/// Why a root key cannot be used. Texts name files and fingerprints, never key material.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// No file, although the database has been sealed already.
    #[error(
        "the root key is missing: expected the key with fingerprint {expected} at {path}; found none"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// The fingerprint of the key that sealed the database.
        expected: String,
    },
    /// Another key than the database's.
    #[error(
        "this is not the root key of this database: expected fingerprint {expected}, found {found} in {path}"
    )]
    Wrong {
        /// Where it was read.
        path: PathBuf,
        /// The fingerprint of the key that sealed the database.
        expected: String,
        /// The fingerprint of the key in the file.
        found: String,
    },
    /// The file can be read by others.
    #[error(
        "the root key file {0} must be readable by its owner alone (mode 0600) and owned by this user"
    )]
    Permissions(PathBuf),
    /// The file lies beside the data that it protects.
    #[error(
        "the root key file {0} lies inside the database directory; a copy of that directory would open itself"
    )]
    InsideDatabase(PathBuf),
    /// Not a key.
    #[error("the file {0} is not a root key: 32 raw bytes, 64 hexadecimal digits, or their base64")]
    Malformed(PathBuf),
    /// A new key cannot be put beside the old one.
    #[error(
        "the directory {directory} of the root key cannot be written to, so nothing was changed: name a file for the new key with --new-root-key-file, and put that key where {path} comes from"
    )]
    NotWritable {
        /// The directory.
        directory: PathBuf,
        /// The root key's file.
        path: PathBuf,
    },
    /// The root key is being changed.
    #[error("another process is changing the root key")]
    Busy,
    /// The file system said no.
    #[error("the root key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

impl RootKey {
    /// The name of a key, safe to show: the first 8 bytes of SHA-256 over a label and the key.
    pub fn fingerprint(&self) -> String {
        let mut labelled = Zeroizing::new(b"keyward/v1/root-fingerprint\0".to_vec());
        labelled.extend_from_slice(self.0.bytes());
        let hex = data_encoding::HEXLOWER.encode(sha256(&labelled).get(..8).unwrap_or_default());
        hex.as_bytes()
            .chunks(4)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect::<Vec<_>>()
            .join("-")
    }

    /// Reads the key file. `Ok(None)` where there is none. `database` is the directory that it must not lie in.
    pub fn read(path: &Path, database: &Path) -> Result<Option<Self>, RootKeyError> {
        let io = |source| RootKeyError::Io { path: path.into(), source };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match would_lie_inside(path, database) {
                    true => Err(RootKeyError::InsideDatabase(path.into())),
                    false => Ok(None),
                };
            }
            Err(error) => return Err(io(error)),
        };
        let real = fs::canonicalize(path).map_err(io)?;
        if fs::canonicalize(database).is_ok_and(|database| real.starts_with(database)) {
            return Err(RootKeyError::InsideDatabase(path.into()));
        }
        if metadata.permissions().mode() & 0o077 != 0 || metadata.uid() != effective_user() {
            return Err(RootKeyError::Permissions(path.into()));
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(io)?);
        parse(&bytes).map(Some).ok_or_else(|| RootKeyError::Malformed(path.into()))
    }

    /// Makes a new key and writes it, mode 0600, its directory 0700. An existing file is never replaced.
    pub fn create(path: &Path) -> Result<Self, VaultError> {
        let io = |source| RootKeyError::Io { path: path.into(), source };
        let bytes = Zeroizing::new(random::<32>()?);
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(bytes.as_slice())));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(io)?;
            let own = fs::Permissions::from_mode(0o700);
            let is_keys = directory.file_name().is_some_and(|name| name == "keys");
            if is_keys {
                fs::set_permissions(directory, own).map_err(io)?;
            }
        }
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
            fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        Ok(Self(Key::new(*bytes)))
    }
}

/// Whether a file made at `path` would come to lie inside the directory, links resolved.
fn would_lie_inside(path: &Path, directory: &Path) -> bool {
    let existing = path.ancestors().skip(1).find_map(|above| fs::canonicalize(above).ok());
    let directory = fs::canonicalize(directory);
    existing.zip(directory.ok()).is_some_and(|(above, directory)| above.starts_with(directory))
}

/// 32 raw bytes, or 64 hexadecimal digits, or base64, with white space around the text forms.
fn parse(bytes: &[u8]) -> Option<RootKey> {
    if let Some(key) = Key::from_slice(bytes) {
        return Some(RootKey(key));
    }
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let hex = || data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let decoded = Zeroizing::new(hex().or_else(|| STANDARD.decode(text).ok())?);
    Key::from_slice(&decoded).map(RootKey)
}

#[expect(unsafe_code, reason = "geteuid has no safe wrapper in the standard library")]
fn effective_user() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_written_forms_are_one_key() {
        let raw: Vec<u8> = (0..32).collect();
        let hex = format!(" {}\n", data_encoding::HEXUPPER.encode(&raw));
        let base64 = format!("{}\n", STANDARD.encode(&raw));
        let names: Vec<_> = [raw.as_slice(), hex.as_bytes(), base64.as_bytes()]
            .iter()
            .map(|form| parse(form).unwrap().fingerprint())
            .collect();
        assert!(names.iter().all(|name| name == &names[0] && name.len() == 19), "{names:?}");
        assert!(parse(b"short").is_none());
        assert!(parse(&[7; 33]).is_none());
    }

    #[test]
    fn a_key_file_is_private_and_apart_from_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let (database, path) =
            (directory.path().join("db"), directory.path().join("keys/root.key"));
        fs::create_dir(&database).unwrap();
        assert!(RootKey::read(&path, &database).unwrap().is_none());
        for inside in ["root.key", "deeper/down/root.key", "../db/root.key"] {
            let read = RootKey::read(&database.join(inside), &database);
            assert!(matches!(read, Err(RootKeyError::InsideDatabase(_))), "{inside}");
        }
        let made = RootKey::create(&path).unwrap().fingerprint();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootKey::read(&path, &database).unwrap().unwrap().fingerprint(), made);
        assert!(RootKey::create(&path).is_err(), "an existing key is never replaced");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(RootKey::read(&path, &database), Err(RootKeyError::Permissions(_))));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&path, database.join("root.key")).unwrap();
        std::os::unix::fs::symlink(database.join("root.key"), &path).unwrap();
        assert!(matches!(RootKey::read(&path, &database), Err(RootKeyError::InsideDatabase(_))));
    }
}
