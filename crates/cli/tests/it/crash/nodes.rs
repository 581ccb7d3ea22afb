//! Two nodes on one PostgreSQL: what one leaves, the other finishes.

use super::{Scene, check_audit, distinct, signal};
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

/// contract.md's promise for another node.
const TAKE_OVER: Duration = Duration::from_secs(15);

#[test]
fn a_dead_nodes_runs_are_taken_over_by_the_other() {
    let mut scene = Scene::of(Server::start("crash-nodes-a", Backend::Postgres));
    let other = scene.server.beside("crash-nodes-b");
    scene.echo.route("/slow", Reply::text("done").after(Duration::from_millis(500)));
    scene.echo.route("/strict", Reply::text("done").after(Duration::from_millis(500)));
    let once = json!({ "on_interrupt": "fail" });
    let retry = json!({ "retry": { "attempts": 2, "delay_seconds": 1 } });
    let plain = scene.hook(&json!([
        scene.call("one", &json!({})),
        scene.call("slow", &json!({})),
        scene.call("two", &json!({}))
    ]));
    let strict = scene.hook(&json!([scene.call("strict", &once)]));
    let waits = scene.hook(&json!([scene.call("flaky", &retry)]));
    scene.echo.route("/flaky", Reply::status(503));
    let start = |hook: &str| {
        let answer = scene.server.hook(hook, &json!({ "n": 7 }));
        answer.expect(202)["run_id"].as_str().unwrap().to_owned()
    };
    let (plain, strict, waits) = (start(&plain), start(&strict), start(&waits));
    scene.wait_for("slow", 1);
    scene.wait_for("strict", 1);
    scene.wait_for("flaky", 1);
    scene.server.kill();
    let killed = Instant::now();
    scene.wait_for("slow", 2);
    assert!(killed.elapsed() < TAKE_OVER, "{:?}", killed.elapsed());

    let run = scene.check_succeeded(&other, &plain, &["one", "slow", "two"]);
    assert_eq!(run["steps"][1]["output"]["body"], "done");
    let run = other.ended(&strict);
    assert_eq!(run["error"]["code"], "interrupted", "{run}");
    let run = other.ended(&waits);
    assert_eq!(
        (&run["error"]["code"], &run["steps"][0]["attempt"]),
        (&json!("http_status"), &json!(2)),
        "{run}"
    );
    assert_eq!((scene.keys("slow").len(), distinct(&scene.keys("slow"))), (2, 1));
    let seen = ["one", "two", "strict"].map(|path| scene.keys(path).len());
    assert_eq!(seen, [1, 1, 1]);
    check_audit(&other);

    scene.server.spawn();
    let again = scene.server.ended(&plain);
    assert_eq!(
        again["steps"],
        other.ended(&plain)["steps"],
        "the first node came back and changed nothing"
    );
    assert_eq!(scene.keys("slow").len(), 2);
    check_audit(&scene.server);
}

#[test]
fn a_node_that_was_frozen_writes_nothing_over_what_the_other_did() {
    let mut scene = Scene::of(Server::start("crash-frozen-a", Backend::Postgres));
    let other = scene.server.beside("crash-frozen-b");
    scene.echo.queue(Reply::text("for the frozen node").after(Duration::from_millis(600)));
    let steps = json!([scene.call("slow", &json!({})), scene.call("next", &json!({}))]);
    let id = scene.start(&steps);
    scene.wait_for("slow", 1);
    signal(&scene.server, "-STOP");
    let frozen = Instant::now();
    scene.wait_for("slow", 2);
    assert!(frozen.elapsed() < TAKE_OVER, "{:?}", frozen.elapsed());
    let done: Value = scene.check_succeeded(&other, &id, &["slow", "next"]);
    assert_ne!(done["steps"][0]["output"]["body"], "for the frozen node");
    signal(&scene.server, "-CONT");
    thread::sleep(Duration::from_secs(1));
    assert_eq!(other.ended(&id)["steps"], done["steps"]);
    assert_eq!((scene.keys("slow").len(), scene.keys("next").len()), (2, 1));
    assert_eq!(distinct(&scene.keys("slow")), 1);

    // Awake again, it is a node like any other.
    let fresh = scene.start(&json!([scene.call("fresh", &json!({}))]));
    scene.check_succeeded(&scene.server, &fresh, &["fresh"]);
    check_audit(&other);
    scene.server.kill();
    scene.server.spawn();
}
