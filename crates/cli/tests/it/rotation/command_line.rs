//! The command line guides through a rotation, and shows no value.

use super::{arrived, calling, check_rotation, versions};
use crate::scene::Scene;
use keyward_testkit::echo::Reply;
use serde_json::json;
use std::process::Stdio;

/// Runs a command against the server; gives its success and everything that it printed.
fn keyward(scene: &Scene, arguments: &[&str]) -> (bool, String) {
    let server = &scene.server;
    let output = server
        .command(&[&["credential"], arguments].concat())
        .env("KEYWARD_URL", &server.url)
        .env("KEYWARD_TOKEN", &server.token)
        .env("KEYWARD_WORKSPACE", "default")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let printed = [output.stdout, output.stderr].concat();
    server.evidence.keep("commands.out", &printed);
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

#[track_caller]
fn check(scene: &Scene, arguments: &[&str], success: bool, expected: &[&str]) -> String {
    let (done, printed) = keyward(scene, arguments);
    assert_eq!(done, success, "{arguments:?}: {printed}");
    for text in expected {
        assert!(printed.contains(text), "{arguments:?} does not say {text:?}: {printed}");
    }
    printed
}

/// Writes a value to a file that is not swept; gives its path.
fn file(scene: &Scene, name: &str, value: &str) -> String {
    let path = scene.server.private().join(name);
    std::fs::write(&path, format!("{value}\n")).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn a_rotation_by_command_goes_step_by_step() {
    let scene = Scene::start("rotation-commands");
    let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
    let id = scene.credential(&json!({
        "key": "KEY", "type": "api_key", "fields": { "value": old }, "hosts": [scene.host()],
        "test": { "method": "GET", "url": format!("{}/me", scene.host()) },
    }));
    let workflow = calling(&scene, "KEY");
    let new_file = file(&scene, "new", &new);
    scene.next(Reply::status(401));
    let staged = ["rotate", "KEY", "--value-file", &new_file, "--test", "--promote"];
    check(&scene, &staged, false, &["staged version 2", "status 401", "stays staged"]);
    assert_eq!(arrived(&scene, &workflow, &id), (old.clone(), 1));
    check(&scene, &staged, false, &["a version is staged already"]);

    let went_on = ["rotate", "KEY", "--test", "--promote", "--no-wait"];
    let said = ["version 2 is staged already", "tested version 2", "promoted version 2"];
    check(&scene, &went_on, true, &said);
    check_rotation(&scene, &id, "promoted", "+++..");
    for _ in 0..3 {
        assert_eq!(arrived(&scene, &workflow, &id), (new.clone(), 2));
    }
    check_rotation(&scene, &id, "verified", "++++!");
    let printed = check(&scene, &["versions", "KEY"], true, &["VERSION", "current", "previous"]);
    assert!(printed.lines().nth(1).is_some_and(|line| line.starts_with('2')), "{printed}");

    check(&scene, &["test", "KEY"], true, &["the service took the value"]);
    scene.next(Reply::status(403));
    check(&scene, &["test", &id, "--version", "1"], false, &["403", "did not pass"]);
    check(&scene, &["rollback", "KEY", "1"], true, &["version"]);
    assert_eq!(arrived(&scene, &workflow, &id), (old.clone(), 1));
    check(&scene, &["discard", "KEY", "2"], true, &["destroyed version 2"]);
    assert_eq!(versions(&scene, &id), [(1, "current".into())]);
    check(&scene, &["discard", "KEY", "1"], false, &["the current one"]);

    check(&scene, &["delete", "KEY"], false, &["workflows use this credential"]);
    check(&scene, &["delete", "KEY", "--confirm"], true, &["credential restore"]);
    check(&scene, &["get", "KEY"], false, &["no credential KEY"]);
    check(&scene, &["restore", "KEY"], true, &["active"]);
    assert_eq!(arrived(&scene, &workflow, &id), (old, 1));
    check(&scene, &["delete", "KEY", "--confirm", "--now"], true, &["destroyed its values"]);
    check(&scene, &["restore", &id], false, &["Not found"]);
}

#[test]
fn a_rotation_waits_until_steps_have_used_the_new_value() {
    let scene = Scene::start("rotation-commands-wait");
    let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
    let id = scene.api_key("KEY", &old);
    let workflow = calling(&scene, "KEY");
    let new_file = file(&scene, "new", &new);
    std::thread::scope(|threads| {
        let waiting = threads
            .spawn(|| keyward(&scene, &["rotate", "KEY", "--value-file", &new_file, "--promote"]));
        while versions(&scene, &id).first() != Some(&(2, "current".into())) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(!waiting.is_finished());
        for _ in 0..3 {
            assert_eq!(arrived(&scene, &workflow, &id), (new.clone(), 2));
        }
        let (done, printed) = waiting.join().expect("its end");
        assert!(done && printed.contains("verified"), "{printed}");
        assert!(printed.contains("keyward credential discard"), "{printed}");
    });
}
