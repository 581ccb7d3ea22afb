//! Secrets that come with the trigger's request, in every place and shape.

use super::{at, bot_token, clean, external, facing, failed, message};
use crate::scene::Scene;
use crate::server::Answer;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};

/// Sends a trigger's request: headers, query and body.
struct Sent {
    headers: Vec<(&'static str, String)>,
    query: String,
    body: Vec<u8>,
}

fn as_json(body: &Value) -> Sent {
    let headers = vec![("Content-Type", "application/json".to_owned())];
    Sent { headers, query: String::new(), body: body.to_string().into_bytes() }
}

fn send(scene: &Scene, hook: &str, sent: &Sent) -> Answer {
    let headers: Vec<_> = sent.headers.iter().map(|(name, value)| (*name, &**value)).collect();
    scene.server.send("POST", &format!("{hook}{}", sent.query), &headers, &sent.body)
}

/// Where the secret is taken from, what is sent, and what is shown at which place of the run.
struct Case {
    path: &'static str,
    sent: Sent,
    shown: Vec<(&'static str, String)>,
    code: Option<&'static str>,
}

fn sealed(origin: &str) -> String {
    format!("[sealed:{origin}]")
}

fn cases(token: &str, other: &str) -> Vec<Case> {
    let case = |path, sent, shown, code| Case { path, sent, shown, code };
    let typed = |kind: &str, body: &str| Sent {
        headers: vec![("Content-Type", kind.to_owned())],
        query: String::new(),
        body: body.into(),
    };
    let with = |name, value: String| Sent {
        headers: vec![("Content-Type", "application/json".to_owned()), (name, value)],
        query: String::new(),
        body: b"{}".to_vec(),
    };
    let own = |path: &'static str| vec![(path, sealed(path))];
    let shown = |place, origin: &str| vec![(place, sealed(origin))];
    let nested = json!({ "a": { "b c": [{ "token": token }] } });
    let list = json!({ "tokens": [token, other] });
    let plain = json!({ "token": token });
    let text = json!({ "text": json!({ "token": token }).to_string() });
    vec![
        case(
            "trigger.body.a[\"b c\"][0].token",
            as_json(&nested),
            vec![("trigger.body.a.b c[0].token", sealed("trigger.body.a[\"b c\"][0].token"))],
            None,
        ),
        case(
            "trigger.body.token",
            typed("application/x-www-form-urlencoded", &format!("x=1&token={token}")),
            own("trigger.body.token"),
            None,
        ),
        case(
            "trigger.query.token",
            Sent { query: format!("?token={token}"), ..as_json(&json!({})) },
            own("trigger.query.token"),
            None,
        ),
        case(
            "trigger.headers[\"x-api-key\"]",
            with("X-Api-Key", token.to_owned()),
            vec![("trigger.headers.x-api-key", sealed("trigger.headers[\"x-api-key\"]"))],
            None,
        ),
        case(
            "trigger.headers.authorization",
            with("Authorization", format!("Bearer {token}")),
            vec![(
                "trigger.headers.authorization",
                format!("Bearer {}", sealed("trigger.headers.authorization")),
            )],
            None,
        ),
        case(
            "trigger.body.tokens[0]",
            as_json(&list),
            vec![
                ("trigger.body.tokens[0]", sealed("trigger.body.tokens[0]")),
                ("trigger.body.tokens[1]", sealed("trigger.body.tokens[1]")),
            ],
            None,
        ),
        case("trigger.body", typed("text/plain", token), own("trigger.body"), None),
        case(
            "steps.code.output.made",
            as_json(&plain),
            own("trigger.body.token"),
            Some("return { made: 'Bearer ' + trigger.body.token };"),
        ),
        case(
            "steps.code.output.made",
            as_json(&text),
            shown("steps[0].output.made", "steps.code.output.made"),
            Some("return { made: JSON.parse(trigger.body.text).token };"),
        ),
        case(
            "steps.code.output.made",
            as_json(&plain),
            own("trigger.body.token"),
            Some(
                "const { token } = trigger.body; console.log(token, btoa(token)); return { made: `${token}` };",
            ),
        ),
        case(
            "steps.code.output.made",
            as_json(&list),
            own("trigger.body.tokens[0]"),
            Some("const [first] = trigger.body.tokens; return { made: first };"),
        ),
        case(
            "steps.code.output.made",
            typed("text/plain", &format!("x {token} y")),
            shown("steps[0].output.made", "steps.code.output.made"),
            Some("return { made: trigger.body.split(' ')[1] };"),
        ),
    ]
}

fn steps(case: &Case) -> Value {
    let post = message(&bot_token(case.path));
    match case.code {
        Some(source) => json!([{ "id": "code", "kind": "code", "source": source }, post]),
        None => json!([post]),
    }
}

#[test]
fn a_secret_is_sealed_wherever_it_stands_in_the_request() {
    let (scene, vendors) = facing("external-shapes");
    let (token, other) = (scene.canary("token"), scene.canary("other"));
    for case in cases(&token, &other) {
        let name = format!("{} {}", case.path, case.code.unwrap_or_default());
        let (_, hook) = scene.hooked(&steps(&case));
        let answer = send(&scene, &hook, &case.sent);
        let run = scene.server.run_of(&answer);
        assert_eq!(run["status"], "succeeded", "{name}: {run}");
        let received = vendors.take();
        assert_eq!(received.len(), 1, "{name}");
        let expected = format!("Bearer {token}");
        assert_eq!(received[0].header("authorization"), Some(&*expected), "{name}");
        for (place, shown) in &case.shown {
            assert_eq!(at(&run, place), &json!(shown), "{name}: {run}");
        }
        clean(&scene.server, &name);
    }
}

#[test]
fn what_is_no_secret_text_ends_the_run_with_the_fields_name() {
    let (scene, vendors) = facing("external-wrong-shapes");
    let token = scene.canary("token");
    let (_, hook) = scene.hooked(&json!([message(&bot_token("trigger.body.token"))]));
    let long = |size: usize| token.repeat(size / token.len() + 1)[..size].to_owned();
    let refused = |body: Value, words: &str| {
        let run = scene.server.run_of(&scene.server.hook(&hook, &body));
        let case = body.to_string().chars().take(60).collect::<String>();
        failed(&run, (0, "validation_failed", "\"bot_token\""), &case);
        failed(&run, (0, "validation_failed", words), &case);
        assert!(!run.to_string().contains("8675309"), "{run}");
        assert!(vendors.take().is_empty(), "{case}");
    };
    refused(json!({}), "absent");
    refused(json!({ "token": null }), "absent");
    refused(json!({ "token": "" }), "empty");
    refused(json!({ "token": 867530912345u64 }), "not text");
    refused(json!({ "token": true }), "not text");
    refused(json!({ "token": { "inner": token } }), "not text");
    refused(json!({ "token": [token] }), "not text");
    refused(json!({ "token": long(65_537) }), "65,536");
    let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": long(65_536) })));
    assert_eq!(run["status"], "succeeded", "{run}");
    let expected = format!("Bearer {}", long(65_536));
    assert!(vendors.take()[0].header("authorization") == Some(&*expected), "not what was sent");
    clean(&scene.server, "in the end");
}

#[test]
fn a_failed_run_that_needs_the_triggers_secret_is_not_retried() {
    let (scene, vendors) = facing("external-gone");
    let token = scene.canary("token");
    let (_, hook) = scene.hooked(&json!([message(&bot_token("trigger.body.token"))]));
    let error = json!({ "ok": false, "error": "invalid_auth" });
    vendors.queue(super::SLACK, keyward_testkit::echo::Reply::json(&error));
    let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": token })));
    failed(&run, (0, "http_status", "invalid_auth"), "refused");
    let id = run["id"].as_str().unwrap();
    let answer = scene.server.post(&format!("/runs/{id}/retry"), &Value::Null);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.json()["detail"].as_str().unwrap().contains("not kept"), "{}", answer.body);
}

#[test]
fn user_and_password_arrive_as_one_pair() {
    let (scene, vendors) = facing("external-pair");
    let (user, password) = (scene.canary("user"), scene.canary("password"));
    let pair = data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes());
    let basic = json!({ "$external": { "scheme": "basic", "fields": {
        "username": "{{ trigger.body.user }}", "password": "{{ trigger.body.password }}",
    } } });
    let url = scene.echo.url("/basic");
    let by_http =
        json!({ "id": "http", "kind": "http", "credential": basic, "request": { "url": url } });
    let by_code = scene.code(
        "code",
        "const { user, password } = trigger.body;\n\
         const r = await fetch('HOST/code', { headers: { authorization: 'Basic ' + btoa(user + ':' + password) } });\n\
         return r.status;",
    );
    let body = json!({ "user": user, "password": password });
    for steps in [json!([by_http]), json!([by_code, by_http])] {
        let (_, hook) = scene.hooked(&steps);
        let run = scene.server.run_of(&scene.server.hook(&hook, &body));
        assert_eq!(run["status"], "succeeded", "{run}");
        for shown in ["user", "password"] {
            let origin = format!("[sealed:trigger.body.{shown}]");
            assert_eq!(run["trigger"]["body"][shown], origin, "{run}");
        }
    }
    let received = scene.echo.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        let expected = format!("Basic {pair}");
        assert_eq!(request.header("authorization"), Some(&*expected), "{}", request.target);
    }
    clean(&scene.server, "in the end");
    drop(vendors);
}

/// An external credential of each kind for the `http` step.
#[test]
fn an_http_step_attaches_each_kind() {
    let (scene, _vendors): (Scene, Vendors) = facing("external-http");
    let token = scene.canary("token");
    for (scheme, field) in [("api_key", "value"), ("oauth2", "oauth_access_token")] {
        let credential = external(scheme, field, "trigger.body.token");
        let request = json!({ "url": scene.echo.url(scheme) });
        let step =
            json!({ "id": "s", "kind": "http", "credential": credential, "request": request });
        let (_, hook) = scene.hooked(&json!([step]));
        let run = scene.server.run_of(&scene.server.hook(&hook, &json!({ "token": token })));
        assert_eq!(run["status"], "succeeded", "{scheme}: {run}");
        // The echo answers with what it was sent.
        clean(&scene.server, scheme);
        let received = scene.echo.received();
        let expected = format!("Bearer {token}");
        assert_eq!(received.last().unwrap().header("authorization"), Some(&*expected), "{scheme}");
    }
}
