//! Every refused attempt of a step is recorded exactly once, with its reason.

use crate::scene::Scene;
use crate::server::on_both;
use serde_json::{Value, json};

/// Runs a workflow; its refusals are these reasons, each once, and its error is that code.
#[track_caller]
fn check(scene: &Scene, name: &str, workflow: &str, expected: &str, reasons: &[&str]) {
    let run = scene.run_again(workflow, &json!({}));
    assert_eq!(run["error"]["code"], expected, "{name}: {run}");
    let id = run["id"].as_str().unwrap();
    let recorded = scene.audit(&format!("run={id}&outcome=refused"));
    let mut found: Vec<&str> =
        recorded.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, reasons, "{name}: {recorded:#?}");
    for event in &recorded {
        let action = event["action"].as_str().unwrap();
        assert!(matches!(action, "credential.used" | "credential.exposed"), "{name}: {event}");
        assert_eq!(event["workflow_id"], workflow, "{name}: {event}");
        assert_eq!(event["step_id"], "s", "{name}: {event}");
    }
}

fn http(key: &str, url: &str) -> Value {
    json!([{ "id": "s", "kind": "http", "credential": { "$credential": key },
             "request": { "method": "GET", "url": url } }])
}

#[test]
fn each_refused_path_is_recorded_once_with_its_reason() {
    on_both("audit-refusals", |server| {
        let scene = Scene::with(server);
        let (host, ok) = (scene.host(), format!("{}/ok", scene.host()));
        let body = |key: &str, more: Value| {
            let mut body = json!({
                "key": key, "type": "api_key", "fields": { "value": scene.canary(key) },
                "hosts": [host], "methods": ["GET"], "paths": ["/ok"], "places": ["header"],
            });
            more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
            body
        };
        scene.credential(&body("BOUND", json!({})));
        scene.credential(&body("LISTED", json!({})));
        scene.credential(&body("EXPIRED", json!({ "expires_at": "2026-01-01T00:00:00Z" })));
        let broken = scene.credential(&body("BROKEN", json!({})));
        let code = |source: &str| scene.manual(&json!([scene.code("s", source)]));
        let fetch = |url: &str| {
            format!("await fetch('{url}', {{ headers: {{ authorization: credential('BOUND') }} }})")
        };

        let absent = scene.manual(&http("ABSENT", &ok));
        check(&scene, "no such key", &absent, "missing_credential", &["not_found"]);
        let absent = code("return credential('ABSENT')");
        check(&scene, "no such key in code", &absent, "missing_credential", &["not_found"]);
        let twice = code("try { credential('ABSENT') } catch {} return credential('ABSENT')");
        check(&scene, "asked for twice", &twice, "missing_credential", &["not_found"]);
        let undeclared = code("const k = 'BO' + 'UND'; return credential(k)");
        check(&scene, "undeclared", &undeclared, "missing_credential", &["undeclared"]);
        let both = code(
            "try { credential('ABSENT') } catch {} const k = 'BO' + 'UND'; return credential(k)",
        );
        check(&scene, "two", &both, "missing_credential", &["not_found", "undeclared"]);

        let list = scene.manual(&http("LISTED", &ok));
        let only = json!({ "enabled": true, "keys": ["BOUND"] });
        scene.server.api("PUT", &format!("/workflows/{list}/allowlist"), &only).expect(200);
        check(&scene, "not on the list", &list, "missing_credential", &["allowlist"]);

        let elsewhere = code(&fetch("https://elsewhere.example/ok"));
        check(&scene, "another host", &elsewhere, "credential_not_allowed_here", &["host"]);
        let path = code(&fetch("HOST/other"));
        check(&scene, "another path", &path, "credential_not_allowed_here", &["path"]);
        let method =
            code("await fetch('HOST/ok', { method: 'POST', headers: { a: credential('BOUND') } })");
        check(&scene, "another method", &method, "credential_not_allowed_here", &["method"]);
        let place = code("await fetch('HOST/ok?k=' + credential('BOUND'))");
        check(&scene, "another place", &place, "credential_not_allowed_here", &["place"]);
        let damaged =
            code("await fetch('HOST/ok', { headers: { a: credential('BOUND').slice(0, 30) } })");
        check(
            &scene,
            "half of it",
            &damaged,
            "credential_not_allowed_here",
            &["placeholder_altered"],
        );

        let expired = scene.manual(&http("EXPIRED", &ok));
        check(&scene, "expired", &expired, "credential_unusable", &["expired"]);
        let changed = format!("UPDATE credentials SET owner_id = 'x' WHERE id = '{broken}'");
        super::edit(&scene.server, &changed);
        let tampered = scene.manual(&http("BROKEN", &ok));
        check(&scene, "tampered with", &tampered, "credential_unusable", &["tampered"]);
        let gone = scene.manual(&http("BOUND", &ok));
        super::edit(&scene.server, &format!("DELETE FROM allowlists WHERE workflow_id = '{gone}'"));
        check(&scene, "its list is gone", &gone, "credential_unusable", &["allowlist_gone"]);
        let fine = scene.manual(&http("BOUND", &ok));
        assert_eq!(scene.run_again(&fine, &json!({}))["status"], "succeeded", "the rest works");
    });
}
