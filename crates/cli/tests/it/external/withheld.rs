//! Runs whose secrets code computes: unreadable until it has, and for ever where it does not.

use super::{bot_token, clean, facing, message};
use serde_json::{Value, json};

#[test]
fn a_run_stays_unreadable_where_its_code_gives_no_secret() {
    let (scene, vendors) = facing("external-withheld");
    let token = scene.canary("token");
    let text = json!({ "key": token }).to_string();
    let parse = "const { key } = JSON.parse(trigger.body.text); console.log('parsed', key);";
    let none = json!({});
    let skipped = json!({ "when": "{{ trigger.body.absent | default(false) }}" });
    let cases = [
        ("it throws", "if (key) throw new Error('no ' + key); return { key };", &none),
        ("it gives nothing", "return key ? { other: key } : { key };", &none),
        ("it gives a list", "return { key: [key, key.length] };", &none),
        ("it gives a number", "return { key: key.length, all: [key] };", &none),
        ("it is skipped", "return { key };", &skipped),
        (
            "it goes on",
            "if (key) throw new Error(key); return { key };",
            &json!({ "on_error": "continue" }),
        ),
    ];
    for (case, source, more) in cases {
        let mut code =
            json!({ "id": "code", "kind": "code", "source": format!("{parse} {source}") });
        code.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let shown = json!({ "id": "shown", "kind": "code", "source": "console.log(trigger.body.text); return trigger;" });
        let steps = json!([code, shown, message(&bot_token("steps.code.output.key"))]);
        let (_, hook) = scene.hooked(&steps);
        let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "text": text })));
        assert_eq!(run["status"], "failed", "{case}: {run}");
        assert!(!run["error"]["code"].is_null(), "{case}: {run}");
        assert!(vendors.take().is_empty(), "{case}");
        let id = run["id"].as_str().unwrap();
        assert_eq!(scene.server.get(&format!("/runs/{id}/events")).status, 200, "{case}");
        let retry = scene.server.post(&format!("/runs/{id}/retry"), &Value::Null);
        assert_eq!(retry.status, 409, "{case}: {}", retry.body);
        clean(&scene.server, case);
    }
}

#[test]
fn a_value_that_is_turned_round_is_used_and_its_run_stays_unread() {
    let (scene, vendors) = facing("external-turned");
    let token = scene.canary("token");
    let turned: String = token.chars().rev().collect();
    let source = "return { key: trigger.body.turned.split('').reverse().join('') };";
    let code = json!({ "id": "code", "kind": "code", "source": source });
    let (_, hook) = scene.hooked(&json!([code, message(&bot_token("steps.code.output.key"))]));
    let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "turned": turned })));
    assert_eq!((&run["status"], &run["stored"]), (&json!("succeeded"), &json!(false)), "{run}");
    assert_eq!((&run["trigger"], &run["steps"][0]["output"]), (&Value::Null, &Value::Null));
    assert!(!run.to_string().contains(&turned), "{run}");
    let received = vendors.take();
    assert_eq!(received[0].header("authorization"), Some(&*format!("Bearer {token}")));
    clean(&scene.server, "turned round");
}

#[test]
fn a_mistyped_member_leaves_nothing_readable() {
    let (scene, vendors) = facing("external-mistyped");
    let token = scene.canary("token");
    for source in ["return { other: trigger.body.token };", "trigger.body.token;"] {
        let code = json!({ "id": "code", "kind": "code", "source": source });
        let (_, hook) = scene.hooked(&json!([code, message(&bot_token("steps.code.output.key"))]));
        let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": token })));
        assert_eq!(run["error"]["code"], "validation_failed", "{run}");
        assert!(vendors.take().is_empty(), "{source}");
        clean(&scene.server, source);
    }
}
