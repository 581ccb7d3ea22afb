//! Replacing keys beside a running server: nothing fails, nothing is lost, the old keys open nothing;
//! and a replacement that is killed goes on.

mod killed;
mod root;

use crate::scene::Scene;
use crate::server::{Server, on_both};
use keyward_testkit::echo::{Echo, Reply};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn work_goes_on_while_all_keys_are_replaced() {
    on_both("key-rotation", |server| all_keys(Scene::with(server)));
}

fn all_keys(mut scene: Scene) {
    let versions = fill(&scene, 12);
    let waiting = Waiting::start(&scene);
    let load = Load::of(&scene);
    let old_root = scene.server.private().join("old.key");
    let key_file = scene.server.data.join("keys/root.key");
    fs::copy(&key_file, &old_root).unwrap();
    let export = scene.server.private().join("trail.jsonl");
    let (exported, _, errors) = scene.server.run(&["audit", "export", export.to_str().unwrap()]);
    assert!(exported, "{errors}");
    let kept = repeated(&scene);

    let report = load.during(&scene, || rotate(&scene.server, &[]));
    let root = &report["root"];
    assert_ne!(root["before"], root["after"], "{report}");
    let workspace = &report["workspaces"][0];
    assert_eq!((&workspace["generation"], &workspace["destroyed"]), (&json!(2), &json!(1)));
    assert_eq!(workspace["unreadable"], 0, "{report}");
    let rewrapped = workspace["rewrapped"].as_u64().unwrap();
    assert!(rewrapped >= versions as u64, "{rewrapped} of {versions}");

    check_status(&scene.server, &[(1, "retired"), (2, "active")]);
    assert_eq!(repeated(&scene), kept, "a repeated request is known again, and its answer opens");
    check_people(&scene);
    assert!(scene.server.stop());
    old_key_opens_nothing(&scene.server, &key_file, &old_root, root);
    scene.server.spawn();
    waiting.check(&scene);
    check_trail(&scene, &export);
    load.check_all(&scene);
}

/// Saves credentials of two versions each; gives the number of versions.
fn fill(scene: &Scene, count: usize) -> usize {
    for number in 0..count {
        let id = scene.api_key(&format!("K{number}"), &scene.canary(&format!("first-{number}")));
        let value = json!({ "fields": { "value": scene.canary(&format!("K{number}")) } });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &value).expect(200);
    }
    2 * count
}

/// Replaces keys; gives the report.
#[track_caller]
fn rotate(server: &Server, options: &[&str]) -> Value {
    let arguments = [&["key", "rotate", "--json"], options].concat();
    let (done, printed, errors) = server.run(&arguments);
    assert!(done, "{errors}");
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("no JSON: {printed}"))
}

/// The generations of the first workspace, and nothing under older ones.
#[track_caller]
fn check_status(server: &Server, expected: &[(i64, &str)]) {
    let (fine, printed, errors) = server.run(&["key", "status", "--json"]);
    assert!(fine, "{errors}");
    let status: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(status["key"], status["database_by"]);
    let workspace = &status["workspaces"][0];
    let generations = workspace["generations"].as_array().unwrap().iter();
    let found: Vec<_> = generations
        .map(|key| (key["generation"].as_i64().unwrap(), key["state"].as_str().unwrap()))
        .collect();
    assert_eq!(found, expected, "{status}");
    let left = workspace["under_older_generations"].as_object().unwrap();
    assert!(left.values().all(|count| count == 0), "{status}");
    assert_eq!(workspace["rotation"], Value::Null, "{status}");
}

/// The answer of a POST that carries the same `Idempotency-Key` each time.
fn repeated(scene: &Scene) -> String {
    let body = json!({ "name": "CI" }).to_string();
    let authorization = format!("Bearer {}", scene.server.token);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "once-and-for-all"),
    ];
    let path = "/api/v1/workspaces/default/tokens";
    let answer = scene.server.send_unkept("POST", path, &headers, body.as_bytes());
    let token = answer.expect(201)["token"].as_str().unwrap().to_owned();
    scene.server.evidence.watch("repeated-token", &token);
    answer.body
}

/// Passwords and tokens are as they were, and a new workspace can be made.
fn check_people(scene: &Scene) {
    let server = &scene.server;
    let password = server.evidence.canary("owner-password");
    let body = json!({ "email": "alice@example.com", "password": password }).to_string();
    let headers = [("Content-Type", "application/json")];
    let signed_in = server.send_unkept("POST", "/api/v1/sessions", &headers, body.as_bytes());
    assert_eq!(signed_in.status, 201, "the password works");
    let made = server.call_as(
        &server.token,
        "POST",
        "/api/v1/workspaces",
        &json!({ "name": format!("after {}", server.data.display()).replace('/', " ") }),
    );
    made.expect(201);
}

/// Whoever has only the key from before gets in nowhere, and is told which key is asked for.
fn old_key_opens_nothing(server: &Server, key_file: &Path, old: &Path, root: &Value) {
    let new = fs::read(key_file).unwrap();
    fs::copy(old, key_file).unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["audit", "verify"]] {
        let (started, printed, errors) = server.run(arguments);
        assert!(!started && !printed.contains("listening"), "{printed}");
        for name in [&root["before"], &root["after"]] {
            assert!(errors.contains(name.as_str().unwrap()), "{errors}");
        }
    }
    fs::write(key_file, new).unwrap();
}

fn check_trail(scene: &Scene, export: &Path) {
    for arguments in [&["audit", "verify"][..], &["audit", "verify", export.to_str().unwrap()]] {
        let (holds, _, errors) = scene.server.run(arguments);
        assert!(holds, "{arguments:?}: {errors}");
    }
    let reasons: Vec<String> = scene
        .audit("action=key.rotated")
        .iter()
        .map(|record| record["reason"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["workspace_old_destroyed", "workspace", "workspace_prepared", "root"];
    assert_eq!(reasons, expected);
}

/// Runs that began under the old keys and go on under the new ones, after a restart: one remembers
/// a value computed from a secret, the other stores nothing readable.
struct Waiting {
    echo: Echo,
    runs: [String; 2],
}

impl Waiting {
    fn start(scene: &Scene) -> Self {
        let echo = Echo::start();
        let host = format!("http://{}", echo.address());
        scene.credential(&json!({
            "key": "DERIVED", "type": "api_key", "hosts": [host],
            "fields": { "value": scene.canary("derived") },
        }));
        let held = json!({
            "id": "held", "kind": "http", "request": { "method": "POST", "url": echo.url("held") },
            "retry": { "attempts": 2, "delay_seconds": 25, "backoff": "fixed" },
        });
        let code = |id: &str, source: &str| json!({ "id": id, "kind": "code", "source": source.replace("HOST", &host) });
        let make = "const sig = credential.hmac('DERIVED', 'message'); \
            await fetch('HOST/sig', { headers: { 'x-sig': sig } }); return { sig };";
        let send = "credential('DERIVED'); \
            await fetch('HOST/sig', { headers: { 'x-sig': steps.make.output.sig } }); return 1;";
        let last = json!({
            "id": "last", "kind": "http",
            "request": {
                "method": "POST", "url": echo.url("last"), "json": { "n": "{{ trigger.body.n }}" },
            },
        });
        let steps = [json!([code("make", make), held, code("send", send)]), json!([held, last])];
        let mut runs = Vec::new();
        for (number, steps) in steps.iter().enumerate() {
            let (_, hook) = scene.server.workflow(&json!({
                "name": format!("Waiting {number}"), "settings": { "no_store": number == 1 },
                "trigger": { "kind": "http", "method": "POST", "respond": "accepted" },
                "steps": steps,
            }));
            if number == 0 {
                echo.queue(Reply::json(&json!({})));
            }
            echo.queue(Reply::status(500));
            let answer = scene.server.hook(&hook, &json!({ "n": 7 }));
            runs.push(answer.expect(202)["run_id"].as_str().unwrap().to_owned());
            let begun = Instant::now();
            while !echo.received().iter().filter(|r| r.path() == "/held").count().gt(&number) {
                assert!(begun.elapsed() < Duration::from_secs(20), "run {number} does not wait");
                thread::sleep(Duration::from_millis(5));
            }
        }
        Self { echo, runs: runs.try_into().unwrap() }
    }

    fn check(&self, scene: &Scene) {
        for run in &self.runs {
            let run = scene.server.ended(run);
            assert_eq!(run["status"], "succeeded", "{run}");
        }
        let received = self.echo.received();
        let signatures: Vec<_> = received.iter().filter_map(|r| r.header("x-sig")).collect();
        assert_eq!(signatures.len(), 2);
        assert!(signatures[0] == signatures[1] && signatures[0].len() == 64, "{signatures:?}");
        let last = received.iter().find(|request| request.path() == "/last").unwrap();
        assert!(last.text().contains('7'), "{}", last.text());
    }
}

/// Ends the load also where the work beside it fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// People and triggers that use a server without a pause.
struct Load {
    hook: String,
    secret: String,
    made: AtomicUsize,
    done: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn of(scene: &Scene) -> Self {
        let source = "const token = credential('K0'); \
            const r = await fetch('HOST/load', { headers: { authorization: `Bearer ${token}` } }); \
            return { status: r.status };";
        let (_, hook) = scene.hooked(&json!([scene.code("use", source)]));
        Self {
            hook,
            secret: scene.canary("K0"),
            made: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            failures: Mutex::default(),
        }
    }

    /// Keeps the load on while `work` is done; no request of it may fail.
    #[track_caller]
    fn during<T>(&self, scene: &Scene, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        let before = (self.done.load(Ordering::SeqCst), self.requests(scene));
        let until = |one: &dyn Fn()| {
            while !over.load(Ordering::SeqCst) {
                one();
                self.done.fetch_add(1, Ordering::SeqCst);
            }
        };
        let worked = thread::scope(|scope| {
            let _ends_with_this = SetAtEnd(&over);
            scope.spawn(|| until(&|| self.run(scene)));
            scope.spawn(|| until(&|| self.run(scene)));
            scope.spawn(|| until(&|| self.change(scene)));
            work()
        });
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{} failed: {:#?}", failures.len(), failures.first());
        assert!(self.done.load(Ordering::SeqCst) > before.0 + 10, "there was hardly any load");
        assert!(self.requests(scene) > before.1, "no run reached the service");
        worked
    }

    /// How many requests of runs came, each with the secret.
    fn requests(&self, scene: &Scene) -> usize {
        let mut received = scene.echo.received();
        received.retain(|request| request.path() == "/load");
        let bearer = format!("Bearer {}", self.secret);
        for request in &received {
            assert_eq!(request.header("authorization"), Some(bearer.as_str()));
        }
        received.len()
    }

    fn run(&self, scene: &Scene) {
        let answer = scene.server.hook(&self.hook, &json!({}));
        if answer.status != 200 || answer.json()["status"] != 200 {
            self.failures.lock().unwrap().push(format!("{}: {}", answer.status, answer.body));
        }
    }

    /// Somebody makes a credential, replaces its value, narrows its binding, and looks at the list.
    fn change(&self, scene: &Scene) {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let hosts = json!([scene.host(), "http://127.0.0.2:9"]);
        let value = |name: &str| json!({ "value": scene.canary(&format!("{name}-{number}")) });
        let key = format!("LOAD{number}");
        let mut answers = vec![scene.server.post(
            "/credentials",
            &json!({ "key": key, "type": "api_key", "fields": value("load"), "hosts": hosts }),
        )];
        let id = answers[0].expect(201)["id"].as_str().unwrap().to_owned();
        let path = format!("/credentials/{id}");
        let next = json!({ "fields": value("next") });
        answers.push(scene.server.api("PUT", &format!("{path}/value"), &next));
        answers.push(scene.server.api("PATCH", &path, &json!({ "hosts": [scene.host()] })));
        answers.push(scene.server.get("/credentials?limit=200"));
        for answer in answers.into_iter().filter(|answer| answer.status >= 300) {
            self.failures.lock().unwrap().push(format!("{}: {}", answer.status, answer.body));
        }
        thread::sleep(Duration::from_millis(20));
    }

    /// Every credential that was made under load can be used.
    #[track_caller]
    fn check_all(&self, scene: &Scene) {
        let made = self.made.load(Ordering::SeqCst);
        let keys: Vec<_> = (0..made).map(|number| format!("LOAD{number}")).collect();
        for some in keys.chunks(20) {
            let uses: String = some
                .iter()
                .map(|key| {
                    format!("await fetch('HOST/all', {{ headers: {{ 'x-key': credential('{key}') }} }});")
                })
                .collect();
            assert_eq!(scene.output(&format!("{uses} return true;")), json!(true));
        }
        let sent = scene.echo.received().iter().filter(|r| r.path() == "/all").count();
        assert_eq!(sent, made);
    }
}
