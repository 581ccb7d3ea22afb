//! What `keyward doctor` looks at in the file system: who may read it, and which disk it is on.

use super::Finding;
use keyward_vault::{RootKey, RootKeyError};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// The data directory must be this user's alone.
pub(super) fn data_directory(path: &Path) -> Finding {
    const CHECK: &str = "data directory";
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::fine(
                CHECK,
                format!("{shown} is not there yet: the first start makes it"),
            );
        }
        Err(error) => return Finding::fix(CHECK, format!("{shown}: {error}")),
    };
    if !metadata.is_dir() {
        return Finding::fix(
            CHECK,
            format!("{shown} is not a directory; choose another --data-dir"),
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => Finding::fine(CHECK, format!("{shown} is open to its owner alone")),
        _ => Finding::fix(
            CHECK,
            format!("others may look into {shown} (mode {mode:04o}): chmod 700 {shown}"),
        ),
    }
}

/// The root key must be there once there is a database, readable, and apart from it.
pub(super) fn root_key(key: &Path, database: &Path, has_database: bool) -> Finding {
    const CHECK: &str = "root key";
    let shown = key.display();
    match RootKey::read(key, database) {
        Ok(Some(_)) => Finding::fine(CHECK, format!("{shown} is open to its owner alone")),
        Ok(None) if !has_database => {
            Finding::fine(CHECK, format!("{shown} is not there yet: the first start makes it"))
        }
        Ok(None) => Finding::fix(
            CHECK,
            format!(
                "{shown} is missing: put your copy of it there, or name it with KEYWARD_ROOT_KEY_FILE; without it no credential opens"
            ),
        ),
        Err(error) => {
            let what = match &error {
                RootKeyError::Permissions(_) => {
                    format!("; chmod 600 {shown}, and chown it to the user that runs keyward")
                }
                RootKeyError::InsideDatabase(_) => {
                    "; move it, and name it with KEYWARD_ROOT_KEY_FILE".to_owned()
                }
                _ => String::new(),
            };
            Finding::fix(CHECK, format!("{error}{what}"))
        }
    }
}

/// Says plainly when one disk image would hold both. Not told of a database elsewhere.
pub(super) fn same_disk(key: &Path, database: &Path, is_elsewhere: bool) -> Option<Finding> {
    const CHECK: &str = "disk";
    if is_elsewhere {
        return None;
    }
    let (key, database) = (fs::metadata(key).ok()?, fs::metadata(database).ok()?);
    Some(match key.dev() == database.dev() {
        true => Finding::note(
            CHECK,
            "the root key and the database are on one file system: an image or backup of that disk holds both, and so opens every credential; KEYWARD_ROOT_KEY_FILE can name a file elsewhere",
        ),
        false => {
            Finding::fine(CHECK, "the root key and the database are on different file systems")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn check(finding: &Finding, level: Level, says: &str) {
        assert_eq!(finding.level, level, "{finding:?}");
        assert!(finding.detail.contains(says), "{finding:?}");
    }

    #[test]
    fn the_data_directory_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        check(&data_directory(&path.join("absent")), Level::Fine, "first start");
        set_mode(path, 0o700);
        check(&data_directory(path), Level::Fine, "owner alone");
        set_mode(path, 0o750);
        check(&data_directory(path), Level::Fix, "chmod 700");
        fs::write(path.join("file"), "").unwrap();
        check(&data_directory(&path.join("file")), Level::Fix, "not a directory");
    }

    #[test]
    fn the_root_key_is_there_private_and_apart() {
        let directory = tempfile::tempdir().unwrap();
        let (key, database) = (directory.path().join("root.key"), directory.path().join("db"));
        fs::create_dir(&database).unwrap();
        check(&root_key(&key, &database, false), Level::Fine, "first start");
        check(&root_key(&key, &database, true), Level::Fix, "put your copy");
        assert_eq!(same_disk(&key, &database, false), None, "there is no key yet");
        RootKey::create(&key).unwrap();
        check(&root_key(&key, &database, true), Level::Fine, "owner alone");
        check(&same_disk(&key, &database, false).unwrap(), Level::Note, "holds both");
        assert_eq!(same_disk(&key, &database, true), None, "the database is elsewhere");
        set_mode(&key, 0o644);
        check(&root_key(&key, &database, true), Level::Fix, "chmod 600");
        set_mode(&key, 0o600);
        let inside = database.join("root.key");
        fs::rename(&key, &inside).unwrap();
        check(&root_key(&inside, &database, true), Level::Fix, "move it");
    }
}
