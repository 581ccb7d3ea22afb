//! Members: who may change whom, the last owner, and what ends when somebody leaves.

use super::{BASE, Person, audit, owner_id, text};
use crate::server::on_both;
use serde_json::{Value, json};

#[test]
fn the_last_owner_stays() {
    on_both("people-last-owner", |server| {
        let own = format!("{BASE}/members/{}", owner_id(&server));
        let patch = |path: &str, role: &str| {
            server.call_as(&server.token, "PATCH", path, &json!({ "role": role }))
        };
        let delete = |path: &str| server.call_as(&server.token, "DELETE", path, &Value::Null);
        patch(&own, "admin").expect_problem(409, "conflict");
        delete(&own).expect_problem(409, "conflict");
        patch(&own, "owner").expect(200);
        let olga = Person::join(&server, "olga", "owner");
        let theirs = olga.token(&server);
        // With two, either may go, but not both.
        patch(&own, "admin").expect(200);
        patch(&olga.path(), "viewer").expect_problem(403, "forbidden");
        delete(&olga.path()).expect_problem(403, "forbidden");
        patch(&own, "owner").expect_problem(403, "forbidden");
        let last = server.call_as(&theirs, "PATCH", &olga.path(), &json!({ "role": "admin" }));
        last.expect_problem(409, "conflict");
        server
            .call_as(&theirs, "DELETE", &olga.path(), &Value::Null)
            .expect_problem(409, "conflict");
        server.call_as(&theirs, "PATCH", &own, &json!({ "role": "owner" })).expect(200);
        assert_eq!(server.call_as(&theirs, "DELETE", &olga.path(), &Value::Null).status, 204);
        assert_eq!(server.call_as(&theirs, "GET", "/api/v1/workspaces", &Value::Null).status, 401);
        server.get("/members").expect(200);
    });
}

#[test]
fn admins_do_not_touch_owners() {
    on_both("people-admins", |server| {
        let (admin, bob) =
            (Person::join(&server, "ada", "admin"), Person::join(&server, "bob", "viewer"));
        let token = admin.token(&server);
        let owner = format!("{BASE}/members/{}", owner_id(&server));
        let call =
            |method: &str, path: &str, body: Value| server.call_as(&token, method, path, &body);
        call("PATCH", &owner, json!({ "role": "viewer" })).expect_problem(403, "forbidden");
        call("DELETE", &owner, Value::Null).expect_problem(403, "forbidden");
        call("PATCH", &bob.path(), json!({ "role": "owner" })).expect_problem(403, "forbidden");
        call("PATCH", &admin.path(), json!({ "role": "owner" })).expect_problem(403, "forbidden");
        call("PATCH", &bob.path(), json!({ "role": "emperor" })).expect(422);
        call("PATCH", &format!("{BASE}/members/mem_x"), json!({ "role": "viewer" })).expect(404);
        assert_eq!(
            call("PATCH", &bob.path(), json!({ "role": "admin" })).expect(200)["role"],
            "admin"
        );
        assert_eq!(
            call("PATCH", &admin.path(), json!({ "role": "editor" })).expect(200)["role"],
            "editor"
        );
        call("PATCH", &bob.path(), json!({ "role": "viewer" })).expect_problem(403, "forbidden");
        call("DELETE", &bob.path(), Value::Null).expect_problem(403, "forbidden");
        call("GET", &format!("{BASE}/members"), Value::Null).expect_problem(403, "forbidden");
        let refused = |action: &str| {
            let all = audit(&server, action);
            all.into_iter().filter(|event| event["outcome"] == "refused").count()
        };
        assert_eq!((refused("member.changed"), refused("member.removed")), (4, 2));
    });
}

#[test]
fn another_role_ends_the_sessions_and_counts_at_once() {
    on_both("people-roles", |server| {
        let bob = Person::join(&server, "bob", "admin");
        let (browser, token) = (bob.browser(&server), bob.token(&server));
        let members = format!("{BASE}/members");
        assert_eq!(server.call_as(&token, "GET", &members, &Value::Null).status, 200);
        let patch = |role: &str| {
            server
                .call_as(&server.token, "PATCH", &bob.path(), &json!({ "role": role }))
                .expect(200)
        };
        patch("admin");
        assert!(browser.works(&server), "nothing changed");
        patch("viewer");
        assert!(!browser.works(&server));
        server.call_as(&token, "GET", &members, &Value::Null).expect_problem(403, "forbidden");
        assert_eq!(bob.browser(&server).member["role"], "viewer");
        let changed = audit(&server, "member.changed");
        assert_eq!(changed[0]["reason"], format!("{} viewer", bob.id));
        assert_eq!(audit(&server, "session.ended").len(), 1);
    });
}

#[test]
fn whoever_left_is_remembered_by_name_alone() {
    on_both("people-leaving", |server| {
        let bob = Person::join(&server, "bob", "editor");
        let (browser, token) = (bob.browser(&server), bob.token(&server));
        let definition = json!({ "name": "W", "trigger": { "kind": "http", "respond": "result" },
            "steps": [{ "id": "s", "kind": "code", "source": "return 1" }] });
        server.call_as(&token, "POST", &format!("{BASE}/workflows"), &definition).expect(201);
        assert_eq!(server.call_as(&server.token, "DELETE", &bob.path(), &Value::Null).status, 204);
        server
            .call_as(&server.token, "DELETE", &bob.path(), &Value::Null)
            .expect_problem(404, "not_found");
        assert!(!browser.works(&server));
        assert_eq!(
            server.call_as(&token, "GET", &format!("{BASE}/runs"), &Value::Null).status,
            401
        );
        super::sign_in(&server, &bob.email, &bob.password).expect_problem(403, "forbidden");
        let ids = |query: &str| {
            let list = server.get(&format!("/members{query}")).expect(200);
            let items = list["items"].as_array().unwrap().clone();
            items
                .iter()
                .map(|item| (text(&item["id"]), item["left_at"].is_string()))
                .collect::<Vec<_>>()
        };
        let owner = (owner_id(&server), false);
        assert_eq!(ids(""), std::slice::from_ref(&owner));
        assert_eq!(ids("?left=false"), std::slice::from_ref(&owner));
        assert_eq!(ids("?left=true"), [owner, (bob.id.clone(), true)]);
        server.get("/members?left=maybe").expect_problem(422, "validation_failed");
        let removed = audit(&server, "member.removed");
        assert_eq!(removed[0]["reason"], bob.id);
        server
            .call_as(&server.token, "PATCH", &bob.path(), &json!({ "role": "owner" }))
            .expect(404);
    });
}
