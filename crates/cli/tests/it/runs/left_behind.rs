//! What is left of runs that were not stored or were deleted: nothing of their data in the database,
//! its files or the log, ordinary text included; in the audit trail what they used and how they ended.

use crate::scene::Scene;
use crate::server::{Answer, Backend, Server};
use keyward_testkit::echo::Reply;
use keyward_testkit::postgres::Postgres;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const SLACK: &str = "slack.com";
const POST: &str = "/api/chat.postMessage";

fn scene(test: &str, backend: Backend) -> (Scene, Vendors) {
    let vendors = Vendors::start(&[SLACK]);
    let posted = json!({ "ok": true, "channel": "C1", "ts": "1.2" });
    vendors.on("POST", SLACK, POST, &[Reply::json(&posted)]);
    let scene = Scene::with(Server::start_facing(test, backend, &vendors, &[]));
    let value = scene.canary("K");
    scene.api_key("K", &value);
    (scene, vendors)
}

/// Code that logs and returns, a request with a credential, an app whose token the trigger brings,
/// and code that fails where the trigger says so.
fn steps(scene: &Scene) -> Value {
    let source = "console.log('logged', trigger.body.text); \
        return { text: trigger.body.text, long: trigger.body.text.repeat(400) };";
    let relay = json!({ "id": "relay", "kind": "http", "credential": { "$credential": "K" },
        "request": { "method": "POST", "url": format!("{}/{{{{ trigger.body.text }}}}", scene.host()),
            "json": { "text": "{{ steps.code.output.long }}" } } });
    let post = json!({ "id": "post", "kind": "app", "app": "slack", "action": "send_message",
        "credential": { "$external": { "scheme": "bot_token", "fields": { "bot_token": "{{ trigger.body.token }}" } } },
        "inputs": { "channel": "C1", "text": "{{ trigger.body.text }}" } });
    let last = "if (trigger.body.fail) throw new Error('refused ' + trigger.body.text); \
        return { done: true };";
    json!([scene.code("code", source), relay, post, scene.code("last", last)])
}

/// Saves the workflow; gives its id and its hook.
fn workflow(scene: &Scene, no_store: bool) -> (String, String) {
    scene.server.workflow(&json!({
        "name": "Left behind", "settings": { "no_store": no_store }, "steps": steps(scene),
        "trigger": { "kind": "http", "method": "POST", "respond": "result" },
    }))
}

/// Sends the hook a text of its own; gives the text and the answer, which is kept nowhere.
fn send(scene: &Scene, hook: &str, header: &str, name: &str, fail: bool) -> (String, Answer) {
    let text = format!("ordinary-words-of-{name}");
    let token = scene.canary(name);
    let body = json!({ "text": text, "token": token, "fail": fail }).to_string();
    let headers = [("Content-Type", "application/json"), (header, "1"), ("X-Text", &text)];
    let answer = scene.server.send_unkept("POST", hook, &headers, body.as_bytes());
    (text, answer)
}

/// Where a text stands in what the server has written so far: files, rows, log.
fn found(server: &Server, text: &str) -> Vec<String> {
    let mut places = Vec::new();
    look(&server.data, text, &mut places);
    look(&server.evidence.folder().join("serve.err"), text, &mut places);
    look(&server.evidence.folder().join("serve.out"), text, &mut places);
    if let Some(url) = server.database_url() {
        let rows = server.private().join("rows.sql");
        Postgres::shared().dump(url, &rows);
        look(&rows, text, &mut places);
    }
    places
}

fn look(path: &Path, text: &str, places: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), text, places);
        }
        return;
    }
    // A file may go while its folder is read.
    let Ok(bytes) = fs::read(path) else { return };
    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
        places.push(path.display().to_string());
    }
}

/// What the audit trail says of a run: action, key or reason, and destination; oldest first.
fn told(scene: &Scene, run: &str) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told: Vec<[String; 3]> = scene
        .audit(&format!("run={run}"))
        .iter()
        .map(|entry| {
            let what = if entry["key"].is_string() { &entry["key"] } else { &entry["reason"] };
            [text(&entry["action"]), text(what), text(&entry["destination"])]
        })
        .collect();
    told.reverse();
    told
}

/// The uses of each run in the trail.
fn uses(scene: &Scene) -> Vec<[String; 3]> {
    let used =
        |key: &str, destination: &str| ["credential.used", key, destination].map(str::to_owned);
    vec![used("K", &scene.host()), used("trigger.body.token", "https://slack.com")]
}

fn on_both(test: &str, check: impl Fn(&Scene)) {
    for (name, backend) in [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)] {
        let (scene, _vendors) = scene(&format!("left-{test}-{name}"), backend);
        check(&scene);
    }
}

#[test]
fn of_a_run_that_is_not_stored_only_uses_and_outcome_are_left() {
    on_both("no-store", |scene| {
        let (_, by_header) = workflow(scene, false);
        let (by_setting_id, by_setting) = workflow(scene, true);
        let ways = [
            ("x-keyward-no-store", &by_header),
            ("x-pd-nostore", &by_header),
            ("x-other", &by_setting),
        ];
        for (header, hook) in ways {
            for fail in [false, true] {
                let name = format!("{header}-{fail}");
                let (text, answer) = send(scene, hook, header, &name, fail);
                let run = answer.header("keyward-run-id").unwrap().to_owned();
                assert_eq!(found(&scene.server, &text), Vec::<String>::new(), "{name}");
                assert_eq!(told(scene, &run), uses(scene), "{name}");
                let shown = scene.server.ended(&run);
                assert_eq!(shown["stored"], false, "{shown}");
                assert_eq!(shown["status"], if fail { "failed" } else { "succeeded" }, "{shown}");
                if !fail {
                    assert_eq!(answer.expect(200), json!({ "done": true }), "{name}");
                    continue;
                }
                // Whoever waits is told where to look, and no word of what was there.
                let problem = answer.expect_problem(500, "run_failed");
                assert_eq!((&problem["step"], &problem["run_id"]), (&json!("last"), &json!(run)));
                assert_eq!(problem["error"], json!({ "code": "script_error", "message": "" }));
                assert!(!answer.body.contains(&text), "{name}: {}", answer.body);
                assert_eq!(shown["error"]["code"], "script_error", "{shown}");
                assert_eq!(shown["error"]["step"], "last", "{shown}");
            }
        }
        // What is kept for the repetition of a manual start holds nothing either.
        let text = "ordinary-words-of-a-start";
        let payload = json!({ "text": text, "token": scene.canary("by hand") });
        let start = || start(scene, &by_setting_id, "no-store", &payload);
        let first = start();
        assert_eq!(first.expect(200)["stored"], false);
        assert_eq!(start().body, first.body);
        assert_eq!(found(&scene.server, text), Vec::<String>::new());
    });
}

/// Starts by hand under a key, and waits for the end.
fn start(scene: &Scene, workflow: &str, key: &str, payload: &Value) -> Answer {
    let authorization = format!("Bearer {}", scene.server.token);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    let path = format!("/api/v1/workspaces/default/workflows/{workflow}/runs");
    let body = json!({ "payload": payload, "wait": true }).to_string();
    scene.server.send_unkept("POST", &path, &headers, body.as_bytes())
}

#[test]
fn of_a_deleted_run_only_uses_and_outcome_are_left() {
    on_both("deleted", |scene| {
        let (id, hook) = workflow(scene, false);
        for (name, fail, outcome) in
            [("works", false, "succeeded"), ("fails", true, "failed (script_error)")]
        {
            let (text, answer) = send(scene, &hook, "x-none", name, fail);
            let run = answer.header("keyward-run-id").unwrap().to_owned();
            assert!(!found(&scene.server, &text).is_empty(), "a run is stored, otherwise");
            let deleted = scene.server.api("DELETE", &format!("/runs/{run}"), &Value::Null);
            assert_eq!(deleted.status, 204, "{}", deleted.body);
            assert_eq!(found(&scene.server, &text), Vec::<String>::new(), "{name}");
            let end = ["run.deleted", outcome, ""].map(str::to_owned);
            assert_eq!(told(scene, &run), [uses(scene), vec![end]].concat(), "{name}");
            let step = &scene.audit(&format!("run={run}&action=run.deleted"))[0]["step_id"];
            assert_eq!(*step, if fail { json!("last") } else { Value::Null });
        }
        // The repetition of a start shows its run, as long as that is there.
        let text = "ordinary-words-of-a-start";
        let payload = json!({ "text": text, "token": scene.canary("by hand") });
        let start = || start(scene, &id, "deleted", &payload);
        let first = start();
        let run = first.expect(200)["id"].as_str().unwrap().to_owned();
        let again = start();
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        let deleted = scene.server.api("DELETE", &format!("/runs/{run}"), &Value::Null);
        assert_eq!(deleted.status, 204, "{}", deleted.body);
        start().expect_problem(404, "not_found");
        assert_eq!(found(&scene.server, text), Vec::<String>::new());
    });
}
