//! Apps whose service wants its token in the path of the URL.

use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};

const TELEGRAM: &str = "api.telegram.org";
const DISCORD: &str = "discord.com";

/// Runs one step and gives its run and the path that the vendor saw.
fn path(
    test: &str,
    answers: &[(&str, &str, Value)],
    credential: &Value,
    step: &Value,
) -> (Value, String) {
    let vendors = Vendors::start(&[TELEGRAM, DISCORD]);
    for (host, path, answer) in answers {
        vendors.on("POST", host, path, &[Reply::json(answer)]);
    }
    let scene = Scene::with(Server::start_facing(test, Backend::Sqlite, &vendors, &[]));
    scene.credential(credential);
    let run = scene.run(&json!([step]), &json!({}));
    let received = vendors.received();
    assert_eq!(received.len(), 1, "{run}");
    (run, received[0].path().to_owned())
}

#[test]
fn a_bot_token_of_telegram_stands_in_the_path_alone() {
    let token = "110201543:kw-canary-telegram-token";
    let (sent, seen) = (
        "/bot110201543:kw-canary-telegram-token/sendMessage",
        json!({ "ok": true, "result": { "message_id": 7 } }),
    );
    let step = json!({
        "id": "send", "kind": "app", "app": "telegram", "action": "send_message",
        "credential": { "$credential": "BOT" }, "inputs": { "chat_id": 1, "text": "Hello" },
    });
    let credential = json!({ "key": "BOT", "app": "telegram", "fields": { "bot_token": token } });
    let (run, path) = path("telegram", &[(TELEGRAM, sent, seen)], &credential, &step);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(path, sent);
    assert_eq!(run["steps"][0]["output"]["message_id"], 7, "{run}");
    assert!(!run.to_string().contains("kw-canary-telegram-token"), "{run}");
}

#[test]
fn a_webhook_of_discord_stands_in_the_path() {
    let sent = "/api/v10/webhooks/123456789012345678/kw-canary-webhook-token";
    let seen = json!({ "id": "234567890123456789", "content": "Hello" });
    let step = json!({
        "id": "send", "kind": "app", "app": "discord_webhook", "action": "send_message",
        "credential": { "$credential": "HOOK" }, "inputs": { "content": "Hello" },
    });
    let credential = json!({
        "key": "HOOK", "app": "discord_webhook",
        "fields": { "webhook_id": "123456789012345678", "webhook_token": "kw-canary-webhook-token" },
    });
    let (run, path) = path("discord-webhook", &[(DISCORD, sent, seen)], &credential, &step);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(path, sent);
    assert!(!run.to_string().contains("kw-canary-webhook-token"), "{run}");
}
