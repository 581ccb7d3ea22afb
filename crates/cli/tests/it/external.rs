//! Credentials that arrive at run time: sealed before the first write, opened at their destination.

use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use keyward_testkit::openbao::OpenBao;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};

const SLACK: &str = "slack.com";
const POST: &str = "/api/chat.postMessage";

fn message(credential: &Value) -> Value {
    json!({
        "id": "post", "kind": "app", "app": "slack", "action": "send_message",
        "credential": credential, "inputs": { "channel": "C1", "text": "Hello" },
    })
}

fn bot_token(path: &str) -> Value {
    let template = format!("{{{{ {path} }}}}");
    json!({ "$external": { "scheme": "bot_token", "fields": { "bot_token": template } } })
}

fn facing(test: &str) -> (Scene, Vendors) {
    let vendors = Vendors::start(&[SLACK]);
    let posted = json!({ "ok": true, "channel": "C1", "ts": "1.2" });
    vendors.on("POST", SLACK, POST, &[Reply::json(&posted)]);
    let scene = Scene::with(Server::start_facing(test, Backend::Sqlite, &vendors, &[]));
    (scene, vendors)
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
    let vendors = Vendors::start(&[SLACK]);
    let posted = json!({ "ok": true, "channel": "C1", "ts": "1.2" });
    vendors.on("POST", SLACK, POST, &[Reply::json(&posted)]);
    let allow = format!("{},{}", vendors.allow(), bao.url().trim_start_matches("http://"));
    let environment = [("KEYWARD_EGRESS_ALLOW", allow.as_str())];
    let server = Server::start_facing("external-vault", Backend::Sqlite, &vendors, &environment);
    let scene = Scene::with(server);
    let (secret, token) = (scene.canary("bot"), bao.token("", 3600));
    bao.put("secret/team/slack", &json!({ "token": secret, "note": "x" }));
    scene.credential(&json!({
        "key": "VAULT", "app": "vault", "fields": { "address": bao.url(), "token": token },
    }));
    let steps = json!([
        { "id": "read", "kind": "app", "app": "vault", "action": "read_secret",
          "credential": { "$credential": "VAULT" }, "inputs": { "mount": "secret", "path": "team/slack" } },
        { "id": "pick", "kind": "code",
          "source": "const d = steps.read.output.data; console.log(d.token); return { token: d.token };" },
        message(&bot_token("steps.pick.output.token")),
    ]);
    let run = scene.run(&steps, &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let received = vendors.received();
    assert_eq!(received[0].header("authorization"), Some(&*format!("Bearer {secret}")));
    assert_eq!(run["steps"][0]["output"]["data"]["token"], "[sealed:steps.read.output.data.token]");
    assert_eq!(bao.count("secret/data/team/slack"), 1);
}
