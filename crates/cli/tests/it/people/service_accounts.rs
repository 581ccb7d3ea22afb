//! Service accounts: members without account or password, who act by tokens.

use super::{BASE, Person, audit, invite_answer, sign_in, text};
use crate::server::{Answer, Server, on_both};
use serde_json::{Value, json};

fn create(server: &Server, by: &str, body: &Value) -> Answer {
    server.call_as(by, "POST", &format!("{BASE}/members"), body)
}

fn token_for(server: &Server, by: &str, member: &str) -> Answer {
    let authorization = format!("Bearer {by}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "name": "CI", "member": member }).to_string();
    let answer = server.send_unkept("POST", &format!("{BASE}/tokens"), &headers, body.as_bytes());
    if answer.status == 201 {
        server.evidence.watch("service-token", &text(&answer.json()["token"]));
    }
    answer
}

#[test]
fn a_service_account_acts_by_tokens_alone() {
    on_both("people-service", |server| {
        let made = create(
            &server,
            &server.token,
            &json!({ "kind": "service", "name": "CI", "role": "operator" }),
        );
        let made = made.expect(201);
        let id = text(&made["id"]);
        assert_eq!((&made["kind"], &made["email"]), (&json!("service"), &Value::Null));
        let token = token_for(&server, &server.token, &id).expect(201);
        assert_eq!(token["member"], id);
        let token = text(&token["token"]);
        let call =
            |method: &str, path: &str, body: Value| server.call_as(&token, method, path, &body);
        call("GET", &format!("{BASE}/workflows"), Value::Null).expect(200);
        call("GET", &format!("{BASE}/members"), Value::Null).expect_problem(403, "forbidden");
        for (method, path) in [
            ("GET", "/api/v1/account"),
            ("GET", "/api/v1/sessions"),
            ("POST", "/api/v1/account/totp"),
        ] {
            call(method, path, Value::Null).expect_problem(403, "forbidden");
        }
        call("POST", "/api/v1/workspaces", json!({ "name": "Mine" }))
            .expect_problem(403, "forbidden");
        let own = call("GET", "/api/v1/workspaces", Value::Null).expect(200);
        assert_eq!(own["items"].as_array().unwrap().len(), 1);
        sign_in(&server, "ci@example.com", "").expect_problem(401, "unauthenticated");

        let path = format!("{BASE}/members/{id}");
        let patch =
            |role: &str| server.call_as(&server.token, "PATCH", &path, &json!({ "role": role }));
        patch("owner").expect_problem(422, "validation_failed");
        patch("admin").expect(200);
        call("GET", &format!("{BASE}/members"), Value::Null).expect(200);
        assert_eq!(server.call_as(&server.token, "DELETE", &path, &Value::Null).status, 204);
        assert_eq!(call("GET", &format!("{BASE}/workflows"), Value::Null).status, 401);
    });
}

#[test]
fn only_those_who_administer_make_service_accounts_and_their_tokens() {
    on_both("people-service-makers", |server| {
        let (admin, editor) =
            (Person::join(&server, "ada", "admin"), Person::join(&server, "eddie", "editor"));
        let (admin_token, editor_token) = (admin.token(&server), editor.token(&server));
        let service = |role: &str| json!({ "kind": "service", "name": "CI", "role": role });
        create(&server, &editor_token, &service("viewer")).expect_problem(403, "forbidden");
        create(&server, &admin_token, &service("owner")).expect_problem(422, "validation_failed");
        create(&server, &admin_token, &json!({ "kind": "person", "name": "X", "role": "viewer" }))
            .expect(422);
        let id = text(&create(&server, &admin_token, &service("admin")).expect(201)["id"]);
        token_for(&server, &editor_token, &id).expect_problem(403, "forbidden");
        token_for(&server, &admin_token, &id).expect(201);
        token_for(&server, &admin_token, &admin.id).expect(201);
        token_for(&server, &server.token, &admin.id).expect_problem(422, "validation_failed");
        token_for(&server, &server.token, "mem_00000000000000000000000000")
            .expect_problem(422, "validation_failed");
        let refused = |action: &str| {
            audit(&server, action).into_iter().filter(|event| event["outcome"] == "refused").count()
        };
        assert_eq!((refused("member.joined"), refused("token.created")), (1, 1));
        // A service account that administers invites no owners either.
        let token = text(&token_for(&server, &admin_token, &id).expect(201)["token"]);
        invite_answer(&server, &token, "o@example.com", "owner").expect_problem(403, "forbidden");
    });
}
