//! Sessions: what a browser may send, where one is signed in, and how that ends.

use super::{BASE, Browser, OWNER, Person, audit, owner_password, text};
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};

#[test]
fn writes_by_cookie_bring_their_token_from_the_own_origin() {
    on_both("people-csrf", |server| {
        let browser = Browser::open(&server, OWNER, &owner_password(&server));
        let other = Browser::open(&server, OWNER, &owner_password(&server));
        let body = json!({ "name": "x" }).to_string();
        let path = "/api/v1/account";
        let origin = server.url.as_str();
        let check = |status: u16, more: &[(&str, &str)]| {
            let mut headers =
                vec![("Cookie", browser.cookie.as_str()), ("Content-Type", "application/json")];
            headers.extend_from_slice(more);
            let answer = server.send_unkept("PATCH", path, &headers, body.as_bytes());
            assert_eq!(answer.status, status, "{more:?}: {}", answer.body);
            if status == 403 {
                answer.expect_problem(403, "forbidden");
            }
        };
        let csrf = browser.csrf.as_str();
        check(403, &[]);
        check(403, &[("Origin", origin)]);
        check(403, &[("X-CSRF-Token", "")]);
        check(403, &[("X-CSRF-Token", &csrf[1..])]);
        check(403, &[("X-CSRF-Token", other.csrf.as_str())]);
        check(403, &[("X-CSRF-Token", csrf), ("Origin", "https://evil.example")]);
        check(403, &[("X-CSRF-Token", csrf), ("Origin", "null")]);
        check(403, &[("X-CSRF-Token", csrf), ("Origin", "http://127.0.0.1:1")]);
        check(200, &[("X-CSRF-Token", csrf)]);
        check(200, &[("X-CSRF-Token", csrf), ("Origin", origin)]);
        // A token in the header goes before the cookie, and needs nothing beside it.
        let bearer = format!("Bearer {}", server.token);
        check(200, &[("Authorization", &bearer), ("Origin", "https://evil.example")]);
        check(401, &[("Authorization", "Bearer kwa_wrong"), ("X-CSRF-Token", csrf)]);

        let read = browser.call_from(&server, "https://evil.example", "GET", path, &Value::Null);
        let account = read.expect(200);
        assert_eq!(account["csrf_token"], csrf, "a page that was loaded anew gets it here");
        assert!(read.header("access-control-allow-origin").is_none());
        assert_eq!(
            server.call_as(&server.token, "GET", path, &Value::Null).json()["csrf_token"],
            Value::Null
        );
    });
}

#[test]
fn one_session_is_ended_and_the_others_stay() {
    on_both("people-sessions", |server| {
        let password = owner_password(&server);
        let (one, two) =
            (Browser::open(&server, OWNER, &password), Browser::open(&server, OWNER, &password));
        let bob = Person::join(&server, "bob", "admin");
        let foreign = bob.browser(&server);

        let listed = one.call(&server, "GET", "/api/v1/sessions", &Value::Null).expect(200);
        let items = listed["items"].as_array().unwrap().clone();
        let ids: Vec<_> = items.iter().map(|item| text(&item["id"])).collect();
        assert_eq!(ids, [one.id.clone(), two.id.clone()]);
        assert_eq!((&items[0]["current"], &items[1]["current"]), (&json!(true), &json!(false)));
        assert_eq!(items[0]["address"], "127.0.0.1");
        assert_eq!(items[0]["user_agent"], "");
        assert!(items[0]["seen_at"].is_string());
        let by_token = server.call_as(&server.token, "GET", "/api/v1/sessions", &Value::Null);
        assert_eq!(by_token.expect(200)["items"].as_array().unwrap().len(), 2);

        let path = |id: &str| format!("/api/v1/sessions/{id}");
        let end = |by: &Browser, id: &str| by.call(&server, "DELETE", &path(id), &Value::Null);
        end(&one, &foreign.id).expect_problem(404, "not_found");
        end(&one, "ses_00000000000000000000000000").expect_problem(404, "not_found");
        end(&one, "x").expect_problem(404, "not_found");
        assert_eq!(end(&one, &two.id).status, 204);
        assert!(!two.works(&server));
        end(&one, &two.id).expect_problem(404, "not_found");
        assert!(one.works(&server) && foreign.works(&server));
        let gone = end(&one, "current");
        assert_eq!(gone.status, 204);
        let cleared = gone.header("set-cookie").expect("the cookie is taken away");
        assert!(cleared.starts_with("keyward=;") && cleared.contains("Max-Age=0"), "{cleared}");
        assert!(!one.works(&server));
        assert_eq!(audit(&server, "session.ended").len(), 2);
        server.call_as(&server.token, "DELETE", &path("current"), &Value::Null).expect(404);
    });
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    on_both("people-password", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let (kept, ended) = (bob.browser(&server), bob.browser(&server));
        let token = bob.token(&server);
        let new = server.evidence.canary("new-password");
        let path = "/api/v1/account/password";
        let put = |body: Value| kept.call(&server, "PUT", path, &body);
        put(json!({ "current": "wrong", "new": new })).expect_problem(403, "forbidden");
        put(json!({ "new": new })).expect_problem(403, "forbidden");
        let short = put(json!({ "current": bob.password, "new": "eleven char" }));
        assert_eq!(short.expect_problem(422, "validation_failed")["errors"][0]["pointer"], "/new");
        assert!(ended.works(&server));
        assert_eq!(put(json!({ "current": bob.password, "new": new })).status, 204);
        assert!(kept.works(&server), "the one that changed it");
        assert!(!ended.works(&server));
        let workspaces = server.call_as(&token, "GET", "/api/v1/workspaces", &Value::Null);
        assert_eq!(workspaces.status, 200, "API tokens stay");
        super::sign_in(&server, &bob.email, &bob.password).expect_problem(401, "unauthenticated");
        assert!(Browser::open(&server, &bob.email, &new).works(&server));
        let changed = audit(&server, "member.changed");
        assert_eq!(changed[0]["reason"], "password");
        assert_eq!(changed[0]["actor"]["id"], bob.id);
    });
}

#[test]
fn a_session_may_what_its_member_may() {
    let server = Server::start("people-by-session", Backend::Sqlite);
    let viewer = Person::join(&server, "vera", "viewer").browser(&server);
    let owner = Browser::open(&server, OWNER, &owner_password(&server));
    let workflow = json!({ "name": "W", "trigger": { "kind": "manual" }, "steps": [{ "id": "s", "kind": "code", "source": "return 1" }] });
    let path = format!("{BASE}/workflows");
    viewer.call(&server, "POST", &path, &workflow).expect_problem(403, "forbidden");
    owner.call(&server, "POST", &path, &workflow).expect(201);
    viewer.call(&server, "GET", &path, &Value::Null).expect(200);
    let own = viewer.call(&server, "GET", "/api/v1/workspaces", &Value::Null).expect(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    viewer.call(&server, "POST", "/api/v1/workspaces", &json!({ "name": "Mine" })).expect(403);
    let made = owner.call(&server, "POST", "/api/v1/workspaces", &json!({ "name": "Second" }));
    let made = made.expect(201);
    let second = format!("/api/v1/workspaces/{}", text(&made["slug"]));
    owner.call(&server, "GET", &second, &Value::Null).expect(200);
    viewer.call(&server, "GET", &second, &Value::Null).expect_problem(404, "not_found");
    let account = owner.call(&server, "GET", "/api/v1/account", &Value::Null).expect(200);
    let named: Vec<_> = account["memberships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|membership| text(&membership["workspace"]["slug"]))
        .collect();
    assert_eq!(named, ["default", "second"]);
    // The same key of a repeated request gives the same answer to a session, too.
    let headers = [
        ("Cookie", owner.cookie.as_str()),
        ("X-CSRF-Token", owner.csrf.as_str()),
        ("Idempotency-Key", "once"),
    ];
    let send = || server.send_unkept("POST", &path, &headers, workflow.to_string().as_bytes());
    assert_eq!(text(&send().expect(201)["id"]), text(&send().expect(201)["id"]));
}

#[test]
fn a_name_changes_everywhere() {
    on_both("people-name", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let browser = bob.browser(&server);
        let renamed =
            browser.call(&server, "PATCH", "/api/v1/account", &json!({ "name": " Robert " }));
        assert_eq!(renamed.expect(200)["name"], "Robert");
        let members = server.get("/members").expect(200);
        let names: Vec<_> =
            members["items"].as_array().unwrap().iter().map(|m| text(&m["name"])).collect();
        assert_eq!(names, ["alice", "Robert"]);
        browser.call(&server, "PATCH", "/api/v1/account", &json!({ "name": "" })).expect(422);
        browser.call(&server, "PATCH", "/api/v1/account", &json!({ "email": "b@c.d" })).expect(422);
        let narrowed = json!({ "name": "read", "scopes": ["read"] });
        let made = browser.call(&server, "POST", &format!("{BASE}/tokens"), &narrowed).expect(201);
        let token = text(&made["token"]);
        server.evidence.watch("narrowed", &token);
        let by_token = server.call_as(&token, "PATCH", "/api/v1/account", &json!({ "name": "x" }));
        by_token.expect_problem(403, "forbidden");
    });
}
