//! Rotation: a new value is staged, tested, promoted, returned from and cleared away, while
//! workflows go on.

mod command_line;
mod connection;
mod nodes;

use crate::scene::Scene;
use crate::server::{Answer, on_both};
use data_encoding::BASE64;
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::time::Duration;

/// The answer of a call below a credential.
fn call(scene: &Scene, method: &str, id: &str, path: &str) -> Answer {
    scene.server.api(method, &format!("/credentials/{id}{path}"), &Value::Null)
}

/// Stages a value; gives its version.
#[track_caller]
fn stage(scene: &Scene, id: &str, fields: &Value) -> i64 {
    let body = json!({ "fields": fields });
    let staged = scene.server.post(&format!("/credentials/{id}/versions"), &body).expect(201);
    assert_eq!(staged["state"], "staged", "{staged}");
    staged["version"].as_i64().expect("a number")
}

/// The versions that are kept, newest first, each with its state.
#[track_caller]
fn versions(scene: &Scene, id: &str) -> Vec<(i64, String)> {
    let list = call(scene, "GET", id, "/versions").expect(200);
    let items = list["items"].as_array().expect("items").iter();
    let state = |item: &Value| item["state"].as_str().expect("a state").to_owned();
    items.map(|item| (item["version"].as_i64().expect("a number"), state(item))).collect()
}

/// What the audit says of an action on a credential, newest first: outcome and reason.
#[track_caller]
fn audited(scene: &Scene, id: &str, action: &str) -> Vec<(String, String)> {
    let entries = scene.audit(&format!("action={action}"));
    let of = entries.iter().filter(|entry| entry["credential_id"] == id);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    of.map(|entry| (text(&entry["outcome"]), text(&entry["reason"]))).collect()
}

fn allowed(reasons: &[&str]) -> Vec<(String, String)> {
    reasons.iter().map(|reason| ("allowed".to_owned(), (*reason).to_owned())).collect()
}

/// A workflow of one HTTP step with that key.
fn calling(scene: &Scene, key: &str) -> String {
    scene.manual(&json!([{ "id": "call", "kind": "http", "credential": { "$credential": key },
        "request": { "url": format!("{}/call", scene.host()) } }]))
}

/// Runs it; gives what arrived as the value, and which version the step's record names.
#[track_caller]
fn arrived(scene: &Scene, workflow: &str, id: &str) -> (String, i64) {
    let run = scene.run_again(workflow, &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let used = &run["steps"][0]["credentials"][0];
    assert_eq!(used["credential_id"], id, "{run}");
    let received = scene.echo.received().pop().expect("a request");
    let sent = received.header("authorization").expect("the header");
    let value = sent.strip_prefix("Bearer ").expect("a bearer").to_owned();
    (value, used["version"].as_i64().expect("a number"))
}

#[test]
fn a_staged_value_is_used_by_no_step_until_it_is_promoted() {
    on_both("rotation-promote", |server| {
        let scene = Scene::with(server);
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = scene.api_key("KEY", &old);
        let workflow = calling(&scene, "KEY");
        assert_eq!(stage(&scene, &id, &json!({ "value": new })), 2);
        assert_eq!(versions(&scene, &id), [(2, "staged".into()), (1, "current".into())]);
        let view = call(&scene, "GET", &id, "").expect(200);
        assert_eq!((&view["version"], &view["staged"]["version"]), (&json!(1), &json!(2)));
        assert_eq!(arrived(&scene, &workflow, &id), (old.clone(), 1));
        let again = json!({ "fields": { "value": "another-0123456789" } });
        let again = scene.server.post(&format!("/credentials/{id}/versions"), &again);
        again.expect_problem(409, "conflict");

        let view = call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        assert_eq!((&view["version"], &view["staged"]), (&json!(2), &Value::Null));
        assert_eq!(versions(&scene, &id), [(2, "current".into()), (1, "previous".into())]);
        assert_eq!(arrived(&scene, &workflow, &id), (new.clone(), 2));
        call(&scene, "POST", &id, "/versions/2/promote").expect_problem(409, "conflict");
        call(&scene, "POST", &id, "/versions/3/promote").expect_problem(409, "conflict");
        call(&scene, "POST", &id, "/versions/x/promote").expect_problem(404, "not_found");

        let view = call(&scene, "POST", &id, "/versions/1/rollback").expect(200);
        assert_eq!(view["version"], 1);
        assert_eq!(arrived(&scene, &workflow, &id), (old, 1));
        call(&scene, "POST", &id, "/versions/1/rollback").expect_problem(409, "conflict");
        call(&scene, "POST", &id, "/versions/2/rollback").expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (new, 2));

        assert_eq!(audited(&scene, &id, "credential.staged"), allowed(&["version 2"]));
        assert_eq!(audited(&scene, &id, "credential.promoted"), allowed(&["version 2"]));
        let back = audited(&scene, &id, "credential.rolled_back");
        assert_eq!(back, allowed(&["version 2", "version 1"]));
    });
}

#[test]
fn a_step_under_way_keeps_its_version_and_the_next_one_gets_the_promoted() {
    on_both("rotation-under-way", |server| {
        let scene = Scene::with(server);
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = scene.credential(&json!({
            "key": "KEY", "type": "basic", "hosts": [scene.host()],
            "fields": { "username": "before", "password": old },
        }));
        let fields = json!({ "username": "after", "password": new });
        assert_eq!(stage(&scene, &id, &fields), 2);
        let source = "const send = (n) => fetch(`HOST/${n}`, { headers: { authorization: 'Basic ' + credential.basic('KEY') } }); \
            await send('first'); \
            while ((await (await fetch('HOST/gate')).json()).body !== undefined) await new Promise((r) => setTimeout(r, 20)); \
            await send('second'); return 1;";
        let after = json!({ "id": "http", "kind": "http", "credential": { "$credential": "KEY" },
            "request": { "url": format!("{}/third", scene.host()) } });
        let workflow = scene.manual(&json!([scene.code("s", source), after]));
        let path = format!("/workflows/{workflow}/runs");
        let started = scene.server.post(&path, &json!({})).expect(202);
        scene.echo.wait_for(2);
        call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        // Long enough that the step's grant is looked up again.
        std::thread::sleep(Duration::from_millis(300));
        scene.echo.route("/gate", Reply::json(&json!({})));
        let run = scene.server.ended(started["run_id"].as_str().unwrap());
        assert_eq!(run["status"], "succeeded", "{run}");
        let sent = |path: &str| {
            let received = scene.echo.received().into_iter().find(|r| r.path() == path).unwrap();
            received.header("authorization").unwrap().to_owned()
        };
        let basic = |user: &str, password: &str| {
            format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
        };
        // The user goes with the password of the same version.
        assert_eq!(sent("/first"), basic("before", &old));
        assert_eq!(sent("/second"), basic("before", &old));
        assert_eq!(sent("/third"), basic("after", &new));
        let used = |step: usize| {
            let used = &run["steps"][step]["credentials"][0];
            (used["credential_id"].clone(), used["version"].clone())
        };
        assert_eq!((used(0), used(1)), ((json!(id), json!(1)), (json!(id), json!(2))));
    });
}

#[test]
fn versions_are_discarded_and_destroyed_with_proof() {
    on_both("rotation-destroy", |server| {
        let scene = Scene::with(server);
        let (old, new, last) = (scene.canary("OLD"), scene.canary("NEW"), scene.canary("LAST"));
        let id = scene.api_key("KEY", &old);
        let workflow = calling(&scene, "KEY");
        stage(&scene, &id, &json!({ "value": scene.canary("WRONG") }));
        call(&scene, "DELETE", &id, "/versions/2").expect(204);
        assert_eq!(versions(&scene, &id), [(1, "current".into())]);
        assert_eq!(audited(&scene, &id, "credential.shredded"), allowed(&["version 2"]));
        assert!(audited(&scene, &id, "credential.revoked").is_empty(), "nothing had used it");

        // A plain overwrite leaves alone what is staged, and numbers are never given twice.
        assert_eq!(stage(&scene, &id, &json!({ "value": new })), 3);
        let put = json!({ "fields": { "value": last } });
        let put = scene.server.api("PUT", &format!("/credentials/{id}/value"), &put).expect(200);
        assert_eq!((&put["version"], &put["staged"]["version"]), (&json!(4), &json!(3)));
        let (staged, previous) = ("staged".to_owned(), "previous".to_owned());
        let kept = [(4, "current".to_owned()), (3, staged), (1, previous)];
        assert_eq!(versions(&scene, &id), kept);
        assert_eq!(arrived(&scene, &workflow, &id), (last, 4));
        call(&scene, "POST", &id, "/versions/3/promote").expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (new, 3));

        call(&scene, "DELETE", &id, "/versions/3").expect_problem(409, "conflict");
        call(&scene, "DELETE", &id, "/versions/99").expect_problem(404, "not_found");
        for version in [4, 1] {
            call(&scene, "DELETE", &id, &format!("/versions/{version}")).expect(204);
        }
        assert_eq!(versions(&scene, &id), [(3, "current".into())]);
        let gone = call(&scene, "POST", &id, "/versions/1/rollback");
        gone.expect_problem(409, "conflict");
        let revoked = audited(&scene, &id, "credential.revoked");
        assert_eq!(revoked, allowed(&["version 1", "version 4"]));
        let shredded = audited(&scene, &id, "credential.shredded");
        assert_eq!(shredded, allowed(&["version 1", "version 4", "version 2"]));
    });
}

#[test]
fn narrowing_keeps_every_version_and_widening_only_the_one_that_is_sent() {
    on_both("rotation-binding", |server| {
        let scene = Scene::with(server);
        let (old, new, last) = (scene.canary("OLD"), scene.canary("NEW"), scene.canary("LAST"));
        let id = scene.credential(&json!({
            "key": "KEY", "type": "api_key", "fields": { "value": old },
            "hosts": [scene.host(), "api.example.com"],
        }));
        let workflow = calling(&scene, "KEY");
        stage(&scene, &id, &json!({ "value": new }));
        scene.patch(&id, &json!({ "hosts": [scene.host()] })).expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (old.clone(), 1));
        call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (new.clone(), 2));
        scene.patch(&id, &json!({ "paths": ["/call"] })).expect(200);
        call(&scene, "POST", &id, "/versions/1/rollback").expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (old, 1));

        assert_eq!(stage(&scene, &id, &json!({ "value": new })), 3);
        let wider = json!({ "paths": [] });
        scene.patch(&id, &wider).expect_problem(422, "validation_failed");
        let kept = ["staged", "previous", "current"].map(str::to_owned);
        let states: Vec<_> = versions(&scene, &id).into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, kept);
        let wider = json!({ "paths": [], "fields": { "value": last } });
        scene.patch(&id, &wider).expect(200);
        assert_eq!(versions(&scene, &id), [(4, "current".into())]);
        assert_eq!(arrived(&scene, &workflow, &id), (last, 4));
        let mut shredded = audited(&scene, &id, "credential.shredded");
        shredded.sort();
        assert_eq!(shredded, allowed(&["version 1", "version 2", "version 3"]));
    });
}

/// Changes the workspace's settings.
#[track_caller]
fn settings(scene: &Scene, change: &Value) {
    scene.server.api("PATCH", "/settings", change).expect(200);
}

#[test]
fn where_a_workspace_asks_for_it_only_what_has_passed_its_test_is_promoted() {
    on_both("rotation-required", |server| {
        let scene = Scene::with(server);
        settings(&scene, &json!({ "require_version_test": true, "verified_runs": 1 }));
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = scene.api_key("KEY", &old);
        let workflow = calling(&scene, "KEY");
        stage(&scene, &id, &json!({ "value": new }));
        let promote = || call(&scene, "POST", &id, "/versions/2/promote");
        let problem = promote().expect_problem(409, "conflict");
        assert!(problem["detail"].as_str().unwrap().contains("test it first"), "{problem}");
        // Nobody has said how to test it yet; that is the next step.
        let rotation = check_rotation(&scene, &id, "staged", "+!...");
        let test = json!({ "test": { "method": "GET", "url": format!("{}/me", scene.host()) } });
        follow(&scene, &rotation, "test", &test).expect(200);
        scene.next(Reply::status(401));
        assert_eq!(call(&scene, "POST", &id, "/versions/2/test").expect(200)["ok"], false);
        promote().expect_problem(409, "conflict");
        // The current value's good test does not count for the staged one.
        assert_eq!(call(&scene, "POST", &id, "/test").expect(200)["ok"], true);
        promote().expect_problem(409, "conflict");
        assert_eq!(call(&scene, "POST", &id, "/versions/2/test").expect(200)["ok"], true);
        promote().expect(200);
        assert_eq!(arrived(&scene, &workflow, &id), (new, 2));
        check_rotation(&scene, &id, "verified", "++++!");
    });
}

#[test]
fn without_a_grace_period_the_earlier_value_goes_with_the_promotion() {
    on_both("rotation-no-grace", |server| {
        let scene = Scene::with(server);
        settings(&scene, &json!({ "grace_days": 0 }));
        let id = scene.api_key("KEY", &scene.canary("OLD"));
        let workflow = calling(&scene, "KEY");
        let new = scene.canary("NEW");
        stage(&scene, &id, &json!({ "value": new }));
        call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        assert_eq!(versions(&scene, &id), [(2, "current".into())]);
        assert_eq!(audited(&scene, &id, "credential.shredded"), allowed(&["version 1"]));
        call(&scene, "POST", &id, "/versions/1/rollback").expect_problem(409, "conflict");
        assert_eq!(arrived(&scene, &workflow, &id), (new, 2));
        check_rotation(&scene, &id, "idle", "!-...");
    });
}

/// The rotation with its steps in a line: `+` done, `-` skipped, `!` can be done now, `.` cannot.
#[track_caller]
fn check_rotation(scene: &Scene, id: &str, state: &str, line: &str) -> Value {
    let rotation = call(scene, "GET", id, "/rotation").expect(200);
    let mark = |step: &Value| match (&step["done"], &step["skipped"], step["call"].is_null()) {
        (Value::Bool(true), ..) => '+',
        (_, Value::Bool(true), _) => '-',
        (.., false) => '!',
        _ => '.',
    };
    let found: String = rotation["steps"].as_array().expect("steps").iter().map(mark).collect();
    assert_eq!((&rotation["state"], found.as_str()), (&json!(state), line), "{rotation}");
    rotation
}

/// Does the call that a step names, with a body where it takes one.
#[track_caller]
fn follow(scene: &Scene, rotation: &Value, step: &str, body: &Value) -> Answer {
    let steps = rotation["steps"].as_array().expect("steps");
    let step = steps.iter().find(|found| found["id"] == step).expect("the step");
    let (method, path) = (&step["call"]["method"], &step["call"]["path"]);
    let (method, path) = (method.as_str().expect("a call"), path.as_str().expect("a path"));
    scene.server.call_as(&scene.server.token, method, path, body)
}

#[test]
fn the_guided_rotation_names_each_next_call() {
    let scene = Scene::start("rotation-guided");
    let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
    let id = scene.credential(&json!({
        "key": "KEY", "type": "api_key", "fields": { "value": old }, "hosts": [scene.host()],
        "test": { "method": "GET", "url": format!("{}/me", scene.host()) },
    }));
    let workflow = calling(&scene, "KEY");
    let idle = check_rotation(&scene, &id, "idle", "!....");
    assert_eq!((&idle["version"], &idle["previous"]), (&json!(1), &Value::Null));
    let stage = &idle["steps"][0]["call"]["body"];
    assert_eq!(*stage, json!({ "fields": { "value": "" } }));
    follow(&scene, &idle, "stage", &json!({ "fields": { "value": new } })).expect(201);
    let staged = check_rotation(&scene, &id, "staged", "+!!..");
    assert_eq!((&staged["version"], &staged["previous"]), (&json!(2), &json!(1)));
    follow(&scene, &staged, "test", &Value::Null).expect(200);
    let tested = check_rotation(&scene, &id, "tested", "++!..");
    follow(&scene, &tested, "promote", &Value::Null).expect(200);
    let promoted = check_rotation(&scene, &id, "promoted", "+++..");
    assert_eq!((&promoted["verified_runs"], &promoted["needed_runs"]), (&json!(0), &json!(3)));
    assert!(promoted["grace_ends_at"].is_string(), "{promoted}");

    scene.next(Reply::status(500));
    assert_eq!(scene.run_again(&workflow, &json!({}))["status"], "failed");
    for _ in 0..2 {
        assert_eq!(arrived(&scene, &workflow, &id).1, 2);
    }
    let promoted = check_rotation(&scene, &id, "promoted", "+++..");
    assert_eq!((&promoted["verified_runs"], &promoted["failed_runs"]), (&json!(2), &json!(1)));
    arrived(&scene, &workflow, &id);
    let verified = check_rotation(&scene, &id, "verified", "++++!");
    assert!(verified["steps"][4]["hint"].as_str().unwrap().contains("at the service first"));
    follow(&scene, &verified, "revoke", &Value::Null).expect(204);
    check_rotation(&scene, &id, "idle", "!....");
    assert_eq!(versions(&scene, &id), [(2, "current".into())]);

    // Where nobody has said how to test, that step does not apply.
    let untested = scene.api_key("UNTESTED", &old);
    check_rotation(&scene, &untested, "idle", "!-...");
    self::stage(&scene, &untested, &json!({ "value": new }));
    check_rotation(&scene, &untested, "staged", "+-!..");
}
