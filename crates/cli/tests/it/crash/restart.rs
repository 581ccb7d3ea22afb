//! `kill -9`, then a start on the same data.

use super::{Scene, check_audit, distinct, signal, step_ids};
use crate::server::{Backend, Server, on_both};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const SLOW: Duration = Duration::from_millis(1500);

#[test]
fn a_run_goes_on_after_a_crash_wherever_it_stood() {
    on_both("crash", |server| {
        let mut scene = Scene::of(server);
        in_a_busy_code_step(&mut scene);
        in_a_slow_request(&mut scene);
        twice_in_one_step(&mut scene);
        while_waiting_for_a_retry(&mut scene);
        in_the_second_attempt(&mut scene);
        where_a_step_must_not_run_again(&mut scene);
        check_audit(&scene.server);
    });
}

fn in_a_busy_code_step(scene: &mut Scene) {
    let source = format!(
        "const r = await fetch('{}', {{ method: 'POST', headers: {{ authorization: `Bearer ${{credential('KEY')}}` }} }});\n\
         const begun = Date.now(); while (Date.now() - begun < 1500) ;\n\
         return {{ status: r.status, n: trigger.body.n, earlier: steps.before.output.status }}",
        scene.echo.url("busy")
    );
    let busy = json!({ "id": "busy", "kind": "code", "source": source });
    let (before, after) = (scene.call("before", &json!({})), scene.call("after", &json!({})));
    let id = scene.start(&json!([before, busy, after]));
    scene.wait_for("busy", 1);
    thread::sleep(Duration::from_millis(300));
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["before", "busy", "after"]);
    assert_eq!(run["steps"][1]["output"], json!({ "status": 200, "n": 7, "earlier": 200 }));
    assert_eq!(run["steps"][1]["attempt"], 1);
    assert_eq!((scene.keys("before").len(), scene.keys("after").len()), (1, 1));
    assert_eq!(scene.keys("busy").len(), 2);
    assert_eq!(distinct(&scene.keys("busy")), 1, "{:?}", scene.keys("busy"));
}

fn in_a_slow_request(scene: &mut Scene) {
    scene.echo.route("/slow", Reply::text("done").after(SLOW));
    let steps = json!([
        scene.call("one", &json!({})),
        scene.call("slow", &json!({})),
        scene.call("two", &json!({}))
    ]);
    let id = scene.start(&steps);
    scene.wait_for("slow", 1);
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["one", "slow", "two"]);
    assert_eq!(run["steps"][1]["output"]["body"], "done");
    assert_eq!(
        (scene.keys("one").len(), scene.keys("slow").len(), scene.keys("two").len()),
        (1, 2, 1)
    );
    assert_eq!(distinct(&scene.keys("slow")), 1);
    assert_eq!(scene.requests("two")[0].text(), r#"{"n":7}"#, "the trigger is still there");
}

fn twice_in_one_step(scene: &mut Scene) {
    scene.echo.route("/unlucky", Reply::text("done").after(SLOW));
    let id = scene.start(&json!([scene.call("unlucky", &json!({}))]));
    scene.wait_for("unlucky", 1);
    scene.kill_and_restart();
    scene.wait_for("unlucky", 2);
    scene.kill_and_restart();
    scene.check_succeeded(&scene.server, &id, &["unlucky"]);
    assert_eq!((scene.keys("unlucky").len(), distinct(&scene.keys("unlucky"))), (3, 1));
}

fn while_waiting_for_a_retry(scene: &mut Scene) {
    scene.echo.queue(Reply::status(503));
    let retry = json!({ "retry": { "attempts": 2, "delay_seconds": 3, "backoff": "fixed" } });
    let begun = Instant::now();
    let id = scene.start(&json!([scene.call("again", &retry)]));
    let waits = |run: &Value| run["steps"][0]["status"] == "waiting";
    while !waits(&scene.server.get(&format!("/runs/{id}")).expect(200)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the run does not wait");
        thread::sleep(Duration::from_millis(10));
    }
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["again"]);
    assert_eq!(run["steps"][0]["attempt"], 2);
    assert!(begun.elapsed() > Duration::from_secs(3), "the delay was cut short");
    assert_eq!((scene.keys("again").len(), distinct(&scene.keys("again"))), (2, 2));
}

fn in_the_second_attempt(scene: &mut Scene) {
    scene.echo.queue(Reply::status(503)).queue(Reply::text("never seen").after(SLOW));
    let retry = json!({ "retry": { "attempts": 2, "delay_seconds": 0 } });
    let id = scene.start(&json!([scene.call("second", &retry)]));
    scene.wait_for("second", 2);
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["second"]);
    assert_eq!(run["steps"][0]["attempt"], 2);
    let keys = scene.keys("second");
    assert_eq!((keys.len(), &keys[1]), (3, &keys[2]), "the interrupted attempt's key came again");
    assert_ne!(keys[0], keys[1]);
}

fn where_a_step_must_not_run_again(scene: &mut Scene) {
    scene.echo.route("/once", Reply::text("done").after(SLOW));
    let once = json!({ "on_interrupt": "fail" });
    let steps =
        json!([scene.call("first", &once), scene.call("once", &once), scene.call("last", &once)]);
    let id = scene.start(&steps);
    scene.wait_for("once", 1);
    scene.kill_and_restart();
    let run = scene.server.ended(&id);
    assert_eq!(run["status"], "failed", "{run}");
    assert_eq!(run["error"]["code"], "interrupted", "{run}");
    assert_eq!(run["steps"][1]["error"]["code"], "interrupted", "{run}");
    assert_eq!(step_ids(&run), ["first", "once"]);
    let seen = (scene.keys("first").len(), scene.keys("once").len(), scene.keys("last").len());
    assert_eq!(seen, (1, 1, 0), "no step ran twice, and none after it");
    scene.check_requests(&scene.server, &id, &["first", "once"]);

    let lenient = json!({ "on_interrupt": "fail", "on_error": "continue" });
    scene.echo.route("/lenient", Reply::text("done").after(SLOW));
    let id = scene.start(&json!([scene.call("lenient", &lenient), scene.call("onward", &once)]));
    scene.wait_for("lenient", 1);
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["lenient", "onward"]);
    assert_eq!(run["steps"][0]["error"]["code"], "interrupted", "{run}");
    assert_eq!((scene.keys("lenient").len(), scene.keys("onward").len()), (1, 1));
}

#[test]
fn a_long_run_is_killed_again_and_again_between_its_steps() {
    let mut scene = Scene::of(Server::start("crash-between", Backend::Sqlite));
    let ids: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let steps: Vec<Value> = ids.iter().map(|id| scene.call(id, &json!({}))).collect();
    let id = scene.start(&json!(steps));
    for reached in [5, 11, 23, 31] {
        scene.wait_for(&ids[reached], 1);
        scene.kill_and_restart();
    }
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    scene.check_succeeded(&scene.server, &id, &names);
    let mut repeated = 0;
    for name in names {
        let keys = scene.keys(name);
        assert_eq!(distinct(&keys), 1, "{name}: {keys:?}");
        repeated += keys.len() - 1;
    }
    assert!(repeated <= 4, "{repeated} requests came again after 4 crashes");
    check_audit(&scene.server);
}

#[test]
fn accepted_hooks_are_never_lost() {
    on_both("crash-hooks", |server| {
        let mut scene = Scene::of(server);
        let hook = scene.hook(&json!([
            { "id": "double", "kind": "code", "source": "return trigger.body.n * 2" },
            { "id": "more", "kind": "code", "source": "return steps.double.output + 1" },
        ]));
        let accepted = Mutex::new(Vec::new());
        for round in 1..=4 {
            thread::scope(|scope| {
                let senders: Vec<_> = (0..6)
                    .map(|sender| {
                        let (server, hook, accepted) = (&scene.server, &hook, &accepted);
                        scope.spawn(move || send_until(server, hook, accepted, sender, round * 50))
                    })
                    .collect();
                while accepted.lock().unwrap().len() < round * 50 - 10 {
                    thread::sleep(Duration::from_millis(1));
                }
                if round < 4 {
                    signal(&scene.server, "-9");
                }
                senders.into_iter().for_each(|sender| sender.join().unwrap());
            });
            if round < 4 {
                scene.kill_and_restart();
            }
        }
        let accepted = accepted.into_inner().unwrap();
        assert!(accepted.len() >= 190, "{}", accepted.len());
        for (id, number) in &accepted {
            let run = scene.server.ended(id);
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(step_ids(&run), ["double", "more"]);
            assert_eq!(run["steps"][1]["output"], number * 2 + 1, "{run}");
        }
        let open = scene.server.get("/runs?status=running").expect(200);
        assert_eq!(open["items"], json!([]), "also runs whose answer was lost have ended");
        check_audit(&scene.server);
    });
}

/// Sends events until there are so many, or the server is gone; keeps those that were accepted.
fn send_until(
    server: &Server,
    hook: &str,
    accepted: &Mutex<Vec<(String, u64)>>,
    sender: u64,
    enough: usize,
) {
    for count in 0.. {
        if accepted.lock().unwrap().len() >= enough {
            return;
        }
        let number = sender * 1_000_000 + count;
        let body = json!({ "n": number }).to_string();
        let headers = [("Content-Type", "application/json")];
        let Ok(answer) = server.try_send("POST", hook, &headers, body.as_bytes()) else { return };
        let Ok(body) = serde_json::from_str::<Value>(&answer.body) else { return };
        assert_eq!(answer.status, 202, "{body}");
        accepted.lock().unwrap().push((body["run_id"].as_str().unwrap().to_owned(), number));
    }
}

#[test]
fn a_no_store_run_is_finished_too_and_leaves_nothing() {
    let mut scene = Scene::of(Server::start("crash-no-store", Backend::Sqlite));
    let payload = json!({ "n": scene.server.evidence.canary("PAYLOAD") }).to_string();
    scene.echo.route("/slow", Reply::text("done").after(SLOW));
    let steps = json!([
        scene.call("early", &json!({})),
        scene.call("slow", &json!({})),
        scene.call("late", &json!({}))
    ]);
    let hook = scene.hook(&steps);
    let headers = [("Content-Type", "application/json"), ("x-keyward-no-store", "1")];
    let answer = scene.server.send("POST", &hook, &headers, payload.as_bytes());
    let id = answer.expect(202)["run_id"].as_str().unwrap().to_owned();
    scene.wait_for("slow", 1);
    scene.kill_and_restart();
    let run = scene.check_succeeded(&scene.server, &id, &["early", "slow", "late"]);
    assert_eq!(run["stored"], false);
    assert!(run["trigger"].is_null() && run["steps"][2]["input"].is_null(), "{run}");
    assert_eq!(scene.requests("late")[0].text(), payload);
    assert_eq!(scene.keys("early").len(), 1);
}

#[test]
fn a_run_ends_although_its_workflow_is_gone_after_the_crash() {
    let mut scene = Scene::of(Server::start("crash-gone", Backend::Sqlite));
    scene.echo.route("/slow", Reply::text("done").after(SLOW));
    let (workflow, hook) = scene.server.workflow(&json!({
        "name": "Gone", "trigger": { "kind": "http" }, "steps": [scene.call("slow", &json!({}))],
    }));
    let answer = scene.server.hook(&hook, &json!({ "n": 1 }));
    let id = answer.expect(202)["run_id"].as_str().unwrap().to_owned();
    scene.wait_for("slow", 1);
    let deleted = scene.server.api("DELETE", &format!("/workflows/{workflow}"), &Value::Null);
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    scene.kill_and_restart();
    let run = scene.server.ended(&id);
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("interrupted")));
    assert_eq!(scene.keys("slow").len(), 1);
    check_audit(&scene.server);
}
