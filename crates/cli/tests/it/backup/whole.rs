//! A backup taken under load: restored elsewhere, everything works on, and nothing is half there.

use super::{back_up, calls, restore, with_key};
use crate::scene::Scene;
use crate::server::{Backend, Server, on_both};
use keyward_testkit::postgres::Postgres;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_backup_under_load_restores_whole() {
    on_both("backup-load", |server| restores_whole(Scene::with(server)));
}

fn restores_whole(mut scene: Scene) {
    let secret = scene.canary("KEY");
    scene.api_key("KEY", &secret);
    let (workflow, hook) = calls(&scene, "KEY");
    let (file, said) = under_load(&scene, &hook);
    let size = fs::metadata(&file).unwrap();
    assert_eq!(size.permissions().mode() & 0o777, 0o600);
    assert_eq!(said["bytes"], size.len());
    assert!(said["rows"]["runs"].as_u64().unwrap() >= 20, "{said}");
    assert!(said["rows"].get("nodes").is_none(), "{said}");
    let exports = scene.audit("action=export.made");
    assert_eq!((exports.len(), &exports[0]["reason"]), (1, &json!("backup")));
    let (_, doctor, _) = scene.server.run(&["doctor"]);
    assert!(doctor.contains(&file.display().to_string()), "{doctor}");

    let data = with_key(&scene.server, "restored");
    let database =
        (scene.server.backend == Backend::Postgres).then(|| Postgres::shared().fresh_database());
    let (done, printed, errors) = restore(&scene.server, &data, database.as_deref(), &file);
    assert!(done, "{errors}");
    let restored: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(restored["rows"], said["rows"]);
    // Before its first start: what the anchor names is there, and every chain holds.
    assert!(data.join("anchor.json").exists());
    assert!(scene.server.stop());
    scene.server.move_to(data, database);
    check_audit(&scene.server);
    scene.server.spawn();

    assert_whole(&scene.server, said["rows"]["runs"].as_u64().unwrap());
    let before = scene.echo.received().len();
    assert_eq!(scene.run_again(&workflow, &json!({ "n": 1 }))["status"], "succeeded");
    scene.server.hook(&hook, &json!({ "n": 1 })).expect(200);
    let bearer = format!("Bearer {secret}");
    let after = scene.echo.received().split_off(before);
    let sent: Vec<_> = after.iter().map(|request| request.header("authorization")).collect();
    assert_eq!(sent, [Some(bearer.as_str()), Some(&bearer)], "the value is the one saved");
    let restored = scene.audit("action=server.restored");
    assert_eq!((restored.len(), &restored[0]["actor"]["kind"]), (1, &json!("system")));
    assert_eq!(scene.audit("action=export.made"), exports, "a backup holds its own record");
    check_audit(&scene.server);
}

/// A backup while three callers never stop.
fn under_load(scene: &Scene, hook: &str) -> (std::path::PathBuf, serde_json::Value) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let call = || {
            while !stop.load(Ordering::Relaxed) {
                scene.server.hook(hook, &json!({ "n": 7 })).expect(200);
            }
        };
        let callers: Vec<_> = (0..3).map(|_| scope.spawn(call)).collect();
        while scene.echo.received().len() < 20 {
            thread::sleep(Duration::from_millis(5));
        }
        let before = scene.echo.received().len();
        let made = back_up(&scene.server, "under-load.backup");
        let during = scene.echo.received().len() - before;
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert!(during > 0, "the server stood still during the backup");
        made
    })
}

/// Every run of before is there and ends well, with its step.
fn assert_whole(server: &Server, runs: u64) {
    let (mut cursor, mut count) = (String::new(), 0);
    loop {
        let page = server.get(&format!("/runs?limit=200{cursor}")).expect(200);
        for run in page["items"].as_array().unwrap() {
            let run = server.ended(run["id"].as_str().unwrap());
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(run["steps"][0]["status"], "succeeded", "{run}");
            count += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(count, runs);
}

#[track_caller]
fn check_audit(server: &Server) {
    let (holds, _, errors) = server.run(&["audit", "verify"]);
    assert!(holds, "{errors}");
}

#[test]
fn an_installation_moves_to_the_other_database_and_back() {
    let mut scene = Scene::with(Server::start("backup-move", Backend::Sqlite));
    let secret = scene.canary("KEY");
    scene.api_key("KEY", &secret);
    let (workflow, _) = calls(&scene, "KEY");
    for (round, backend) in [(1, Backend::Postgres), (2, Backend::Sqlite)] {
        assert_eq!(scene.run_again(&workflow, &json!({ "n": 1 }))["status"], "succeeded");
        assert!(scene.server.stop());
        let (file, _) = back_up(&scene.server, &format!("move-{round}.backup"));
        let data = with_key(&scene.server, &format!("moved-{round}"));
        let database = (backend == Backend::Postgres).then(|| Postgres::shared().fresh_database());
        let (done, _, errors) = restore(&scene.server, &data, database.as_deref(), &file);
        assert!(done, "{errors}");
        scene.server.move_to(data, database);
        scene.server.spawn();
        check_audit(&scene.server);
    }
    assert_eq!(scene.run_again(&workflow, &json!({ "n": 1 }))["status"], "succeeded");
    let runs = scene.server.get("/runs?limit=200").expect(200);
    assert_eq!(runs["items"].as_array().unwrap().len(), 3);
    let bearer = format!("Bearer {secret}");
    let all = scene.echo.received();
    assert!(all.iter().all(|request| request.header("authorization") == Some(&bearer)));
    assert_eq!(all.len(), 3);
}
