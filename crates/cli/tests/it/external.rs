//! Credentials that arrive at run time: sealed before the first write, opened at their destination.

mod bound;
mod databases_fail;
mod in_flight;
mod linked;
mod mail_fails;
mod no_store;
mod odd;
mod refused;
mod relay;
mod signs_in;
mod sources;
mod stores_fail;
mod trigger;
mod withheld;

use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use keyward_testkit::openbao::OpenBao;
use keyward_testkit::postgres::Postgres;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};

const SLACK: &str = "slack.com";
const POST: &str = "/api/chat.postMessage";
const SENDGRID: &str = "api.sendgrid.com";
const SEND: &str = "/v3/mail/send";

/// A message in Slack.
fn message(credential: &Value) -> Value {
    json!({
        "id": "post", "kind": "app", "app": "slack", "action": "send_message",
        "credential": credential, "inputs": { "channel": "C1", "text": "Hello" },
    })
}

/// A mail by SendGrid.
fn mail(credential: &Value) -> Value {
    json!({
        "id": "post", "kind": "app", "app": "sendgrid", "action": "send_email",
        "credential": credential,
        "inputs": { "from": "ada@example.com", "to": "grace@example.com", "subject": "Hi", "text": "Hello" },
    })
}

/// An external credential with one secret field that stands at a path.
fn external(scheme: &str, field: &str, path: &str) -> Value {
    let template = format!("{{{{ {path} }}}}");
    json!({ "$external": { "scheme": scheme, "fields": { field: template } } })
}

fn bot_token(path: &str) -> Value {
    external("bot_token", "bot_token", path)
}

/// A step that reads what the stored credential `STORE` gives.
fn fetch(app: &str, action: &str, inputs: &Value) -> Value {
    json!({
        "id": "fetch", "kind": "app", "app": app, "action": action, "inputs": inputs,
        "credential": { "$credential": "STORE" },
    })
}

/// Slack and SendGrid, which take everything.
fn vendors() -> Vendors {
    let vendors = Vendors::start(&[SLACK, SENDGRID]);
    let posted = json!({ "ok": true, "channel": "C1", "ts": "1.2" });
    vendors.on("POST", SLACK, POST, &[Reply::json(&posted)]);
    let accepted = Reply::status(202).header("X-Message-Id", "m1");
    vendors.on("POST", SENDGRID, SEND, &[accepted]);
    vendors
}

fn facing(test: &str) -> (Scene, Vendors) {
    facing_on(test, Backend::Sqlite)
}

fn facing_on(test: &str, backend: Backend) -> (Scene, Vendors) {
    let vendors = vendors();
    let scene = Scene::with(Server::start_facing(test, backend, &vendors, &[]));
    (scene, vendors)
}

fn facing_with(test: &str, environment: &[(&str, &str)]) -> (Scene, Vendors) {
    let vendors = vendors();
    let server = Server::start_facing(test, Backend::Sqlite, &vendors, environment);
    (Scene::with(server), vendors)
}

/// Fails where a canary of the test can be read by now in anything that the server has written.
#[track_caller]
fn clean(server: &Server, at: &str) {
    if let Some(url) = server.database_url() {
        Postgres::shared().dump(url, &server.evidence.folder().join("now.sql"));
    }
    let swept = server.evidence.sweep().expect("files that can be read");
    assert!(swept.files > 3 && swept.canaries > 2, "too little to look at {at}: {swept:?}");
    let found: Vec<String> = swept.findings.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{at}:\n{}", found.join("\n"));
}

/// What stands at a path as templates write it, such as `rows[0].token`.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    let pointer = path.replace("].", "/").replace(']', "").replace(['.', '['], "/");
    value.pointer(&format!("/{pointer}")).unwrap_or(&Value::Null)
}

/// Retries a run; gives the new one that has ended.
#[track_caller]
fn retried(scene: &Scene, run: &Value) -> Value {
    let id = run["id"].as_str().expect("an id");
    let retried = scene.server.post(&format!("/runs/{id}/retry"), &Value::Null).expect(202);
    scene.server.ended(retried["run_id"].as_str().expect("an id"))
}

/// Fails unless a run ended at that step with that code and a message with those words, and no canary.
#[track_caller]
fn failed(run: &Value, (step, code, words): (usize, &str, &str), case: &str) {
    assert_eq!(run["status"], "failed", "{case}: {run}");
    let error = &run["steps"][step]["error"];
    assert_eq!(error["code"], code, "{case}: {run}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{case}: {message}");
    assert!(!run.to_string().contains(keyward_testkit::canary::PREFIX), "{case}: {run}");
    assert!(!run["finished_at"].is_null(), "{case}: {run}");
}

#[test]
fn a_token_of_the_trigger_reaches_the_app_and_nothing_else() {
    let (scene, vendors) = facing("external-trigger");
    let token = scene.canary("bot");
    let (_, hook) = scene.hooked(&json!([message(&bot_token("trigger.body.slack.token"))]));
    let body = json!({ "slack": { "token": token, "channel": "C1" }, "copy": token });
    let answer = scene.server.hook(&hook, &body);
    let run = scene.server.run_of(&answer);
    assert_eq!(run["status"], "succeeded", "{run}");
    let received = vendors.received();
    assert_eq!(received.len(), 1, "one request and no more");
    assert_eq!(received[0].header("authorization"), Some(&*format!("Bearer {token}")));
    let sealed = "[sealed:trigger.body.slack.token]";
    assert_eq!(run["trigger"]["body"]["slack"]["token"], sealed, "{run}");
    assert_eq!(run["trigger"]["body"]["copy"], sealed, "{run}");
    assert_eq!(run["trigger"]["body"]["slack"]["channel"], "C1", "{run}");
    let used = &run["steps"][0]["credentials"][0];
    assert_eq!(used["key"], "trigger.body.slack.token", "{run}");
    assert_eq!(used["credential_id"], Value::Null, "{run}");
    assert_eq!(used["destination"], "https://slack.com", "{run}");
}

#[test]
fn a_secret_of_vault_feeds_an_app_through_code() {
    let bao = OpenBao::start();
    let (scene, vendors) = facing("external-vault");
    let (secret, token) = (scene.canary("bot"), bao.token("", 3600));
    scene.server.evidence.watch("token", &token);
    bao.put("secret/team/slack", &json!({ "token": secret, "note": "x" }));
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "fields": { "address": bao.url(), "token": token },
    }));
    let steps = json!([
        fetch("vault", "read_secret", &json!({ "mount": "secret", "path": "team/slack" })),
        { "id": "pick", "kind": "code",
          "source": "const d = steps.fetch.output.data; console.log(d.token); return { token: d.token };" },
        message(&bot_token("steps.pick.output.token")),
    ]);
    let run = scene.run(&steps, &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let received = vendors.received();
    assert_eq!(received[0].header("authorization"), Some(&*format!("Bearer {secret}")));
    let sealed = "[sealed:steps.fetch.output.data.token]";
    assert_eq!(run["steps"][0]["output"]["data"]["token"], sealed, "{run}");
    assert_eq!(run["steps"][1]["output"]["token"], sealed, "{run}");
    assert_eq!(bao.count("secret/data/team/slack"), 1);
}
