//! Secrets that arrive in another form than the workflow expects, and what is kept of stores in memory.

use crate::scene::Scene;
use crate::server::Answer;
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};

/// A step that sends what stands at a path to the scene's service.
fn send(scene: &Scene, id: &str, path: &str) -> Value {
    json!({
        "id": id, "kind": "http",
        "credential": { "$external": { "scheme": "api_key", "fields": { "value": format!("{{{{ {path} }}}}") } } },
        "request": { "url": scene.echo.url(&format!("/{id}")) },
    })
}

/// A credential of a store that the scene's service plays.
fn store(scene: &Scene) -> String {
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": scene.echo.url(""), "token": scene.canary("store") },
    }))
}

fn secret(value: &str) -> Reply {
    Reply::json(&json!({ "data": { "data": { "token": value }, "metadata": { "version": 1 } } }))
}

fn paths(scene: &Scene) -> Vec<String> {
    scene.echo.received().iter().map(|request| request.path().to_owned()).collect()
}

#[track_caller]
fn clean(scene: &Scene) {
    let swept = scene.server.evidence.sweep().expect("files that can be read");
    let found: Vec<String> = swept.findings.iter().map(ToString::to_string).collect();
    assert!(swept.files > 3 && swept.canaries > 0 && found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_body_in_another_form_leaves_nothing_readable() {
    let scene = Scene::start("odd-bodies");
    let (_, hook) = scene.hooked(&json!([send(&scene, "post", "trigger.body.token")]));
    let body = json!({ "token": scene.canary("token"), "n": 1 }).to_string();
    let list = format!("[{body}]");
    let upper = body.replace("token\"", "TOKEN\"");
    let hooked = |kind: &str, body: &str| -> Answer {
        scene.server.send("POST", &hook, &[("Content-Type", kind)], body.as_bytes())
    };
    for (kind, body) in [
        ("text/plain", &body),
        ("application/x-www-form-urlencoded", &body),
        ("application/x-www-form-urlencoded", &list),
        ("application/octet-stream", &list),
        ("application/json", &list),
        ("application/json", &upper),
        ("application/json", &json!(body).to_string()),
    ] {
        let run = scene.server.run_of(&hooked(kind, body));
        let error = &run["steps"][0]["error"];
        assert_eq!(error["code"], "validation_failed", "{kind} {run}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("\"value\" is absent"), "{kind} {run}");
        assert!(run["trigger"].to_string().contains("[sealed:trigger.body"), "{kind} {run}");
        assert!(!run.to_string().contains(keyward_testkit::canary::PREFIX), "{kind} {run}");
    }
    assert!(scene.echo.received().is_empty());
    let form = format!("token={}&n=1", scene.canary("token"));
    let run = scene.server.run_of(&hooked("application/x-www-form-urlencoded", &form));
    assert_eq!(run["status"], "succeeded", "{run}");
    clean(&scene);
}

#[test]
fn more_values_than_a_run_takes_are_refused() {
    let scene = Scene::start("odd-many");
    let (_, hook) = scene.hooked(&json!([send(&scene, "post", "trigger.body.keys[0]")]));
    let many = |count: usize| {
        let keys: Vec<_> = (0..count).map(|at| format!("{}{at}", scene.canary("key"))).collect();
        scene.server.hook(&hook, &json!({ "keys": keys }))
    };
    let refused = many(10_001);
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("invalid_request")));
    assert!(refused.header("keyward-run-id").is_none());
    let run = scene.server.run_of(&many(2_000));
    assert_eq!(run["status"], "succeeded", "{}", run["steps"]);
    clean(&scene);
}

#[test]
fn an_answer_in_another_form_leaves_nothing_readable() {
    let scene = Scene::start("odd-answers");
    let body = json!({ "token": scene.canary("token") }).to_string();
    scene.echo.route("/get", Reply::text(&body));
    let get = json!({ "id": "get", "kind": "http", "request": { "url": scene.echo.url("/get") } });
    let run =
        scene.run(&json!([get, send(&scene, "post", "steps.get.output.body.token")]), &json!({}));
    assert_eq!(run["steps"][1]["error"]["code"], "validation_failed", "{run}");
    assert_eq!(run["steps"][0]["output"]["body"], "[sealed:steps.get.output.body]", "{run}");
    assert_eq!(paths(&scene), ["/get"]);
    clean(&scene);
}

#[test]
fn what_code_puts_beside_a_sealed_value_is_sealed_too() {
    let scene = Scene::start("odd-beside");
    let source = "const { secret } = JSON.parse(trigger.body.text);\n\
                  return { both: `${trigger.body.token}:${secret}` };";
    let (_, hook) = scene.hooked(&json!([
        send(&scene, "one", "trigger.body.token"),
        scene.code("join", source),
        send(&scene, "two", "steps.join.output.both"),
    ]));
    let (token, secret) = (scene.canary("token"), scene.canary("secret"));
    let text = json!({ "secret": secret }).to_string();
    let body = json!({ "token": token, "text": text });
    let run = scene.server.run_of(&scene.server.hook(&hook, &body));
    assert_eq!(run["status"], "succeeded", "{run}");
    let sent = &scene.echo.received()[1];
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {token}:{secret}")));
    let both = "[sealed:trigger.body.token][sealed:steps.join.output.both]";
    assert_eq!(run["steps"][1]["output"]["both"], both, "{run}");
    clean(&scene);
}

#[test]
fn code_that_fetches_a_secret_and_fails_says_nothing_of_it() {
    let scene = Scene::start("odd-fetched");
    scene.echo.route("/secret", Reply::json(&json!({ "token": scene.canary("fetched") })));
    let source = "const r = await (await fetch('HOST/secret')).json();\n\
                  console.log('got', r.token);\n\
                  if (trigger.body.bad) throw new Error('no use: ' + r.token);\n\
                  return { token: r.token };";
    let get = scene.code("get", source);
    let steps = json!([get, send(&scene, "post", "steps.get.output.token")]);
    let (_, hook) = scene.hooked(&steps);
    let run = |bad: bool| scene.server.run_of(&scene.server.hook(&hook, &json!({ "bad": bad })));
    let good = run(false);
    assert_eq!(good["status"], "succeeded", "{good}");
    assert_eq!(good["steps"][0]["logs"][0]["message"], "got ***", "{good}");
    let bad = run(true);
    assert_eq!(bad["steps"][0]["error"]["code"], "script_error", "{bad}");
    let message = bad["steps"][0]["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("are not kept"), "{bad}");
    assert_eq!(bad["steps"][0]["logs"], json!([]), "{bad}");
    clean(&scene);
}

#[test]
fn items_of_one_list_go_each_where_they_are_wanted() {
    let scene = Scene::start("odd-lists");
    let steps = json!([
        send(&scene, "one", "trigger.body.keys[0]"),
        send(&scene, "two", "trigger.body.keys[1]"),
    ]);
    let (_, hook) = scene.hooked(&steps);
    let keys = [scene.canary("one"), scene.canary("two")];
    let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "keys": keys })));
    assert_eq!(run["status"], "succeeded", "{run}");
    for (request, key) in scene.echo.received().iter().zip(&keys) {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {key}")));
    }
    clean(&scene);
}

#[test]
fn one_token_reads_at_each_address_by_itself() {
    let scene = Scene::start("odd-addresses");
    let (a, b) = (scene.canary("a"), scene.canary("b"));
    scene.echo.route("/a/v1/secret/data/x", secret(&a));
    scene.echo.route("/b/v1/secret/data/x", secret(&b));
    let read = |id: &str| {
        json!({
            "id": id, "kind": "app", "app": "vault", "action": "read_secret",
            "credential": { "$external": { "scheme": "token", "fields": {
                "address": scene.echo.url(&format!("/{id}")), "token": "{{ trigger.body.token }}",
            } } },
            "inputs": { "mount": "secret", "path": "x" },
        })
    };
    let again = json!({ "id": "again", "kind": "app", "app": "vault", "action": "read_secret",
        "credential": read("a")["credential"], "inputs": { "mount": "secret", "path": "x" } });
    let steps =
        json!([read("a"), read("b"), again, send(&scene, "post", "steps.b.output.data.token")]);
    let (_, hook) = scene.hooked(&steps);
    let run =
        scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": scene.canary("t") })));
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(paths(&scene), ["/a/v1/secret/data/x", "/b/v1/secret/data/x", "/post"]);
    let sent = &scene.echo.received()[2];
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {b}")));
    clean(&scene);
}

#[test]
fn a_kept_value_is_refused_once_its_reader_is() {
    let scene = Scene::start("odd-kept");
    let id = store(&scene);
    scene.echo.route("/v1/secret/data/key", secret(&scene.canary("linked")));
    scene.credential(&json!({
        "key": "KEY", "type": "api_key", "hosts": [scene.host()],
        "fields": { "value": { "link": {
            "credential": "STORE", "inputs": { "mount": "secret", "path": "key" },
            "output": "data.token", "max_age_seconds": 3600,
        } } },
    }));
    let workflow = scene.manual(&json!([{
        "id": "post", "kind": "http", "credential": { "$credential": "KEY" },
        "request": { "url": scene.echo.url("/post") },
    }]));
    let run = || scene.run_again(&workflow, &json!({}));
    let reads = || paths(&scene).iter().filter(|path| path.contains("/v1/")).count();
    for _ in 0..2 {
        let run = run();
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    assert_eq!(reads(), 1);
    scene.server.post(&format!("/credentials/{id}/suspend"), &Value::Null).expect(200);
    let refused = run();
    assert_eq!(refused["steps"][0]["error"]["code"], "store_unavailable", "{refused}");
    let events = scene.audit("action=credential.used&outcome=refused");
    assert!(
        events.iter().any(|event| event["key"] == "STORE" && event["reason"] == "suspended"),
        "{events:?}"
    );
    scene.server.post(&format!("/credentials/{id}/resume"), &Value::Null).expect(200);
    let resumed = run();
    assert_eq!(resumed["status"], "succeeded", "{resumed}");
    scene
        .server
        .api("DELETE", &format!("/credentials/{id}?confirm=true"), &Value::Null)
        .expect(204);
    let deleted = run();
    assert_eq!(deleted["steps"][0]["error"]["code"], "store_unavailable", "{deleted}");
    assert_eq!(paths(&scene).iter().filter(|path| *path == "/post").count(), 3);
    clean(&scene);
}

#[test]
fn a_way_around_that_fits_one_path_does_not_stay_for_all() {
    let scene = Scene::start("odd-fallback");
    store(&scene);
    scene.echo.route("/v1/secret/data/data/x", Reply::status(404));
    scene.echo.route("/v1/secret/x", Reply::status(404));
    scene.echo.route("/v1/secret/data/x", secret(&scene.canary("x")));
    let workflow = scene.manual(&json!([{
        "id": "read", "kind": "app", "app": "vault", "action": "read_secret",
        "credential": { "$credential": "STORE" },
        "inputs": { "mount": "secret", "path": "{{ trigger.body.path }}" },
    }]));
    let wanted = [
        "/v1/secret/data/data/x", "/v1/secret/data/x", "/v1/secret/x", "/v1/secret/data/x",
        "/v1/secret/data/x",
    ];
    for (path, shown) in [("data/x", "data"), ("x", "token"), ("x", "token")] {
        let run = scene.run_again(&workflow, &json!({ "path": path }));
        assert_eq!(run["status"], "succeeded", "{path}: {run}");
        assert!(run["steps"][0]["output"]["data"].get(shown).is_some(), "{path}: {run}");
    }
    assert_eq!(paths(&scene), wanted);
    clean(&scene);
}
