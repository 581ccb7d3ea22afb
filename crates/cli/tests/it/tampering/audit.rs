//! The audit trail is edited: `audit verify` names the first record that is not as it was written.

use super::{Scene, copy_folder, edit};
use crate::server::{Backend, Server};
use serde_json::json;
use std::path::Path;
use std::process::Output;

/// What is done, and what is said of which record. Records are numbered from 1.
const EDITS: &[(&str, &str)] = &[
    ("UPDATE audit SET reason = 'other' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET outcome = 'refused' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET action = 'credential.deleted' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET actor_id = '' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET actor_name = 'Eve' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET at = at + 1 WHERE number = 4", "record 4 "),
    ("UPDATE audit SET destination = 'http://other' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET key = 'OTHER' WHERE number = 4", "record 4 "),
    ("UPDATE audit SET run_id = NULL WHERE number = 6", "record 6 "),
    ("UPDATE audit SET credential_id = NULL WHERE number = 4", "record 4 "),
    ("UPDATE audit SET step = 'x' WHERE number = 6", "record 6 "),
    ("UPDATE audit SET credential_number = 7 WHERE number = 4", "record 4 "),
    ("UPDATE audit SET credential_number = NULL WHERE number = 4", "record 4 "),
    ("UPDATE audit SET mac = zeroblob(32) WHERE number = 4", "record 4 "),
    (
        "UPDATE audit SET mac = (SELECT mac FROM audit WHERE number = 5) WHERE number = 4",
        "record 4 ",
    ),
    ("UPDATE audit SET outcome = 'maybe' WHERE number = 4", "record 4 "),
    ("DELETE FROM audit WHERE number = 4", "record 4 "),
    ("DELETE FROM audit WHERE number = 1", "record 1 "),
    ("DELETE FROM audit WHERE number > 4", "record 5 "),
    ("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)", "cut off"),
    ("DELETE FROM audit", "record 1 "),
    (
        "UPDATE audit SET number = CASE number WHEN 4 THEN -5 ELSE -4 END WHERE number IN (4, 5); UPDATE audit SET number = -number WHERE number < 0",
        "record 4 ",
    ),
    ("UPDATE audit SET number = number + 100 WHERE number >= 4", "record 4 "),
    (
        "INSERT INTO audit SELECT workspace_id, 'aud_00000000000000000000000000', at, actor_kind, actor_id, actor_name, action, outcome, reason, credential_id, key, workflow_id, run_id, step, destination, stream_id, number + 1000, opened_after, mac, credential_number FROM audit WHERE number = 4",
        "record ",
    ),
];

#[test]
fn the_first_altered_missing_reordered_or_cut_record_is_named() {
    let mut scene = Scene::of(Server::start("tampering-audit", Backend::Sqlite));
    scene.credential("KEY", &json!({}));
    let (workflow, _) = scene.caller("KEY", &scene.echo.url("ok/x"));
    for _ in 0..4 {
        assert_eq!(scene.code_of(&workflow), "");
    }
    assert!(scene.server.stop());
    assert_eq!(verify(&scene, &scene.server.data).0, Some(0));

    let folder = tempfile::tempdir().unwrap();
    for (number, (sql, named)) in EDITS.iter().enumerate() {
        let copy = folder.path().join(number.to_string());
        copy_folder(&scene.server.data, &copy);
        for statement in sql.split("; ") {
            assert!(edit(&copy, statement, &[]) > 0, "{sql}");
        }
        let (status, errors) = verify(&scene, &copy);
        assert_eq!(status, Some(1), "{sql}: {errors}");
        assert!(errors.contains(named), "{sql}: {errors}");
    }
}

fn verify(scene: &Scene, data: &Path) -> (Option<i32>, String) {
    let mut command = scene.server.command(&["audit", "verify"]);
    let Output { status, stderr, .. } = command.env("KEYWARD_DATA_DIR", data).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}
