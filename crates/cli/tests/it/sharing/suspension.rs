//! The kill switch: from its answer on no request carries the value, on no node.

use super::{Member, code, owner, reason, sent, text};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A step that sends one request after the other until it is refused.
const LOOP: &str = "for (;;) {
    await fetch('HOST/tick', { headers: { authorization: `Bearer ${credential('KEY')}` } });
    await new Promise((resolve) => setTimeout(resolve, 1));
}";

/// Suspends while steps of `runs_on` use the credential; gives how long after the answer the last
/// request came.
fn last_request_after(scene: &Scene, runs_on: &Server, switched_on: &Server) -> Duration {
    let id = scene.api_key("KEY", &scene.canary("secret"));
    let workflow = scene.manual(&json!([scene.code("s", LOOP)]));
    let path = format!("/workflows/{workflow}/runs");
    let started = (0..3).map(|_| runs_on.post(&path, &json!({})).expect(202)["run_id"].clone());
    let started: Vec<Value> = started.collect();
    scene.echo.wait_for(30);
    switched_on.post(&format!("/credentials/{id}/suspend"), &Value::Null).expect(200);
    let answered = Instant::now();
    let (mut count, mut last) = (scene.echo.received().len(), Duration::ZERO);
    while answered.elapsed() < Duration::from_secs(2) {
        let now = scene.echo.received().len();
        if now > count {
            (count, last) = (now, answered.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for run in started {
        let run = runs_on.ended(&text(&run));
        assert_eq!(run["error"]["code"], "credential_unusable", "{run}");
    }
    assert_eq!(scene.echo.received().len(), count);
    last
}

#[test]
fn a_suspended_credential_leaves_with_no_request() {
    let scene = Scene::start("suspension-loop");
    let last = last_request_after(&scene, &scene.server, &scene.server);
    println!("SQLite: the last request came {} ms after the answer", last.as_millis());
    assert!(last < Duration::from_secs(1), "{last:?}");
    let refused = scene.audit("action=credential.used&outcome=refused");
    assert!(refused.iter().all(|event| event["reason"] == "suspended"), "{refused:?}");
    assert_eq!(refused.len(), 3, "each of the steps is told once");
}

#[test]
fn the_switch_works_on_every_node() {
    let scene = Scene::with(Server::start("suspension-nodes", Backend::Postgres));
    let other = scene.server.beside("suspension-nodes-other");
    let last = last_request_after(&scene, &scene.server, &other);
    println!("PostgreSQL: the last request came {} ms after the answer", last.as_millis());
    assert!(last < Duration::from_secs(1), "{last:?}");
}

#[test]
fn a_suspended_credential_comes_back_when_it_is_resumed() {
    let scene = Scene::start("suspension-resumed");
    let server = &scene.server;
    let secret = scene.canary("secret");
    let id = scene.api_key("KEY", &secret);
    let workflow = owner(server).caller(&scene, "KEY");
    let post = |what: &str, body: Value| server.post(&format!("/credentials/{id}/{what}"), &body);
    post("resume", Value::Null).expect_problem(409, "conflict");
    let suspended = post("suspend", json!({ "reason": " seen in a paste " })).expect(200);
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(suspended["status_reason"], "seen in a paste");
    assert_eq!(reason(&scene, "action=credential.suspended"), "seen in a paste");
    post("suspend", Value::Null).expect_problem(409, "conflict");
    assert_eq!(code(sent(&scene, &workflow)), "credential_unusable");
    let listed = server.get("/credentials?status=suspended").expect(200);
    assert_eq!(listed["items"][0]["id"], id.as_str());
    let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!(shown["unavailable_credentials"], json!(["KEY"]));
    // A new value is no reason to go on.
    let next = scene.canary("next");
    let value = json!({ "fields": { "value": next } });
    server.api("PUT", &format!("/credentials/{id}/value"), &value).expect(200);
    assert_eq!(code(sent(&scene, &workflow)), "credential_unusable");
    let resumed = post("resume", Value::Null).expect(200);
    assert_eq!((&resumed["status"], &resumed["status_reason"]), (&json!("active"), &Value::Null));
    assert_eq!(sent(&scene, &workflow), Ok(next));
    let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!(shown["unavailable_credentials"], json!([]));
    assert_eq!(scene.audit("action=credential.resumed").len(), 1);
    for body in [json!({ "reason": "a".repeat(201) }), json!({ "reason": "owner_left" })] {
        let problem = post("suspend", body).expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/reason");
    }
}

#[test]
fn who_may_switch_it() {
    let scene = Scene::start("suspension-who");
    let server = &scene.server;
    let admin = Member::machine(server, "admin", "admin");
    let (bob, carol) =
        (Member::machine(server, "bob", "editor"), Member::machine(server, "carol", "editor"));
    let common = scene.api_key("COMMON", &scene.canary("common"));
    let own = bob.personal(&scene, "OWN", &scene.canary("own"));
    let check = |who: &Member, id: &str, status: u16| {
        let suspended =
            who.call(server, "POST", &format!("/credentials/{id}/suspend"), &Value::Null);
        assert_eq!(suspended.status, status, "{}", suspended.body);
        if status == 200 {
            let resume = format!("/credentials/{id}/resume");
            who.call(server, "POST", &resume, &Value::Null).expect(200);
        }
        suspended
    };
    check(&admin, &common, 200);
    check(&bob, &common, 403);
    check(&bob, &own, 200);
    check(&carol, &own, 404);
    // Of another member's own, an admin sees no configuration even so.
    let seen = check(&admin, &own, 200).json();
    assert_eq!(seen["status"], "suspended");
    assert!(seen.get("hosts").is_none() && seen.get("fields").is_none(), "{seen}");
    let refused = scene.audit("action=credential.suspended&outcome=refused");
    assert_eq!(refused.len(), 2, "{refused:?}");
}
