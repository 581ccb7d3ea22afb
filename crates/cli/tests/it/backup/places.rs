//! Where a backup may lie, and what becomes of a file that is there already.

use crate::server::{Backend, Server};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_backup_does_not_lie_beside_its_key_and_replaces_nothing_unasked() {
    let server = Server::start("backup-places", Backend::Sqlite);
    let folder = server.evidence.folder().join("backups");
    fs::create_dir(&folder).unwrap();
    symlink(server.data.join("keys"), folder.join("linked")).unwrap();
    fs::write(folder.join("there"), "here before").unwrap();
    let data = server.data.display().to_string();
    let at = |name: &str| folder.join(name).display().to_string();
    let cases = [
        (format!("{data}/keys/x.backup"), "beside the root key"),
        (format!("{data}/keys/../keys/x.backup"), "beside the root key"),
        (at("linked/x.backup"), "beside the root key"),
        (format!("{data}/db/x.backup"), "inside the database directory"),
        (at("absent/x.backup"), "the directory of the backup"),
        (at("there"), "--force"),
        (folder.display().to_string(), "is not a file"),
        (at("linked"), "is not a file"),
        (at(".."), "is not a file's name"),
    ];
    let before = super::contents(&folder);
    for (file, says) in &cases {
        let (done, _, errors) = server.run(&["backup", file]);
        assert!(!done && errors.contains(says), "{file}: {errors}");
        assert_eq!(super::contents(&folder), before, "{file}");
    }
    let exports = server.get("/audit?action=export.made").expect(200);
    assert!(exports["items"].as_array().unwrap().is_empty(), "nothing was read");

    let (done, printed, errors) = server.run(&["backup", &at("there"), "--force"]);
    assert!(done && printed.contains("rows") && printed.contains("root key"), "{errors}");
    assert!(fs::read(folder.join("there")).unwrap().starts_with(b"keyward-backup"));
    let names: Vec<_> = fs::read_dir(&folder).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_wrong_key_makes_no_backup() {
    let mut server = Server::start("backup-wrong-key", Backend::Sqlite);
    assert!(server.stop());
    let file = server.evidence.folder().join("x.backup");
    let key = server.data.join("keys/root.key");
    let right = fs::read(&key).unwrap();
    fs::write(&key, "ab".repeat(32)).unwrap();
    let (done, _, errors) = server.run(&["backup", file.to_str().unwrap()]);
    assert!(!done && errors.contains("not the root key of this database"), "{errors}");
    assert!(!file.exists());
    fs::write(&key, right).unwrap();
    let (done, _, errors) = server.run(&["backup", file.to_str().unwrap()]);
    assert!(done, "without a running server: {errors}");
    server.spawn();
}
