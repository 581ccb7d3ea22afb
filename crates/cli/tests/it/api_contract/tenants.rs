//! Tokens, workspaces and members.

use super::{has_members, items, text};
use crate::server::{Answer, Backend, Server, on_both};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Makes a token; the answer is not kept.
fn create(server: &Server, token: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let path = "/api/v1/workspaces/default/tokens";
    let answer = server.send_unkept("POST", path, &headers, body.to_string().as_bytes());
    if answer.status == 201 {
        server.evidence.watch("made-token", &text(&answer.json()["token"]));
    }
    answer
}

/// RFC 3339 in UTC, from now.
fn from_now(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = (now + Duration::from_secs(seconds)).as_secs();
    let printed = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{at}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("date");
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}

fn works(server: &Server, token: &str) -> u16 {
    server.call_as(token, "GET", "/api/v1/workspaces", &Value::Null).status
}

#[test]
fn a_token_is_shown_once_acts_as_its_maker_and_ends() {
    on_both("contract-tokens", |server| {
        let made = create(&server, &server.token, &json!({ "name": "CI" })).expect(201);
        let (id, token) = (text(&made["id"]), text(&made["token"]));
        let members =
            server.call_as(&token, "GET", "/api/v1/workspaces/default/members", &Value::Null);
        assert_eq!(members.expect(200)["items"][0]["email"], "alice@example.com");
        let listed = items(&server, "/tokens");
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().any(|item| item["id"] == id.as_str() && item["name"] == "CI"));
        assert!(!json!(listed).to_string().contains(&token), "shown once");

        let path = format!("/tokens/{id}");
        assert_eq!(server.api("DELETE", &path, &Value::Null).status, 204);
        assert_eq!(works(&server, &token), 401);
        server.api("DELETE", &path, &Value::Null).expect_problem(404, "not_found");
        assert_eq!(items(&server, "/tokens").len(), 1);
        for action in ["token.created", "token.revoked"] {
            assert!(!items(&server, &format!("/audit?action={action}")).is_empty(), "{action}");
        }
    });
}

#[test]
fn a_token_stops_at_its_time() {
    let server = Server::start("contract-token-expiry", Backend::Sqlite);
    let soon = json!({ "name": "Short", "expires_at": from_now(2) });
    let token = text(&create(&server, &server.token, &soon).expect(201)["token"]);
    assert_eq!(works(&server, &token), 200);
    std::thread::sleep(Duration::from_millis(2_200));
    assert_eq!(works(&server, &token), 401);
    for (body, pointer) in [
        (json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }), "/expires_at"),
        (json!({ "name": "x", "expires_at": "tomorrow" }), "/expires_at"),
        (json!({ "name": "x", "scopes": [] }), "/scopes"),
        (json!({ "name": "x", "scopes": ["everything"] }), "/scopes/0"),
        (json!({ "name": " " }), "/name"),
        (json!({}), "/name"),
    ] {
        let problem =
            create(&server, &server.token, &body).expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[test]
fn a_narrow_token_reads_and_makes_no_wider_one() {
    let server = Server::start("contract-token-scopes", Backend::Sqlite);
    let narrow = json!({ "name": "Reader", "scopes": ["read"] });
    let token = text(&create(&server, &server.token, &narrow).expect(201)["token"]);
    let call = |method: &str, path: &str, body: &Value| {
        server.call_as(&token, method, &format!("/api/v1/workspaces/default{path}"), body)
    };
    call("GET", "/workflows", &Value::Null).expect(200);
    let definition = super::code_workflow("return 1;");
    call("POST", "/workflows", &definition).expect_problem(403, "forbidden");
    create(&server, &token, &json!({ "name": "Wider" })).expect_problem(403, "forbidden");
}

#[test]
fn workspaces_have_a_slug_of_their_own_and_nothing_in_common() {
    on_both("contract-workspaces", |server| {
        let call = |method: &str, path: &str, body: &Value| {
            server.call_as(&server.token, method, &format!("/api/v1/workspaces{path}"), body)
        };
        let make = || call("POST", "", &json!({ "name": "Team Zwei!" })).expect(201);
        let (first, second) = (make(), make());
        has_members(&first, &["id", "slug", "name"]);
        assert_eq!((&first["slug"], &first["name"]), (&json!("team-zwei"), &json!("Team Zwei!")));
        assert_eq!(second["slug"], "team-zwei-2");
        let all = call("GET", "", &Value::Null).expect(200);
        let slugs: Vec<_> =
            all["items"].as_array().unwrap().iter().map(|w| text(&w["slug"])).collect();
        assert_eq!(slugs, ["default", "team-zwei", "team-zwei-2"]);
        let (id, slug) = (text(&first["id"]), text(&first["slug"]));
        let by_id = call("GET", &format!("/{id}"), &Value::Null).expect(200);
        assert_eq!(by_id, call("GET", &format!("/{slug}"), &Value::Null).expect(200));

        let (workflow, _) = server.workflow(&super::code_workflow("return 1;"));
        for path in [format!("/{id}/workflows/{workflow}"), format!("/{slug}/workflows/{workflow}")]
        {
            call("GET", &path, &Value::Null).expect_problem(404, "not_found");
        }
        let there = call("GET", &format!("/{id}/workflows"), &Value::Null).expect(200);
        assert_eq!(there["items"], json!([]));

        let members = items(&server, "/members");
        assert_eq!(members.len(), 1);
        has_members(&members[0], &["id", "email", "name", "role"]);
        assert_eq!(members[0]["role"], "owner");
    });
}
