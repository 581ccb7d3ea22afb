//! Starts that must be refused: an older database, a wrong key, a key in a wrong place.

use super::{Scene, copy_folder};
use crate::server::{Backend, Server};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn an_older_database_is_refused_and_the_newest_is_not() {
    let mut scene = Scene::of(Server::start("tampering-rollback", Backend::Sqlite));
    scene.credential("EARLY", &json!({}));
    assert!(scene.server.stop());
    let folder = tempfile::tempdir().unwrap();
    let (older, newest) = (folder.path().join("older"), folder.path().join("newest"));
    let db = scene.server.data.join("db");
    copy_folder(&db, &older);
    scene.server.spawn();
    scene.credential("LATE", &json!({}));
    // The anchor is at most a second behind; a crash must not hide the rollback.
    thread::sleep(Duration::from_millis(1500));
    scene.server.kill();
    copy_folder(&db, &newest);

    swap(&db, &older);
    for _ in 0..2 {
        let ended = serve(&scene.server, &scene.server.data, &[]);
        assert_eq!(ended.status, Some(1), "{}", ended.errors);
        assert!(ended.errors.contains("rollback_detected"), "{}", ended.errors);
        assert!(!ended.printed.contains("listening"), "{}", ended.printed);
    }
    let (holds, _, errors) = scene.server.run(&["audit", "verify"]);
    assert!(!holds && errors.contains("cut off"), "{errors}");

    swap(&db, &newest);
    scene.server.spawn();
    let listed = scene.server.get("/credentials?q=LATE").expect(200);
    assert_eq!(listed["items"][0]["status"], "active");
    assert!(scene.server.stop());

    let anchor = scene.server.data.join("anchor.json");
    let text = fs::read_to_string(&anchor).unwrap();
    for altered in [text.replacen("\"number\": ", "\"number\": 1", 1), "{}".into(), String::new()] {
        fs::write(&anchor, altered).unwrap();
        let ended = serve(&scene.server, &scene.server.data, &[]);
        assert_eq!(ended.status, Some(1), "{}", ended.errors);
        assert!(ended.errors.contains("rollback_detected"), "{}", ended.errors);
    }
    fs::write(&anchor, text).unwrap();
    scene.server.spawn();
}

fn swap(db: &Path, with: &Path) {
    fs::remove_dir_all(db).unwrap();
    copy_folder(with, db);
}

#[test]
fn without_the_right_root_key_nothing_starts_and_nothing_is_written() {
    let mut scene = Scene::of(Server::start("tampering-root-key", Backend::Sqlite));
    let (_, secret) = scene.credential("KEY", &json!({}));
    let (workflow, _) = scene.caller("KEY", &scene.echo.url("ok/x"));
    let (_, status, _) = scene.server.run(&["key", "status"]);
    let expected = fingerprint(&status);
    assert!(scene.server.stop());
    let folder = tempfile::tempdir().unwrap();
    let other_key = folder.path().join("other.key");
    write_key(&other_key, &"ab".repeat(32));
    let (_, other) = run(
        &scene.server,
        folder.path(),
        &["key", "status"],
        &[("KEYWARD_ROOT_KEY_FILE", &other_key)],
    );
    let other = fingerprint(&other);
    let key = |data: &Path| data.join("keys/root.key");
    let cases: &[Case] = &[
        ("missing", &|data| fs::remove_file(key(data)).unwrap(), &[&expected]),
        ("no keys folder", &|data| fs::remove_dir_all(data.join("keys")).unwrap(), &[&expected]),
        ("another", &|data| copy_file(&other_key, &key(data)), &[&expected, &other]),
        ("readable by the group", &|data| set_mode(&key(data), 0o640), &["0600"]),
        ("readable by all", &|data| set_mode(&key(data), 0o644), &["0600"]),
        ("empty", &|data| write_key(&key(data), ""), &["root key"]),
        ("too short", &|data| write_key(&key(data), &"ab".repeat(31)), &["root key"]),
        (
            "a folder",
            &|data| {
                fs::remove_file(key(data)).unwrap();
                fs::create_dir(key(data)).unwrap();
                set_mode(&key(data), 0o700);
            },
            &["root key"],
        ),
        ("a link into db", &|data| link_into_db(data), &["inside the database directory"]),
    ];
    for (number, (what, change, named)) in cases.iter().enumerate() {
        let data = folder.path().join(number.to_string());
        copy_folder(&scene.server.data, &data);
        change(&data);
        check_refused(&scene.server, &data, &[], what, named);
    }
    let data = folder.path().join("elsewhere");
    copy_folder(&scene.server.data, &data);
    check_refused(
        &scene.server,
        &data,
        &[("KEYWARD_ROOT_KEY_FILE", &other_key)],
        "another by variable",
        &[&expected, &other],
    );
    let inside = data.join("db/root.key");
    fs::copy(key(&data), &inside).unwrap();
    check_refused(
        &scene.server,
        &data,
        &[("KEYWARD_ROOT_KEY_FILE", &inside)],
        "inside db",
        &["inside the database directory"],
    );

    let stolen = folder.path().join("stolen");
    copy_folder(&scene.server.data.join("db"), &stolen.join("db"));
    check_refused(&scene.server, &stolen, &[], "db alone", &[&expected]);

    scene.server.spawn();
    assert_eq!(scene.code_of(&workflow), "", "the untouched one goes on");
    assert_eq!(scene.carried(&secret).len(), 1);
}

type Case<'a> = (&'a str, &'a dyn Fn(&Path), &'a [&'a str]);

/// No command gets anywhere, each says why, and the data directory is as it was.
#[track_caller]
fn check_refused(
    server: &Server,
    data: &Path,
    environment: &[(&str, &Path)],
    what: &str,
    named: &[&str],
) {
    let before = contents(data);
    let ended = serve(server, data, environment);
    assert_eq!(ended.status, Some(1), "{what}: {}", ended.errors);
    assert!(!ended.printed.contains("listening"), "{what}");
    for name in named {
        assert!(ended.errors.contains(name), "{what}: `{name}` is not in: {}", ended.errors);
    }
    assert_same(&before, &contents(data), &format!("{what}: serve"));
    for arguments in [&["audit", "verify"][..], &["setup-link"], &["key", "status"], &["doctor"]] {
        let (status, _) = run(server, data, arguments, environment);
        assert_eq!(status, Some(1), "{what}: {arguments:?}");
        assert_same(&before, &contents(data), &format!("{what}: {arguments:?}"));
    }
}

/// Every file below a folder with its content. The lock is no data.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.insert(path.clone(), b"a folder".to_vec());
            found.extend(contents(&path));
        } else if path.file_name().is_some_and(|name| name != "lock") {
            found.insert(path.clone(), fs::read(&path).unwrap_or_default());
        }
    }
    found
}

#[track_caller]
fn assert_same(
    before: &BTreeMap<PathBuf, Vec<u8>>,
    after: &BTreeMap<PathBuf, Vec<u8>>,
    what: &str,
) {
    let all = before.keys().chain(after.keys());
    let changed: Vec<_> = all.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{what} wrote {changed:?}");
}

#[test]
fn a_new_installation_does_not_put_its_key_beside_its_data() {
    let server = Server::start("tampering-first", Backend::Sqlite);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for place in ["db/root.key", "db/keys/root.key", "db/../db/root.key"] {
        let key = data.join(place);
        let ended = serve(&server, &data, &[("KEYWARD_ROOT_KEY_FILE", &key)]);
        assert_eq!(ended.status, Some(1), "{place}: {}", ended.errors);
        assert!(
            ended.errors.contains("inside the database directory"),
            "{place}: {}",
            ended.errors
        );
        assert!(!key.exists(), "{place}");
    }
}

struct Ended {
    status: Option<i32>,
    printed: String,
    errors: String,
}

/// Starts a server that must end by itself.
fn serve(server: &Server, data: &Path, environment: &[(&str, &Path)]) -> Ended {
    let mut command = command(server, data, &["serve", "--listen", "127.0.0.1:0"], environment);
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    let by_itself = child.try_wait().unwrap().is_some();
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(by_itself, "the server goes on: {}", text(&output.stderr));
    Ended {
        status: output.status.code(),
        printed: text(&output.stdout),
        errors: text(&output.stderr),
    }
}

fn run(
    server: &Server,
    data: &Path,
    arguments: &[&str],
    environment: &[(&str, &Path)],
) -> (Option<i32>, String) {
    let output = command(server, data, arguments, environment).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(
    server: &Server,
    data: &Path,
    arguments: &[&str],
    environment: &[(&str, &Path)],
) -> Command {
    let mut command = server.command(arguments);
    command
        .env("KEYWARD_DATA_DIR", data)
        .envs(environment.iter().copied())
        .env("KEYWARD_LOG", "info");
    command
}

/// The first fingerprint in a text: four groups of four hexadecimal digits.
#[track_caller]
fn fingerprint(text: &str) -> String {
    let is_group = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_hexdigit());
    let is_one = |word: &&str| word.split('-').count() == 4 && word.split('-').all(is_group);
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.into_iter().find(is_one).unwrap_or_else(|| panic!("no fingerprint in {text}")).to_owned()
}

fn write_key(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

fn copy_file(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn link_into_db(data: &Path) {
    let (key, inside) = (data.join("keys/root.key"), data.join("db/hidden.key"));
    fs::rename(&key, &inside).unwrap();
    std::os::unix::fs::symlink(&inside, &key).unwrap();
}
