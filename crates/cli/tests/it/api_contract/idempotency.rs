//! `Idempotency-Key`: a POST that is sent again does nothing again.

use super::{code_workflow, ids, text};
use crate::server::{Answer, Server, on_both};
use serde_json::{Value, json};

fn post(server: &Server, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/workspaces/default{path}");
    let authorization = format!("Bearer {token}");
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    // Not kept: some of these answers hold a token.
    server.send_unkept("POST", &path, &headers, body.to_string().as_bytes())
}

#[test]
fn the_same_key_gets_the_first_answer_again() {
    on_both("contract-idempotency", |server| {
        let (workflow, _) = server.workflow(&code_workflow("return trigger.body;"));
        let runs = format!("/workflows/{workflow}/runs");
        let owner = server.token.clone();
        let cases = [
            ("/tokens", json!({ "name": "Again" }), json!({ "name": "Other" })),
            ("/workflows", code_workflow("return 1;"), code_workflow("return 2;")),
            (&runs, json!({ "payload": 1 }), json!({ "payload": 2 })),
            (&runs, json!({ "payload": 1, "wait": true }), json!({ "payload": 2, "wait": true })),
        ];
        for (at, (path, body, other)) in cases.iter().enumerate() {
            let key = format!("key-{at}");
            let first = post(&server, &owner, path, &key, body);
            assert!((200..300).contains(&first.status), "{}", first.body);
            let again = post(&server, &owner, path, &key, body);
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
            assert_eq!(again.header("content-type"), first.header("content-type"));
            post(&server, &owner, path, &key, other).expect_problem(409, "conflict");
        }
        // `key-0` made one token, beside the first one.
        assert_eq!(ids(&server, "/tokens").len(), 2);
        assert_eq!(ids(&server, "/workflows").len(), 2);
        assert_eq!(ids(&server, "/runs").len(), 2);
        post(&server, &owner, "/workflows", "key-0", &cases[0].1).expect_problem(409, "conflict");
    });
}

#[test]
fn a_refused_request_frees_its_key_and_every_caller_has_their_own() {
    on_both("contract-idempotency-free", |server| {
        let owner = server.token.clone();
        post(&server, &owner, "/tokens", "k", &json!({ "name": "" }))
            .expect_problem(422, "validation_failed");
        let made = post(&server, &owner, "/tokens", "k", &json!({ "name": "Mine" })).expect(201);
        let other = text(&made["token"]);
        server.evidence.watch("other-token", &other);
        let second = post(&server, &other, "/tokens", "k", &json!({ "name": "Mine" })).expect(201);
        assert_ne!(second["id"], made["id"]);
        server.evidence.watch("second-token", &text(&second["token"]));
        post(&server, "none", "/tokens", "k", &json!({ "name": "Mine" }))
            .expect_problem(401, "unauthenticated");
    });
}
