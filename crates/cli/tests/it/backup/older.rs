//! An older database in the place of the newest: refused, until somebody says that it is meant.

use crate::server::{Backend, Server};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

#[test]
fn an_older_database_is_accepted_by_word_alone() {
    let mut server = Server::start("backup-older", Backend::Sqlite);
    let (done, printed, _) = server.run(&["restore", "--accept-older"]);
    assert!(!done && printed.is_empty(), "not beside the running server");
    assert!(server.stop());
    let (done, printed, errors) = server.run(&["restore", "--accept-older"]);
    assert!(done && printed.contains("nothing to accept"), "{errors}");
    let db = server.data.join("db");
    let older = server.evidence.folder().join("older");
    copy(&db, &older);
    server.spawn();
    server
        .post(
            "/credentials",
            &json!({
                "key": "LATE", "type": "api_key", "hosts": ["api.example.com"],
                "fields": { "value": server.evidence.canary("LATE") },
            }),
        )
        .expect(201);
    // The anchor is at most a second behind.
    thread::sleep(Duration::from_millis(1500));
    assert!(server.stop());
    fs::remove_dir_all(&db).unwrap();
    copy(&older, &db);

    let refused = server.command(&["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && errors.contains("rollback_detected"), "{errors}");
    assert!(errors.contains("keyward restore --accept-older"), "{errors}");
    let (done, printed, errors) = server.run(&["restore", "--accept-older", "--json"]);
    assert!(done && printed.contains("true"), "{errors}");
    server.spawn();
    let records = server.get("/audit?action=audit.older_accepted").expect(200);
    assert_eq!(records["items"].as_array().unwrap().len(), 1, "{records}");
    assert_eq!(records["items"][0]["reason"], "database_older");
    let (holds, _, errors) = server.run(&["audit", "verify"]);
    assert!(holds, "{errors}");

    // An anchor that was tampered with is accepted away as well, and said to be.
    assert!(server.stop());
    fs::write(server.data.join("anchor.json"), "{}").unwrap();
    let (done, _, errors) = server.run(&["restore", "--accept-older"]);
    assert!(done, "{errors}");
    server.spawn();
    let records = server.get("/audit?action=audit.older_accepted").expect(200);
    assert_eq!(records["items"][0]["reason"], "anchor_altered");
    for wrong in [&["restore"][..], &["restore", "x", "--accept-older"]] {
        let output = server.command(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
