//! The root key alone: a change that was cut off, a key that comes from elsewhere, and what refuses.

use super::rotate;
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_new_root_key_may_lie_elsewhere() {
    on_both("key-rotation-elsewhere", |mut server| {
        let key_file = server.data.join("keys/root.key");
        let elsewhere = server.private().join("mounted/new.key");
        let path = elsewhere.to_str().unwrap().to_owned();
        let old = fs::read(&key_file).unwrap();
        let report = rotate(&server, &["--root", "--new-root-key-file", &path]);
        assert_eq!(report["root"]["file"], path);
        assert_eq!(fs::read(&key_file).unwrap(), old, "the file in use is somebody else's");

        // The running server goes on with what it has, and new keys wait for it.
        server.get("/credentials").expect(200);
        let again = ["--root", "--new-root-key-file", &path];
        let arguments = [&["key", "rotate"], &again[..]].concat();
        let (done, _, errors) = server.run(&arguments);
        let named = report["root"]["after"].as_str().unwrap();
        assert!(!done && errors.contains(named), "{errors}");
        assert!(server.stop());

        let (started, _, errors) = server.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert!(!started && errors.contains(named), "{errors}");
        fs::copy(&elsewhere, &key_file).unwrap();
        server.spawn();
        server.get("/credentials").expect(200);
        rotate(&server, &[]);
        server.get("/credentials").expect(200);
    });
}

#[test]
fn a_change_that_was_cut_off_before_its_file_moved_is_finished_at_the_next_start() {
    let mut server = Server::start("key-rotation-cut-off", Backend::Sqlite);
    let (key_file, next) =
        (server.data.join("keys/root.key"), server.data.join("keys/root.key.next"));
    let old = fs::read(&key_file).unwrap();
    rotate(&server, &["--root"]);
    assert!(server.stop());
    // As if it had died between the commit and the move.
    fs::copy(&key_file, &next).unwrap();
    fs::write(&key_file, &old).unwrap();
    let (waits, printed, errors) = server.run(&["key", "status"]);
    assert!(waits && printed.contains("next start finishes"), "{printed}{errors}");
    server.spawn();
    assert!(!next.exists());
    assert_ne!(fs::read(&key_file).unwrap(), old);
    server.get("/credentials").expect(200);

    // As if it had died before the commit: the key that nobody uses is taken up.
    fs::copy(&key_file, &next).unwrap();
    fs::write(&next, &old).unwrap();
    let report = rotate(&server, &["--root"]);
    assert_ne!(report["root"], Value::Null);
    assert!(!next.exists());
    assert_eq!(fs::read(&key_file).unwrap(), old);
    server.get("/credentials").expect(200);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let server = Server::start("key-rotation-refused", Backend::Sqlite);
    let inside = server.data.join("db/new.key");
    let inside = inside.to_str().unwrap();
    let status = || server.run(&["key", "status", "--json"]).1;
    let before = status();
    let cases: [(&[&str], &str); 5] = [
        (&["--workspace", "nobody"], "there is no workspace nobody"),
        (&["--workspaces", "--new-root-key-file", "x.key"], "goes with --root"),
        (&["--root", "--new-root-key-file", inside], "inside the database directory"),
        (&["--root", "--new-root-key-file", "/proc/new.key"], "new.key"),
        (&["--root", "--destroy-old"], "cannot be used with"),
    ];
    for (options, expected) in cases {
        let (done, _, errors) = server.run(&[&["key", "rotate"], options].concat());
        assert!(!done && errors.contains(expected), "{options:?}: {errors}");
    }
    assert_eq!(status(), before);
    let nothing = rotate(&server, &["--destroy-old"]);
    assert_eq!(nothing["workspaces"][0]["destroyed"], json!(0));
    assert_eq!(status(), before);
}
