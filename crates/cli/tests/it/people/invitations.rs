//! Invitations: made, accepted once, withdrawn, and only what the inviter may grant.

use super::{
    BASE, Browser, OWNER, Person, accept, audit, invite, invite_answer, owner_password, public,
    sign_in, text,
};
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};

#[test]
fn an_invitation_makes_an_account_once() {
    on_both("people-invitations", |server| {
        let answer = invite_answer(&server, &server.token, " Bob@Example.com", "editor");
        let made = answer.expect(201);
        let (id, token) = (text(&made["id"]), text(&made["token"]));
        server.evidence.watch("invitation", &token);
        assert_eq!(made["url"], format!("{}/invite#token={token}", server.url));
        let list = server.get("/invitations").expect(200);
        assert_eq!(list["items"][0]["id"], id);
        assert_eq!(list["items"][0]["email"], "bob@example.com");
        assert!(!list.to_string().contains(&token), "shown once");

        let password = server.evidence.canary("bob");
        let wrong = accept(&server, &token, "", "short").expect_problem(422, "validation_failed");
        let pointers: Vec<_> =
            wrong["errors"].as_array().unwrap().iter().map(|e| text(&e["pointer"])).collect();
        assert_eq!(pointers, ["/name", "/password"]);
        let member = accept(&server, &token, "Bob", &password).expect(201);
        assert_eq!(
            (&member["email"], &member["role"], &member["kind"]),
            (&json!("bob@example.com"), &json!("editor"), &json!("person"))
        );
        accept(&server, &token, "Bob", &password).expect_problem(404, "not_found");
        assert_eq!(server.get("/invitations").expect(200)["items"], json!([]));
        let bob = Browser::open(&server, "bob@example.com", &password);
        assert_eq!(bob.member["id"], member["id"]);
        invite_answer(&server, &server.token, "bob@example.com", "admin")
            .expect_problem(409, "conflict");
        assert_eq!(audit(&server, "member.invited").len(), 1);
        let joined = audit(&server, "member.joined");
        assert_eq!((&joined[0]["actor"]["id"], &joined[0]["reason"]), (&member["id"], &json!(id)));
    });
}

#[test]
fn a_withdrawn_invitation_is_over() {
    on_both("people-withdrawn", |server| {
        let (id, token) = invite(&server, &server.token, "bob@example.com", "viewer");
        let path = format!("/invitations/{id}");
        assert_eq!(server.api("DELETE", &path, &Value::Null).status, 204);
        server.api("DELETE", &path, &Value::Null).expect_problem(404, "not_found");
        let password = server.evidence.canary("bob");
        accept(&server, &token, "Bob", &password).expect_problem(404, "not_found");
        accept(&server, "kwi_x%00y", "Bob", &password).expect_problem(404, "not_found");
        accept(&server, "kwi_%ff", "Bob", &password).expect_problem(404, "not_found");
        sign_in(&server, "bob@example.com", &password).expect_problem(401, "unauthenticated");
    });
}

/// One person in two workspaces: one account, one password, two roles.
#[test]
fn one_account_joins_several_workspaces() {
    on_both("people-two-workspaces", |server| {
        let bob = Person::join(&server, "bob", "viewer");
        let second = server.call_as(
            &server.token,
            "POST",
            "/api/v1/workspaces",
            &json!({ "name": "Second" }),
        );
        let second = text(&second.expect(201)["id"]);
        let authorization = format!("Bearer {}", server.token);
        let body = json!({ "email": bob.email, "role": "admin" });
        let path = format!("/api/v1/workspaces/{second}/invitations");
        let made = public(&server, &path, &body, &[("Authorization", &authorization)]).expect(201);
        let token = text(&made["token"]);
        server.evidence.watch("second", &token);
        let wrong = server.evidence.canary("another");
        accept(&server, &token, "Robert", &wrong).expect_problem(401, "unauthenticated");
        let member = accept(&server, &token, "Robert", &bob.password).expect(201);
        assert_eq!((&member["workspace"], &member["name"]), (&json!(second), &json!("bob")));
        assert_ne!(member["id"], bob.id);

        let browser = bob.browser(&server);
        let members = |workspace: &str| {
            let path = format!("/api/v1/workspaces/{workspace}/members");
            browser.call(&server, "GET", &path, &Value::Null).status
        };
        assert_eq!((members("default"), members(&second)), (403, 200), "a viewer and an admin");
        let token = bob.token(&server);
        let path = format!("/api/v1/workspaces/{second}/members");
        assert_eq!(server.call_as(&token, "GET", &path, &Value::Null).status, 200);
        let list = server.call_as(&token, "GET", "/api/v1/workspaces", &Value::Null).expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), 2);

        // Leaving one workspace leaves the other; the last one ends the sessions.
        assert_eq!(server.call_as(&server.token, "DELETE", &bob.path(), &Value::Null).status, 204);
        assert_eq!((members("default"), members(&second)), (404, 200));
        assert_eq!(
            server.call_as(&token, "GET", &path, &Value::Null).status,
            401,
            "its token is gone"
        );
        let path = format!("/api/v1/workspaces/{second}/members/{}", text(&member["id"]));
        assert_eq!(server.call_as(&server.token, "DELETE", &path, &Value::Null).status, 204);
        assert!(!browser.works(&server));
        sign_in(&server, &bob.email, &bob.password).expect_problem(403, "forbidden");
        // Whoever comes back is another member of the same account.
        let (_, token) = invite(&server, &server.token, &bob.email, "operator");
        let back = accept(&server, &token, "x", &bob.password).expect(201);
        assert_ne!(back["id"], bob.id);
        assert!(bob.browser(&server).works(&server));
    });
}

#[test]
fn nobody_is_invited_beyond_what_the_inviter_may_grant() {
    on_both("people-inviters", |server| {
        let (admin, editor) =
            (Person::join(&server, "ada", "admin"), Person::join(&server, "eddie", "editor"));
        let (admin_token, editor_token) = (admin.token(&server), editor.token(&server));
        invite_answer(&server, &admin_token, "new@example.com", "owner")
            .expect_problem(403, "forbidden");
        invite_answer(&server, &editor_token, "new@example.com", "viewer")
            .expect_problem(403, "forbidden");
        invite_answer(&server, &server.token, "new@example.com", "emperor")
            .expect_problem(422, "validation_failed");
        let refused = audit(&server, "member.invited");
        let refused: Vec<_> =
            refused.iter().filter(|event| event["outcome"] == "refused").collect();
        assert_eq!(refused.len(), 2);
        assert_eq!(refused[0]["actor"]["id"], editor.id);

        let (owners, _) = invite(&server, &server.token, "olga@example.com", "owner");
        let path = format!("{BASE}/invitations/{owners}");
        server
            .call_as(&admin_token, "DELETE", &path, &Value::Null)
            .expect_problem(403, "forbidden");

        // What was promised goes with the right to promise it.
        let (_, token) = invite(&server, &admin_token, "new@example.com", "admin");
        server
            .call_as(&server.token, "PATCH", &admin.path(), &json!({ "role": "editor" }))
            .expect(200);
        let password = server.evidence.canary("new");
        accept(&server, &token, "New", &password).expect_problem(404, "not_found");
        server
            .call_as(&server.token, "PATCH", &admin.path(), &json!({ "role": "admin" }))
            .expect(200);
        accept(&server, &token, "New", &password).expect(201);
    });
}

#[test]
fn an_account_without_password_joins_nothing_by_one() {
    let server = Server::start("people-no-password", Backend::Sqlite);
    let bob = Person::join(&server, "bob", "viewer");
    let owner = Browser::open(&server, OWNER, &owner_password(&server));
    let account = owner.call(&server, "GET", "/api/v1/account", &Value::Null).expect(200);
    assert_eq!((&account["password"], &account["totp"]), (&json!(true), &json!(false)));
    sign_in(&server, &bob.email, "").expect_problem(401, "unauthenticated");
}
