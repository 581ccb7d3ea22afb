//! Runs that were open when the backup was taken: the restored server takes them up where they stood.

use super::{back_up, restore, with_key};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn open_runs_are_taken_up_by_the_restored_server() {
    let mut scene = Scene::with(Server::start("backup-open-runs", Backend::Sqlite));
    scene.api_key("KEY", &scene.canary("KEY"));
    scene.echo.route("/slow", Reply::text("done").after(Duration::from_secs(2)));
    scene.echo.queue(Reply::status(503));
    let waits = start(&scene, &json!([call(&scene, "later", 6)]));
    // Its first attempt has the queued answer.
    wait_for(&scene, "later", 1);
    let steps =
        json!([call(&scene, "before", 0), call(&scene, "slow", 0), call(&scene, "after", 0)]);
    let runs = start(&scene, &steps);
    wait_for(&scene, "slow", 1);
    let (file, _) = back_up(&scene.server, "open.backup");
    // The original dies with the step under way, so that what comes now comes from the copy.
    scene.server.kill();

    let data = with_key(&scene.server, "restored");
    let (done, _, errors) = restore(&scene.server, &data, None, &file);
    assert!(done, "{errors}");
    let node = |data: &std::path::Path| std::fs::read_to_string(data.join("node")).unwrap();
    let before = node(&scene.server.data);
    scene.server.move_to(data, None);
    scene.server.spawn();
    assert_ne!(node(&scene.server.data), before, "another node");

    let run = scene.server.ended(&runs);
    assert_eq!(run["status"], "succeeded", "{run}");
    let ids: Vec<_> = run["steps"].as_array().unwrap().iter().map(|step| &step["id"]).collect();
    assert_eq!(ids, ["before", "slow", "after"]);
    assert_eq!(run["steps"][0]["output"]["status"], 200, "a step that had run is kept");
    assert_eq!(run["steps"][1]["output"]["body"], "done");
    let keys = |path: &str| -> Vec<String> {
        let all = scene.echo.received();
        let here = all.iter().filter(|request| request.path() == format!("/{path}"));
        here.map(|request| request.header("idempotency-key").unwrap().to_owned()).collect()
    };
    assert_eq!((keys("before").len(), keys("slow").len(), keys("after").len()), (1, 2, 1));
    assert_eq!(keys("slow").into_iter().collect::<BTreeSet<_>>().len(), 1, "one key for both");
    let run = scene.server.ended(&waits);
    assert_eq!((&run["status"], &run["steps"][0]["attempt"]), (&json!("succeeded"), &json!(2)));
    assert_eq!(keys("later").len(), 2);
    let (holds, _, errors) = scene.server.run(&["audit", "verify"]);
    assert!(holds, "{errors}");
}

/// A request with the key, tried once more after so many seconds.
fn call(scene: &Scene, id: &str, retry_after: u32) -> Value {
    let mut step = json!({
        "id": id, "kind": "http", "credential": { "$credential": "KEY" },
        "request": { "method": "POST", "url": scene.echo.url(id), "json": { "n": 1 } },
    });
    if retry_after > 0 {
        step["retry"] = json!({ "attempts": 2, "delay_seconds": retry_after, "backoff": "fixed" });
    }
    step
}

/// Starts a run whose hook answers at once; gives its id.
fn start(scene: &Scene, steps: &Value) -> String {
    let trigger = json!({ "kind": "http", "method": "POST", "respond": "accepted" });
    let definition = json!({ "name": "Open", "trigger": trigger, "steps": steps });
    let (_, hook) = scene.server.workflow(&definition);
    let answer = scene.server.hook(&hook, &json!({}));
    answer.expect(202)["run_id"].as_str().unwrap().to_owned()
}

fn wait_for(scene: &Scene, path: &str, count: usize) {
    let begun = Instant::now();
    let seen = || {
        let all = scene.echo.received();
        all.iter().filter(|request| request.path() == format!("/{path}")).count()
    };
    while seen() < count {
        assert!(begun.elapsed() < Duration::from_secs(20), "/{path} is not asked for");
        thread::sleep(Duration::from_millis(5));
    }
}
