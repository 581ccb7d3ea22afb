//! Where a credential may go and until when: hosts, methods, paths, places and expiry.

use crate::scene::Scene;
use crate::server::on_both;
use serde_json::{Value, json};

/// How one request fares: sent, or refused with a code.
fn fare(scene: &Scene, request: &str) -> String {
    let before = scene.echo.received().len();
    let step = scene.script(request);
    let sent = scene.echo.received().len() > before;
    match step["error"]["code"].as_str() {
        None => {
            assert!(sent, "{request}: {step}");
            "sent".into()
        }
        Some(code) => {
            assert!(!sent, "refused, so nothing arrives: {request}");
            code.to_owned()
        }
    }
}

#[test]
fn a_binding_holds_for_host_method_path_and_place() {
    let scene = Scene::start("credentials-binding");
    let value = scene.canary("K");
    let port = scene.echo.address().port();
    let own = scene.host();
    let elsewhere = format!("http://127.0.0.1:{}", port.wrapping_add(1).max(1024));
    const HERE: &str = "credential_not_allowed_here";
    let get = "await fetch('HOST/api/x', { headers: { 'x-key': credential('K') } })";
    let post =
        "await fetch('HOST/api/x', { method: 'POST', headers: { 'x-key': credential('K') } })";
    let root = "await fetch('HOST/', { headers: { 'x-key': credential('K') } })";
    let query = "await fetch('HOST/api/x?k=' + credential('K'))";
    let body = "await fetch('HOST/api/x', { method: 'POST', body: credential('K') })";
    let path = "await fetch('HOST/api/' + credential('K'))";
    let cookie = "await fetch('HOST/api/x', { headers: { cookie: 'k=' + credential('K') } })";
    let dots = "await fetch('HOST/api/../other', { headers: { 'x-key': credential('K') } })";
    let slash = "await fetch('HOST/api/%2e%2e%2fother', { headers: { 'x-key': credential('K') } })";
    // What is bound to what, and how each request then fares.
    let cases: Vec<(Value, Vec<(&str, &str)>)> = vec![
        (
            json!({ "hosts": [own] }),
            vec![
                (get, "sent"),
                (post, "sent"),
                (root, "sent"),
                (query, "sent"),
                (body, "sent"),
                (path, HERE),
                (cookie, HERE),
            ],
        ),
        (json!({ "hosts": [elsewhere] }), vec![(get, HERE), (query, HERE), (body, HERE)]),
        (json!({ "hosts": [format!("127.0.0.1:{port}")] }), vec![(get, HERE)]),
        (json!({ "hosts": ["127.0.0.1", "http://127.0.0.1"] }), vec![(get, HERE)]),
        (json!({ "hosts": [format!("http://localhost:{port}")] }), vec![(get, HERE)]),
        (json!({ "hosts": [elsewhere, own] }), vec![(get, "sent")]),
        (json!({ "hosts": ["api.example.com"] }), vec![(get, HERE)]),
        (json!({ "hosts": ["*.example.com"] }), vec![(get, HERE)]),
        (
            json!({ "hosts": [own], "methods": ["POST"] }),
            vec![(get, HERE), (post, "sent"), (body, "sent")],
        ),
        (
            json!({ "hosts": [own], "paths": ["/api/*"] }),
            vec![(get, "sent"), (root, HERE), (dots, HERE), (slash, HERE)],
        ),
        (json!({ "hosts": [own], "paths": ["/"] }), vec![(get, HERE), (root, "sent")]),
        (
            json!({ "hosts": [own], "places": ["header"] }),
            vec![(get, "sent"), (query, HERE), (body, HERE), (path, HERE), (cookie, HERE)],
        ),
        (json!({ "hosts": [own], "places": ["query"] }), vec![(get, HERE), (query, "sent")]),
        (json!({ "hosts": [own], "places": ["body"] }), vec![(get, HERE), (body, "sent")]),
        (json!({ "hosts": [own], "places": ["path"] }), vec![(get, HERE), (path, "sent")]),
        (json!({ "hosts": [own], "places": ["cookie"] }), vec![(get, HERE), (cookie, "sent")]),
        // Bound to methods and places alone, it still goes where the operator allows.
        (json!({ "methods": ["GET"] }), vec![(get, "sent"), (post, HERE)]),
        (
            json!({ "hosts": [own], "methods": ["GET"], "paths": ["/api/*"], "places": ["query"] }),
            vec![(query, "sent"), (get, HERE), (body, HERE)],
        ),
    ];
    for (binding, requests) in cases {
        let mut credential = binding.clone();
        credential["key"] = "K".into();
        credential["type"] = "api_key".into();
        credential["fields"] = json!({ "value": value });
        let id = scene.credential(&credential);
        for (request, expected) in requests {
            assert_eq!(fare(&scene, request), expected, "{binding} {request}");
        }
        scene
            .server
            .api("DELETE", &format!("/credentials/{id}?confirm=true"), &Value::Null)
            .expect(204);
    }
}

#[test]
fn narrowing_is_a_plain_change_and_widening_needs_the_secrets() {
    on_both("credentials-widening", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        let other = "https://other.example.com";
        let start = json!({ "hosts": [scene.host(), "*.example.com"], "methods": ["GET", "POST"], "paths": ["/api/*", "/v1/*"], "places": ["header", "query"] });
        let create = |key: &str, binding: &Value| {
            let mut body = binding.clone();
            body["key"] = key.into();
            body["type"] = "basic".into();
            body["fields"] = json!({ "username": "bob", "password": value });
            scene.credential(&body)
        };
        let cases = [
            (json!({ "hosts": [scene.host()] }), true),
            (json!({ "hosts": [other] }), true),
            (json!({ "methods": ["GET"] }), true),
            (json!({ "paths": ["/api/*"] }), true),
            (json!({ "paths": ["/api/users"] }), true),
            (json!({ "places": ["header"] }), true),
            (
                json!({ "hosts": [scene.host()], "methods": ["POST"], "paths": ["/v1/*"], "places": ["query"] }),
                true,
            ),
            (json!({ "name": "Only its name" }), true),
            (json!({ "hosts": [scene.host(), "*.example.com", "api.example.org"] }), false),
            (json!({ "hosts": ["example.com"] }), false),
            (json!({ "hosts": ["api.example.com:8443"] }), false),
            (json!({ "hosts": ["http://api.example.com"] }), false),
            (json!({ "hosts": [] }), false),
            (json!({ "methods": ["GET", "DELETE"] }), false),
            (json!({ "methods": [] }), false),
            (json!({ "paths": ["/*"] }), false),
            (json!({ "paths": [] }), false),
            (json!({ "places": ["header", "body"] }), false),
            (json!({ "places": [] }), false),
            (json!({ "hosts": [scene.host()], "methods": ["GET", "PUT"] }), false),
        ];
        for (number, (change, narrows)) in cases.iter().enumerate() {
            let key = format!("K{number}");
            let id = create(&key, &start);
            let answer = scene.patch(&id, change);
            if *narrows {
                assert_eq!(answer.expect(200)["version"], 1, "{change}");
                continue;
            }
            let problem = answer.expect_problem(422, "validation_failed");
            assert_eq!(problem["errors"][0]["pointer"], "/fields", "{change}: {problem}");
            let same = scene.server.get(&format!("/credentials/{id}")).expect(200);
            assert_eq!((&same["hosts"], &same["methods"]), (&start["hosts"], &start["methods"]));
            let mut with = change.clone();
            with["fields"] = json!({ "password": value });
            let widened = scene.patch(&id, &with).expect(200);
            assert_eq!(widened["version"], 2, "{change}: {widened}");
            for (list, entries) in change.as_object().unwrap() {
                assert_eq!(&widened[list], entries, "{change}");
            }
        }
        // What was narrowed holds at once, and the value still opens.
        let id = create("LIVE", &json!({ "hosts": [scene.host()] }));
        let get = "await fetch('HOST/api', { credential: 'LIVE' })";
        let post = "await fetch('HOST/api', { method: 'POST', credential: 'LIVE' })";
        assert_eq!((fare(&scene, get), fare(&scene, post)), ("sent".into(), "sent".into()));
        scene.patch(&id, &json!({ "methods": ["GET"] })).expect(200);
        assert_eq!(
            (fare(&scene, get), fare(&scene, post)),
            ("sent".into(), "credential_not_allowed_here".into())
        );
        scene
            .patch(&id, &json!({ "methods": ["GET", "POST"], "fields": { "password": value } }))
            .expect(200);
        assert_eq!((fare(&scene, get), fare(&scene, post)), ("sent".into(), "sent".into()));
    });
}

/// Two seconds from now, in RFC 3339.
fn soon() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seconds = now.as_secs() + 2;
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%FT%TZ"])
        .output();
    String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned()
}

#[test]
fn a_credential_that_has_expired_is_unusable_until_it_is_given_more_time() {
    let scene = Scene::start("credentials-expired");
    let id = scene.api_key("K", &scene.canary("K"));
    let readable = scene.readable("R", &scene.canary("R"));
    let attached = "await fetch('HOST/', { credential: 'K' })";
    assert_eq!(fare(&scene, attached), "sent");
    let expires_at = soon();
    for id in [&id, &readable] {
        scene.patch(id, &json!({ "expires_at": expires_at })).expect(200);
    }
    let begun = std::time::Instant::now();
    let status = || scene.server.get(&format!("/credentials/{id}")).expect(200)["status"].clone();
    while status() != "expired" {
        assert!(begun.elapsed().as_secs() < 10, "it does not expire");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(fare(&scene, attached), "credential_unusable");
    assert_eq!(fare(&scene, "credential('R')"), "credential_unusable");
    assert_eq!(
        fare(&scene, "await fetch('HOST/', { headers: { k: credential('K') } })"),
        "credential_unusable"
    );
    let http = json!([{ "id": "s", "kind": "http", "credential": { "$credential": "K" }, "request": { "url": scene.host() } }]);
    let run = scene.run(&http, &json!({}));
    assert_eq!(run["steps"][0]["error"]["code"], "credential_unusable", "{run}");
    let listed = scene.server.get("/credentials?status=expired").expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    for later in [json!("2099-01-01T00:00:00Z"), Value::Null] {
        let changed = scene.patch(&id, &json!({ "expires_at": later })).expect(200);
        assert_eq!(changed["status"], "active");
        assert_eq!(fare(&scene, attached), "sent");
    }
    assert!(scene.audit("outcome=refused").iter().any(|entry| entry["reason"] == "expired"));
}
