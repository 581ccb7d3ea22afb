//! What is not restored: without the key, from a damaged file, over something that is there. Nothing
//! is written then.

use super::{back_up, calls, contents, restore, run_on, with_key};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::postgres::Postgres;
use keyward_testkit::sweep::Sweep;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

#[test]
fn a_backup_is_worth_nothing_without_its_root_key() {
    let scene = Scene::with(Server::start("backup-key", Backend::Sqlite));
    let secret = scene.canary("KEY");
    scene.api_key("KEY", &secret);
    let (workflow, _) = calls(&scene, "KEY");
    let (file, said) = back_up(&scene.server, "of-key.backup");
    let expected = said["root_key"].as_str().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    refuse(&scene.server, &absent, &file, "no folder", &[expected, "there is none"]);
    assert!(!absent.exists(), "not even the folder is made");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    refuse(&scene.server, &empty, &file, "no key", &[expected, "there is none"]);

    let other = folder.path().join("other");
    write_key(&other, &"ab".repeat(32), 0o600);
    let (_, status, _) = run_on(&scene.server, &other, None, &["key", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let found = status["key"].as_str().unwrap();
    refuse(&scene.server, &other, &file, "another key", &[expected, found]);
    write_key(&other, &"ab".repeat(32), 0o644);
    refuse(&scene.server, &other, &file, "a key for all to read", &["0600"]);

    // The file itself names the key and shows nothing else.
    let bytes = fs::read(&file).unwrap();
    for shown in ["KEY", "alice@example.com", "owner", &workflow, "CREATE TABLE", "credential"] {
        let found = bytes.windows(shown.len()).any(|part| part == shown.as_bytes());
        assert!(!found, "{shown} can be read in the file");
    }
    let token = scene.server.token.as_str();
    let sweep = Sweep::new([("KEY", secret.as_str()), ("token", token)].into_iter());
    let found = sweep.bytes("the backup", &bytes);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let mut scene = Scene::with(Server::start("backup-damaged", Backend::Sqlite));
    scene.api_key("KEY", &scene.canary("KEY"));
    let (workflow, _) = calls(&scene, "KEY");
    let (file, _) = back_up(&scene.server, "of-damage.backup");
    let bytes = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        altered
    };
    let half = bytes.len() / 2;
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("half of it", bytes[..half].to_vec(), "damaged"),
        ("all but a byte", bytes[..bytes.len() - 1].to_vec(), "damaged"),
        ("a byte more", [bytes.as_slice(), &[0]].concat(), "damaged"),
        ("a bit in the middle", flipped(half), "damaged"),
        ("a bit at the end", flipped(bytes.len() - 1), "damaged"),
        ("a bit of the salt", flipped(14 + 1 + 19 + 5), "damaged"),
        ("nothing", Vec::new(), "not a keyward backup"),
        ("something else", b"SQLite format 3\0".repeat(100), "not a keyward backup"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    let data = with_key(&scene.server, "restored");
    for (what, content, says) in cases {
        fs::write(&damaged, content).unwrap();
        refuse(&scene.server, &data, &damaged, what, &[says]);
    }
    refuse(&scene.server, &data, &folder.path().join("none"), "no file", &["none"]);
    // What was refused is not in the way of the right one.
    let (done, _, errors) = restore(&scene.server, &data, None, &file);
    assert!(done, "{errors}");
    assert!(scene.server.stop());
    scene.server.move_to(data, None);
    scene.server.spawn();
    assert_eq!(scene.run_again(&workflow, &json!({ "n": 1 }))["status"], "succeeded");
}

#[test]
fn nothing_is_restored_over_something() {
    let scene = Scene::with(Server::start("backup-over", Backend::Postgres));
    scene.api_key("KEY", &scene.canary("KEY"));
    let (file, _) = back_up(&scene.server, "of-over.backup");
    for (name, path) in [
        ("a database", "db/keyward.sqlite"),
        ("an anchor", "anchor.json"),
        ("a node", "node"),
        ("a file of somebody's", "notes.txt"),
    ] {
        let data = with_key(&scene.server, &format!("over-{}", name.replace([' ', '\''], "-")));
        fs::create_dir_all(data.join("db")).unwrap();
        fs::write(data.join(path), "here before").unwrap();
        let file_name = Path::new(path).file_name().unwrap().to_str().unwrap();
        refuse(&scene.server, &data, &file, name, &["is not empty", file_name]);
    }
    // The database of a server at work, from another data directory; and the one it serves from.
    let url = scene.server.database_url().unwrap();
    let data = with_key(&scene.server, "over-postgres");
    let before = contents(&data);
    let (done, _, errors) = restore(&scene.server, &data, Some(url), &file);
    assert!(!done && errors.contains("the database is not empty"), "{errors}");
    assert_eq!(contents(&data), before);
    let (done, _, errors) = restore(&scene.server, &scene.server.data, Some(url), &file);
    assert!(!done && errors.contains("another keyward server"), "{errors}");
    scene.server.get("/credentials").expect(200);

    // What a restore that was killed leaves is no reason to refuse the next one.
    let data = with_key(&scene.server, "over-leftover");
    fs::create_dir(data.join("db")).unwrap();
    fs::write(data.join("db/keyward.sqlite.restoring"), "half").unwrap();
    fs::write(data.join("db/keyward.sqlite.restoring-wal"), "half").unwrap();
    fs::write(data.join("lock"), "").unwrap();
    let (done, _, errors) = restore(&scene.server, &data, None, &file);
    assert!(done, "{errors}");
    let left: Vec<_> = fs::read_dir(data.join("db")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // And a schema without rows, as doctor leaves it, is as good as an empty database.
    let data = with_key(&scene.server, "over-schema");
    let fresh = Postgres::shared().fresh_database();
    run_on(&scene.server, &data, Some(&fresh), &["doctor"]);
    let (done, _, errors) = restore(&scene.server, &data, Some(&fresh), &file);
    assert!(done, "{errors}");
}

/// Restoring says why not, and everything is as it was.
#[track_caller]
fn refuse(server: &Server, data: &Path, file: &Path, what: &str, says: &[&str]) {
    let before = data.exists().then(|| contents(data));
    let (done, printed, errors) = restore(server, data, None, file);
    assert!(!done, "{what}: {printed}");
    for text in says {
        assert!(errors.contains(text), "{what}: `{text}` is not in: {errors}");
    }
    assert_eq!(data.exists().then(|| contents(data)), before, "{what}");
}

fn write_key(data: &Path, text: &str, mode: u32) {
    let keys = data.join("keys");
    fs::create_dir_all(&keys).unwrap();
    let key = keys.join("root.key");
    fs::write(&key, text).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
}
