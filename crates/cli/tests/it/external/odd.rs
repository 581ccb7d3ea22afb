//! Secrets of unusual shapes out of a store: sent as they are, or refused by the field's name.

use super::{bot_token, clean, facing, fetch, message, retried};
use keyward_testkit::echo::{Echo, Reply};
use serde_json::{Value, json};

fn given(token: &Value) -> Reply {
    Reply::json(&json!({ "data": { "data": { "token": token }, "metadata": { "version": 1 } } }))
}

#[test]
fn values_of_unusual_shapes_are_sent_whole_or_refused() {
    let (scene, vendors) = facing("external-odd");
    let store = Echo::start();
    let token = scene.canary("token");
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": format!("http://{}", store.address()), "token": scene.canary("vault") },
    }));
    let read = fetch("vault", "read_secret", &json!({ "mount": "secret", "path": "app" }));
    let workflow =
        scene.manual(&json!([read, message(&bot_token("steps.fetch.output.data.token"))]));
    let long = |size: usize| token.repeat(size / token.len() + 1)[..size].to_owned();
    // None: as it is.
    let cases: Vec<(&str, String, Option<&str>)> = vec![
        ("quotes", format!("\"{token}'\\"), None),
        ("braces", format!("{{{{ {token} }}}}"), None),
        ("the greatest", long(65_536), None),
        ("too large", long(65_537), Some("validation_failed")),
        ("a line's end", format!("{token}\n"), Some("validation_failed")),
        ("two lines", format!("{token}\r\nX-Other: {token}"), Some("validation_failed")),
        ("a zero byte", format!("{token}\0"), Some("validation_failed")),
        ("other letters", format!("{token}\u{e4}\u{1f511}"), None),
        ("a placeholder of nobody", format!("kws1_{}", &token[..40]), None),
    ];
    for (case, value, expected) in cases {
        store.queue(given(&json!(value)));
        let run = scene.run_again(&workflow, &json!({}));
        let posted = vendors.take();
        match expected {
            None => {
                assert_eq!(run["status"], "succeeded", "{case}: {run}");
                let header = format!("Bearer {value}");
                assert!(posted[0].header("authorization") == Some(&*header), "{case}: {posted:?}");
            }
            Some(code) => {
                assert_eq!(run["steps"][1]["error"]["code"], code, "{case}: {run}");
                let message = run["steps"][1]["error"]["message"].as_str().unwrap();
                assert!(
                    message.contains("bot_token")
                        || message.contains("steps.fetch.output.data.token"),
                    "{case}: {message}"
                );
                assert!(posted.is_empty(), "{case}");
                store.queue(given(&json!(token)));
                assert_eq!(retried(&scene, &run)["status"], "succeeded", "{case}, retried");
                vendors.take();
            }
        }
        clean(&scene.server, case);
    }
}

#[test]
fn a_throttled_store_is_asked_again_where_the_step_says_so() {
    let (scene, vendors) = facing("external-throttled");
    let store = Echo::start();
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": format!("http://{}", store.address()), "token": scene.canary("vault") },
    }));
    let mut read = fetch("vault", "read_secret", &json!({ "mount": "secret", "path": "app" }));
    read["retry"] = json!({ "attempts": 3, "delay_seconds": 0 });
    for status in [429, 503] {
        store.queue(Reply::status(status).header("Retry-After", "1"));
    }
    store.queue(given(&json!(scene.canary("token"))));
    let run =
        scene.run(&json!([read, message(&bot_token("steps.fetch.output.data.token"))]), &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!((run["steps"][0]["attempt"].as_u64(), vendors.take().len()), (Some(3), 1), "{run}");
    clean(&scene.server, "in the end");
}

/// One token that feeds two apps may go to the hosts of both.
#[test]
fn a_value_that_feeds_two_apps_goes_to_both() {
    let (scene, vendors) = facing("external-two");
    let token = scene.canary("token");
    let mut mail = super::mail(&super::external("api_key", "api_key", "trigger.body.token"));
    mail["id"] = json!("mail");
    let code =
        json!({ "id": "code", "kind": "code", "source": "return { t: trigger.body.token };" });
    let steps = json!([message(&bot_token("trigger.body.token")), code, mail]);
    let (_, hook) = scene.hooked(&steps);
    let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": token })));
    assert_eq!(run["status"], "succeeded", "{run}");
    let posted = vendors.take();
    let hosts: Vec<_> = posted.iter().map(|request| request.host()).collect();
    assert_eq!(hosts, [super::SLACK, super::SENDGRID]);
    clean(&scene.server, "in the end");
}
