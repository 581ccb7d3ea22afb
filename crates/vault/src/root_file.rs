//! The root key's file, and the file that is to take its place: a new key is first written beside
//! the old one, and moved over it only when the database has it.

use crate::root::{RootKey, RootKeyError};
use crate::vault::VaultError;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the root key lies, and the database directory that it must not lie in.
pub(crate) struct RootFile {
    path: PathBuf,
    database: PathBuf,
}

/// A new root key that is written down and not in use yet. Nobody else changes the root key here
/// while it is held.
pub(crate) struct NewRootKey {
    pub(crate) key: RootKey,
    /// Where it lies now.
    pub(crate) written: PathBuf,
    /// Where it belongs, where that is another place.
    target: Option<PathBuf>,
    /// Whether it was found: then an earlier change may have brought it into the database.
    found: bool,
    _lock: File,
}

impl RootFile {
    pub(crate) fn new(path: &Path, database: &Path) -> Self {
        Self { path: path.into(), database: database.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The key in the file; `None` where there is no file.
    pub(crate) fn read(&self) -> Result<Option<RootKey>, RootKeyError> {
        RootKey::read(&self.path, &self.database)
    }

    /// The real file, where the path is a link: it is the one that is replaced.
    fn real(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// Where the next key is written first.
    fn next(&self) -> PathBuf {
        let mut path: OsString = self.real().into();
        path.push(".next");
        path.into()
    }

    /// The key of that fingerprint, in the file or in the one that is to take its place.
    ///
    /// # Errors
    /// `Missing` or `Wrong` with the fingerprints, or what reading the file gave.
    pub(crate) fn find(&self, expected: &str) -> Result<RootKey, RootKeyError> {
        let found = self.read();
        if let Ok(Some(key)) = found.as_ref().map(Option::as_ref)
            && key.fingerprint() == expected
        {
            return found.map(|key| key.ok_or_else(|| self.missing(expected)))?;
        }
        let next = RootKey::read(&self.next(), &self.database).ok().flatten();
        if let Some(key) = next.filter(|key| key.fingerprint() == expected) {
            return Ok(key);
        }
        match found?.map(|key| key.fingerprint()) {
            Some(found) => {
                let (path, expected) = (self.path.clone(), expected.to_owned());
                Err(RootKeyError::Wrong { path, expected, found })
            }
            None => Err(self.missing(expected)),
        }
    }

    fn missing(&self, expected: &str) -> RootKeyError {
        RootKeyError::Missing { path: self.path.clone(), expected: expected.to_owned() }
    }

    /// The same; a change of the key that was cut off between database and file is finished.
    pub(crate) fn settle(&self, expected: &str) -> Result<RootKey, RootKeyError> {
        let key = self.find(expected)?;
        let in_place = self.read()?.is_some_and(|found| found.fingerprint() == expected);
        if in_place {
            return Ok(key);
        }
        match put_in_place(&self.next(), &self.real()) {
            Ok(()) => tracing::info!(fingerprint = expected, "a change of the root key finished"),
            // Another process was quicker.
            Err(_) if self.read()?.is_some_and(|found| found.fingerprint() == expected) => {}
            Err(source) => return Err(RootKeyError::Io { path: self.path.clone(), source }),
        }
        Ok(key)
    }

    /// Writes a new key down, beside the file or where `elsewhere` says; a key that lies there
    /// already, and so was never used or was put there for this, is taken.
    pub(crate) fn prepare(&self, elsewhere: Option<&Path>) -> Result<NewRootKey, VaultError> {
        let written = elsewhere.map_or_else(|| self.next(), Path::to_path_buf);
        let (key, found) = match RootKey::read(&written, &self.database)? {
            Some(key) => (key, true),
            None => {
                let made = RootKey::create(&written);
                (made.map_err(|error| self.not_writable(&written, error))?, false)
            }
        };
        let io = |source| RootKeyError::Io { path: written.clone(), source };
        let lock = File::open(&written).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(RootKeyError::Busy.into()),
            Err(fs::TryLockError::Error(source)) => return Err(io(source).into()),
        }
        let target = elsewhere.is_none().then(|| self.real());
        Ok(NewRootKey { key, written, target, found, _lock: lock })
    }

    fn not_writable(&self, written: &Path, error: VaultError) -> VaultError {
        let VaultError::Root(RootKeyError::Io { source, .. }) = &error else { return error };
        match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                let directory = written.parent().unwrap_or(written).to_path_buf();
                RootKeyError::NotWritable { directory, path: self.path.clone() }.into()
            }
            _ => error,
        }
    }
}

impl NewRootKey {
    /// Moves the key to where it belongs, over the one before; gives its path.
    pub(crate) fn put_in_place(self) -> Result<PathBuf, RootKeyError> {
        let Some(target) = self.target else { return Ok(self.written) };
        match put_in_place(&self.written, &target) {
            Ok(()) => Ok(target),
            // A server that started in between has done it.
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(target),
            Err(source) => Err(RootKeyError::Io { path: self.written, source }),
        }
    }

    /// Removes a key that was made just now and that the database is known not to have taken.
    pub(crate) fn discard(self) {
        if self.target.is_some() && !self.found {
            // Where it stays, the next change takes it.
            let _ = fs::remove_file(&self.written);
        }
    }
}

fn put_in_place(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::rename(from, to)?;
    match to.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_cut_off_is_finished() {
        let home = tempfile::tempdir().unwrap();
        let (path, database) = (home.path().join("keys/root.key"), home.path().join("db"));
        fs::create_dir(&database).unwrap();
        let file = RootFile::new(&path, &database);
        let old = RootKey::create(&path).unwrap().fingerprint();
        let named = |file: &RootFile| file.read().unwrap().map(|key| key.fingerprint());

        let new = file.prepare(None).unwrap();
        let name = new.key.fingerprint();
        assert!(matches!(file.prepare(None), Err(VaultError::Root(RootKeyError::Busy))));
        drop(new);
        // Before the database has it: the old one is in use, and the new one is taken up again.
        assert_eq!(file.settle(&old).unwrap().fingerprint(), old);
        assert_eq!(file.prepare(None).unwrap().key.fingerprint(), name);
        assert_eq!(named(&file), Some(old.clone()));
        // After: reading finds it, starting moves it.
        assert_eq!(file.find(&name).unwrap().fingerprint(), name);
        assert_eq!(named(&file), Some(old.clone()));
        assert_eq!(file.settle(&name).unwrap().fingerprint(), name);
        assert_eq!(named(&file), Some(name.clone()));
        assert!(!home.path().join("keys/root.key.next").exists());
        let wrong = file.settle(&old).map(|key| key.fingerprint());
        assert!(matches!(wrong, Err(RootKeyError::Wrong { .. })), "{wrong:?}");
        fs::remove_file(&path).unwrap();
        assert!(matches!(file.settle(&name), Err(RootKeyError::Missing { .. })));
    }

    #[test]
    fn only_a_key_that_was_made_just_now_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let (path, database) = (home.path().join("keys/root.key"), home.path().join("db"));
        fs::create_dir(&database).unwrap();
        let file = RootFile::new(&path, &database);
        RootKey::create(&path).unwrap();
        let next = home.path().join("keys/root.key.next");
        file.prepare(None).unwrap().discard();
        assert!(!next.exists());
        drop(file.prepare(None).unwrap());
        // Perhaps the database has taken it since: without it nothing would open.
        file.prepare(None).unwrap().discard();
        assert!(next.exists());
    }

    #[test]
    fn a_key_elsewhere_is_taken_and_stays_there() {
        let home = tempfile::tempdir().unwrap();
        let (path, database) = (home.path().join("keys/root.key"), home.path().join("db"));
        fs::create_dir(&database).unwrap();
        let file = RootFile::new(&path, &database);
        RootKey::create(&path).unwrap();
        let elsewhere = home.path().join("new.key");
        let name = RootKey::create(&elsewhere).unwrap().fingerprint();
        let new = file.prepare(Some(&elsewhere)).unwrap();
        assert_eq!(new.key.fingerprint(), name);
        assert_eq!(new.put_in_place().unwrap(), elsewhere);
        assert!(path.exists() && elsewhere.exists());
        let inside = file.prepare(Some(&database.join("new.key")));
        assert!(matches!(inside, Err(VaultError::Root(RootKeyError::InsideDatabase(_)))));
    }
}
