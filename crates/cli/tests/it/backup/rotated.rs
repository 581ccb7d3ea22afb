//! A backup is of the root key of its time: the old one opens what is older than a rotation, the new
//! one what is newer, and each works on with its own.

use super::{back_up, calls, restore, with_key};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use serde_json::json;
use std::fs;

#[test]
fn each_backup_opens_with_the_key_of_its_time() {
    let mut scene = Scene::with(Server::start("backup-rotated", Backend::Sqlite));
    let secret = scene.canary("KEY");
    scene.api_key("KEY", &secret);
    let (workflow, _) = calls(&scene, "KEY");
    let old_key = with_key(&scene.server, "with-old-key");
    let (before, said_before) = back_up(&scene.server, "before.backup");
    let (done, _, errors) = scene.server.run(&["key", "rotate", "--root"]);
    assert!(done, "{errors}");
    let new_key = with_key(&scene.server, "with-new-key");
    let (after, said_after) = back_up(&scene.server, "after.backup");
    let names =
        [&said_before["root_key"], &said_after["root_key"]].map(|name| name.as_str().unwrap());
    assert_ne!(names[0], names[1]);

    for (data, file) in [(&new_key, &before), (&old_key, &after)] {
        let (done, _, errors) = restore(&scene.server, data, None, file);
        assert!(!done && names.iter().all(|name| errors.contains(name)), "{errors}");
        let left: Vec<_> = fs::read_dir(data).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
    assert!(scene.server.stop());
    for (data, file) in [(old_key, before), (new_key, after)] {
        let (done, _, errors) = restore(&scene.server, &data, None, &file);
        assert!(done, "{errors}");
        scene.server.move_to(data, None);
        scene.server.spawn();
        assert_eq!(scene.run_again(&workflow, &json!({ "n": 1 }))["status"], "succeeded");
        let (holds, _, errors) = scene.server.run(&["audit", "verify"]);
        assert!(holds, "{errors}");
        assert!(scene.server.stop());
    }
    let bearer = format!("Bearer {secret}");
    let sent = scene.echo.received();
    let sent: Vec<_> = sent.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(sent, [Some(bearer.as_str()), Some(&bearer)]);
}
