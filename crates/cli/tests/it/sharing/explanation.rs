//! Which rule refuses a credential: told to people with the right to know, decided as at run time.

use super::{Member, calls, code, owner, sent, text};
use crate::scene::Scene;
use crate::server::{Answer, Server, on_both};
use serde_json::{Value, json};

fn explain(who: &Member, server: &Server, id: &str, query: &str) -> Answer {
    who.get(server, &format!("/credentials/{id}/explain?{query}"))
}

/// What is said: the row that refuses and its word, or nothing where it is allowed.
#[track_caller]
fn said(answer: &Answer) -> Option<(i64, String)> {
    let answer = answer.expect(200);
    assert!(!text(&answer["detail"]).is_empty(), "{answer}");
    let allowed = answer["allowed"].as_bool().expect("yes or no");
    assert_eq!(allowed, answer["row"].is_null(), "{answer}");
    (!allowed).then(|| (answer["row"].as_i64().expect("a row"), text(&answer["reason"])))
}

#[test]
fn each_rule_is_named_and_is_the_one_that_a_run_meets() {
    on_both("explain-rules", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let (ann, bob) = (owner(server), Member::machine(server, "bob", "editor"));
        let carol = Member::machine(server, "carol", "editor");
        let common = scene.api_key("KEY", &scene.canary("common"));
        let workflow = bob.caller(&scene, "KEY");
        let check = |id: &str, expected: Option<(i64, &str)>| {
            let query = format!("workflow={workflow}&step=call");
            let found = said(&explain(&ann, server, id, &query));
            assert_eq!(found, expected.map(|(row, reason)| (row, reason.to_owned())));
            let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
            let unavailable = shown["unavailable_credentials"] != json!([]);
            let refused = code(sent(&scene, &workflow));
            assert_eq!(unavailable, !refused.is_empty(), "{shown} {refused}");
            if let Some((row, _)) = expected.filter(|(_, reason)| *reason != "shadowed") {
                let told = if row < 7 { "missing_credential" } else { "credential_unusable" };
                assert_eq!(refused, told, "row {row}");
            }
        };
        let list = |body: Value| {
            server.api("PUT", &format!("/workflows/{workflow}/allowlist"), &body).expect(200)
        };
        check(&common, None);
        list(json!({ "enabled": true, "keys": ["OTHER"] }));
        check(&common, Some((3, "allowlist")));
        list(json!({ "enabled": false, "keys": [] }));
        let role = |role: &str| {
            server
                .api("PATCH", &format!("/members/{}", bob.id), &json!({ "role": role }))
                .expect(200)
        };
        role("viewer");
        let query = format!("workflow={workflow}");
        let found = said(&explain(&ann, server, &common, &query));
        assert_eq!(found, Some((2, "starter".to_owned())));
        role("editor");
        let post = |id: &str, what: &str| {
            server.post(&format!("/credentials/{id}/{what}"), &Value::Null).expect(200)
        };
        post(&common, "suspend");
        check(&common, Some((7, "suspended")));
        post(&common, "resume");
        let expires = |at: Value| {
            server.api("PATCH", &format!("/credentials/{common}"), &json!({ "expires_at": at }))
        };
        expires(json!("2020-01-01T00:00:00Z")).expect(200);
        check(&common, Some((7, "expired")));
        expires(Value::Null).expect(200);
        let carols = carol.personal(&scene, "KEY", &scene.canary("carols"));
        let of_carols = said(&explain(&carol, server, &carols, &query));
        assert_eq!(of_carols, Some((5, "not_shared".to_owned())));
        carol.share(server, &carols, &bob.id, "use");
        check(&common, Some((5, "shadowed")));
        assert_eq!(said(&explain(&carol, server, &carols, &query)), None);
        let path = format!("/workflows/{workflow}");
        ann.call(server, "PUT", &path, &calls(&scene, "KEY")).expect(200);
        let of_carols = said(&explain(&carol, server, &carols, &query));
        assert_eq!(of_carols, Some((6, "not_adopted".to_owned())));
        assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
        ann.call(server, "PUT", &path, &calls(&scene, "OTHER")).expect(200);
        let found = said(&explain(&ann, server, &common, &query));
        assert_eq!(found, Some((4, "undeclared".to_owned())));
        let elsewhere = scene.credential(&json!({
            "key": "OTHER", "type": "api_key", "fields": { "value": scene.canary("elsewhere") },
            "scope": { "kind": "workflow", "workflow": ann.caller(&scene, "OTHER") },
        }));
        let found = said(&explain(&ann, server, &elsewhere, &query));
        assert_eq!(found, Some((5, "not_found".to_owned())));
    });
}

#[test]
fn a_destination_is_held_against_the_binding() {
    let scene = Scene::start("explain-destination");
    let server = &scene.server;
    let ann = owner(server);
    let id = scene.credential(&json!({
        "key": "KEY", "type": "api_key", "fields": { "value": scene.canary("secret") },
        "hosts": [scene.host(), "api.example.com", "http://[::1]:1"], "methods": ["POST"],
        "paths": ["/api/*"],
    }));
    let workflow = ann.caller(&scene, "KEY");
    let ask = |destination: &str, method: &str| {
        let url: String = url::form_urlencoded::byte_serialize(destination.as_bytes()).collect();
        let query = format!("workflow={workflow}&destination={url}&method={method}");
        explain(&ann, server, &id, &query)
    };
    let check = |destination: &str, method: &str, expected: Option<&str>| {
        let found = said(&ask(destination, method));
        let expected = expected.map(|reason| (8, reason.to_owned()));
        assert_eq!(found, expected, "{method} {destination}");
    };
    let here = format!("{}/api/x", scene.host());
    check(&here, "POST", None);
    check("https://api.example.com/api/x?y=1", "POST", None);
    check("https://api.example.com:8443/api/x", "POST", Some("host"));
    check("https://example.org/api/x", "POST", Some("host"));
    check("http://api.example.com/api/x", "POST", Some("host"));
    check(&here, "GET", Some("method"));
    check("https://api.example.com/other", "POST", Some("path"));
    check("https://api.example.com/api/%2e%2e%2fx", "POST", Some("ambiguous_path"));
    check("http://[::1]:1/api/x", "POST", Some("destination_blocked"));
    for (destination, method) in
        [("api.example.com", "POST"), ("ftp://api.example.com/", "POST"), (&here, "G@T")]
    {
        let problem = ask(destination, method).expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/destination", "{destination} {method}");
    }
    server.api("PATCH", "/settings", &json!({ "require_hosts": true })).expect(200);
    let unbound = scene.credential(&json!({
        "key": "BOUND", "type": "api_key", "fields": { "value": scene.canary("unbound") },
        "hosts": ["api.example.com"],
    }));
    let workflow = ann.caller(&scene, "BOUND");
    let query = format!("workflow={workflow}&destination=https://api.example.com/");
    assert_eq!(said(&explain(&ann, server, &unbound, &query)), None);
}

#[test]
fn it_is_told_to_people_with_the_right_to_know() {
    let scene = Scene::start("explain-who");
    let server = &scene.server;
    let (ann, bob) = (owner(server), Member::machine(server, "bob", "editor"));
    let [carol, operator, viewer] = [("carol", "editor"), ("olaf", "operator"), ("vera", "viewer")]
        .map(|(name, role)| Member::machine(server, name, role));
    let common = scene.api_key("KEY", &scene.canary("common"));
    let own = bob.personal(&scene, "KEY", &scene.canary("own"));
    let workflow = bob.caller(&scene, "KEY");
    let query = format!("workflow={workflow}");
    let check = |who: &Member, id: &str, status: u16| {
        let answer = explain(who, server, id, &query);
        assert_eq!(answer.status, status, "{}", answer.body);
        answer
    };
    // What is nearer is named to whoever may know of it, and to others by its scope alone.
    let nearer = |who: &Member| text(&check(who, &common, 200).json()["detail"]);
    assert!(nearer(&bob).contains(&own), "{}", nearer(&bob));
    assert!(nearer(&ann).contains(&own), "admins see that it exists: {}", nearer(&ann));
    assert!(!nearer(&carol).contains(&own), "{}", nearer(&carol));
    assert!(nearer(&carol).contains("personal"), "{}", nearer(&carol));
    check(&operator, &common, 403);
    check(&viewer, &common, 404);
    check(&carol, &own, 404);
    check(&bob, &own, 200);
    check(&ann, &own, 200);
    // A share that shows the configuration is enough.
    bob.share(server, &own, &viewer.id, "view");
    check(&viewer, &own, 200);
    explain(&ann, server, &common, "").expect_problem(422, "validation_failed");
    explain(&ann, server, &common, "workflow=wf_00000000000000000000000000").expect(404);
    explain(&ann, server, &common, "workflow=x").expect_problem(422, "validation_failed");
    let no_step = explain(&ann, server, &common, &format!("{query}&step=nobody"));
    let no_step = no_step.expect_problem(422, "validation_failed");
    assert_eq!(no_step["errors"][0]["pointer"], "/step");
    explain(&ann, server, &common, &format!("{query}&x=1"))
        .expect_problem(422, "validation_failed");
    // Asking is no use, and no attempt at one.
    assert_eq!(scene.audit("action=credential.used").len(), 0);
    assert_eq!(scene.echo.received().len(), 0);
}
