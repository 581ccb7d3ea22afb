//! The connection test: a real request with the value, of which nothing comes back but a status.

use super::{audited, call, calling, stage};
use crate::scene::Scene;
use crate::server::on_both;
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::time::Duration;

/// Saves an API key that is tested at `/me` of the service.
fn tested_key(scene: &Scene, value: &str) -> String {
    scene.credential(&json!({
        "key": "KEY", "type": "api_key", "fields": { "value": value }, "hosts": [scene.host()],
        "test": { "method": "GET", "url": format!("{}/me", scene.host()) },
    }))
}

/// What the service was sent last as the value, and on which path.
fn sent(scene: &Scene) -> (String, String) {
    let received = scene.echo.received().pop().expect("a request");
    let value = received.header("authorization").unwrap_or_default().to_owned();
    (value.replace("Bearer ", ""), received.path().to_owned())
}

/// Tests the current value, or a version; gives the outcome.
#[track_caller]
fn test(scene: &Scene, id: &str, version: Option<i64>) -> Value {
    let path = version.map(|version| format!("/versions/{version}")).unwrap_or_default();
    let outcome = call(scene, "POST", id, &format!("{path}/test")).expect(200);
    assert!(outcome["tested_at"].is_string(), "{outcome}");
    outcome
}

#[test]
fn a_version_is_tested_with_its_own_value() {
    on_both("rotation-test", |server| {
        let scene = Scene::with(server);
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = tested_key(&scene, &old);
        stage(&scene, &id, &json!({ "value": new }));
        let outcome = test(&scene, &id, None);
        assert_eq!((&outcome["ok"], &outcome["status"]), (&json!(true), &json!(200)));
        assert_eq!(sent(&scene), (old.clone(), "/me".into()));
        let outcome = test(&scene, &id, Some(2));
        assert_eq!(outcome["ok"], true, "{outcome}");
        assert_eq!(sent(&scene), (new, "/me".into()));

        let view = call(&scene, "GET", &id, "").expect(200);
        assert_eq!(view["last_test"]["ok"], true, "{view}");
        assert_eq!(view["staged"]["test"], outcome, "{view}");
        scene.next(Reply::status(401));
        let outcome = test(&scene, &id, Some(2));
        assert_eq!((&outcome["ok"], &outcome["status"]), (&json!(false), &json!(401)));
        assert_eq!(outcome["detail"], "the service refused the value with status 401");
        let view = call(&scene, "GET", &id, "").expect(200);
        assert_eq!((&view["status"], &view["last_test"]["ok"]), (&json!("active"), &json!(true)));
        call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        assert_eq!(test(&scene, &id, Some(1))["ok"], true);
        assert_eq!(sent(&scene).0, old);
        call(&scene, "POST", &id, "/versions/3/test").expect_problem(404, "not_found");

        // One record for each request, and one for what it came to, but for an earlier version.
        let tested = audited(&scene, &id, "credential.tested");
        assert_eq!(tested, vec![("allowed".to_owned(), String::new()); 4]);
        let noted: Vec<_> = audited(&scene, &id, "credential.updated");
        let noted: Vec<&str> = noted.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(noted, ["test_failed", "test_passed", "test_passed"]);
        let entry = &scene.audit("action=credential.tested")[0];
        assert_eq!(entry["destination"], scene.host(), "{entry}");
        assert!(entry["run_id"].is_null() && entry["workflow_id"].is_null(), "{entry}");
    });
}

#[test]
fn what_a_service_answers_stays_with_the_server() {
    let scene = Scene::start("rotation-test-leak");
    let value = scene.canary("KEY");
    let id = tested_key(&scene, &value);
    let echoed = |reply: Reply| reply.header("X-Echo", &value).body(format!("your key is {value}"));
    let moved = format!("{}/elsewhere?key={value}", scene.host());
    for reply in [
        echoed(Reply::status(200)),
        echoed(Reply::status(403)),
        echoed(Reply::status(500)),
        Reply::redirect(307, &moved),
        Reply::redirect(302, &format!("http://{value}.invalid/")),
        Reply::gzip(format!("your key is {value}")),
    ] {
        scene.next(reply);
        let outcome = test(&scene, &id, None);
        let rotation = call(&scene, "GET", &id, "/rotation").expect(200);
        let view = call(&scene, "GET", &id, "").expect(200);
        let audit = scene.server.get("/audit?limit=200").expect(200);
        for text in [&outcome, &rotation, &view, &audit].map(Value::to_string) {
            assert!(!text.contains(&value) && !text.contains("kws1_"), "{text}");
            assert!(!text.to_lowercase().contains(&value.to_lowercase()), "{text}");
        }
    }
}

#[test]
fn a_step_that_is_refused_marks_the_credential_until_a_test_passes() {
    on_both("rotation-rejected", |server| {
        let scene = Scene::with(server);
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = tested_key(&scene, &old);
        let workflow = calling(&scene, "KEY");
        let status = || {
            let view = call(&scene, "GET", &id, "").expect(200);
            (view["status"].clone(), view["status_reason"].clone())
        };
        let (active, rejected) =
            ((json!("active"), Value::Null), (json!("error"), json!("rejected_by_service")));
        let refuse = || {
            scene.next(Reply::status(401));
            assert_eq!(scene.run_again(&workflow, &json!({}))["status"], "failed");
        };
        refuse();
        assert_eq!(status(), rejected);
        scene.next(Reply::status(403));
        assert_eq!(test(&scene, &id, None)["ok"], false);
        assert_eq!(status(), rejected);
        // A staged version's good test says nothing of the current one.
        stage(&scene, &id, &json!({ "value": new }));
        assert_eq!(test(&scene, &id, Some(2))["ok"], true);
        assert_eq!(status(), rejected);
        assert_eq!(test(&scene, &id, None)["ok"], true);
        assert_eq!(status(), active);
        refuse();
        call(&scene, "POST", &id, "/versions/2/promote").expect(200);
        assert_eq!(status(), active);
    });
}

#[test]
fn what_may_not_be_sent_is_recorded_as_refused() {
    let scene = Scene::start("rotation-test-refused");
    let value = scene.canary("KEY");
    let id = tested_key(&scene, &value);
    let set = |url: &str, more: Value| {
        let mut body = json!({ "test": { "method": "GET", "url": url } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.patch(&id, &body).expect(200);
    };
    let before = scene.echo.received().len();
    let check = |code: &str, reason: &str| {
        let outcome = test(&scene, &id, None);
        assert_eq!((&outcome["ok"], &outcome["status"]), (&json!(false), &Value::Null));
        let detail = outcome["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{code}: ")), "{detail}");
        let tested = audited(&scene, &id, "credential.tested");
        assert_eq!(tested[0], ("refused".to_owned(), reason.to_owned()), "{detail}");
        assert_eq!(scene.echo.received().len(), before, "nothing was sent");
        tested.len()
    };
    set("http://127.0.0.1:9/me", json!({}));
    assert_eq!(check("credential_not_allowed_here", "host"), 1);
    set(&format!("{}/me", scene.host()), json!({ "methods": ["POST"] }));
    assert_eq!(check("credential_not_allowed_here", "method"), 2);
    set("http://169.254.169.254/latest", json!({}));
    assert_eq!(check("destination_blocked", "destination_blocked"), 3);
    set(&format!("{}/me", scene.host()), json!({ "expires_at": "2020-01-01T00:00:00Z" }));
    assert_eq!(check("credential_unusable", "expired"), 4);

    // A service that is not there was asked: that is no refusal.
    let value = scene.canary("OTHER");
    let other = scene.credential(&json!({
        "key": "OTHER", "type": "api_key", "fields": { "value": value },
        "hosts": ["http://127.0.0.1:9"], "test": { "method": "GET", "url": "http://127.0.0.1:9/" },
    }));
    let outcome = test(&scene, &other, None);
    assert!(outcome["detail"].as_str().unwrap().starts_with("connection_failed: "), "{outcome}");
    let tested = audited(&scene, &other, "credential.tested");
    assert_eq!(tested, [("allowed".to_owned(), String::new())]);
}

#[test]
fn what_is_changed_while_a_service_answers_is_kept() {
    let scene = Scene::start("rotation-test-meanwhile");
    let id = tested_key(&scene, &scene.canary("OLD"));
    stage(&scene, &id, &json!({ "value": scene.canary("NEW") }));
    let during = |version: i64, change: &dyn Fn()| {
        scene.next(Reply::text("ok").after(Duration::from_millis(400)));
        let before = scene.echo.received().len();
        std::thread::scope(|threads| {
            let testing = threads.spawn(|| test(&scene, &id, Some(version)));
            scene.echo.wait_for(before + 1);
            change();
            let outcome = testing.join().expect("an outcome");
            assert_eq!(outcome["ok"], true, "{outcome}");
            outcome
        })
    };
    let view = || call(&scene, "GET", &id, "").expect(200);
    let outcome = during(2, &|| drop(scene.patch(&id, &json!({ "name": "Other" })).expect(200)));
    assert_eq!((&view()["name"], &view()["staged"]["test"]), (&json!("Other"), &outcome));
    let promote = || drop(call(&scene, "POST", &id, "/versions/2/promote").expect(200));
    let outcome = during(2, &promote);
    assert_eq!((&view()["version"], &view()["last_test"]), (&json!(2), &outcome));
    // Of an earlier version nothing is noted.
    let put = json!({ "fields": { "value": scene.canary("LAST") } });
    let put =
        || drop(scene.server.api("PUT", &format!("/credentials/{id}/value"), &put).expect(200));
    during(2, &put);
    assert_eq!((&view()["version"], &view()["last_test"]), (&json!(3), &Value::Null));
}

#[test]
fn redirects_are_followed_as_a_steps_are() {
    let scene = Scene::start("rotation-test-redirect");
    let value = scene.canary("KEY");
    let id = tested_key(&scene, &value);
    scene.next(Reply::redirect(302, "/login"));
    assert_eq!(test(&scene, &id, None)["ok"], true);
    assert_eq!(sent(&scene), (value, "/login".into()));
    let other = keyward_testkit::echo::Echo::start();
    scene.next(Reply::redirect(302, &other.url("/away")));
    assert_eq!(test(&scene, &id, None)["ok"], true);
    let received = other.received();
    assert_eq!((received.len(), received[0].header("authorization")), (1, None));
}

#[test]
fn without_a_request_there_is_no_test() {
    let scene = Scene::start("rotation-test-undefined");
    let value = scene.canary("KEY");
    let plain = scene.api_key("KEY", &value);
    call(&scene, "POST", &plain, "/test").expect_problem(422, "test_not_defined");
    let custom = scene.credential(&json!({
        "key": "CUSTOM", "type": "custom", "fields": { "token": value }, "hosts": [scene.host()],
        "test": { "method": "POST", "url": format!("{}/me", scene.host()) },
    }));
    let problem = call(&scene, "POST", &custom, "/test").expect_problem(422, "test_not_defined");
    assert!(problem["detail"].as_str().unwrap().contains("template"), "{problem}");
    let template = json!({ "template": { "headers": { "X-Version": "1" } } });
    scene.patch(&custom, &template).expect(200);
    let outcome = test(&scene, &custom, None);
    assert!(outcome["detail"].as_str().unwrap().starts_with("no_value: "), "{outcome}");
    assert_eq!(outcome["ok"], false);
    let template = json!({ "template": { "json": { "auth": "{{ token }}" } } });
    scene.patch(&custom, &template).expect(200);
    assert_eq!(test(&scene, &custom, None)["ok"], true);
    let received = scene.echo.received().pop().expect("a request");
    assert_eq!(received.text(), json!({ "auth": value }).to_string());
}

#[test]
fn ten_tests_a_minute_are_enough() {
    let scene = Scene::start("rotation-test-rate");
    let value = scene.canary("KEY");
    let id = tested_key(&scene, &value);
    for _ in 0..10 {
        test(&scene, &id, None);
    }
    let refused = call(&scene, "POST", &id, "/test");
    refused.expect_problem(429, "rate_limited");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(scene.echo.received().len(), 10);
}
