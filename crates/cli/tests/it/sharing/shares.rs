//! Giving shares: what each level allows, and whom one can be given to.

use super::{Member, owner, reason, text};
use crate::scene::Scene;
use crate::server::{Answer, on_both};
use serde_json::{Value, json};

#[test]
fn each_level_allows_what_the_table_says() {
    on_both("sharing-levels", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let (bob, carol) =
            (Member::machine(server, "bob", "editor"), Member::machine(server, "carol", "editor"));
        let (secret, next) = (scene.canary("secret"), scene.canary("next"));
        let credential = bob.personal(&scene, "KEY", &secret);
        let path = format!("/credentials/{credential}");
        let call = |method: &str, more: &str, body: Value| {
            let answer = carol.call(server, method, &format!("{path}{more}"), &body);
            assert!(!answer.body.contains(&secret), "{}", answer.body);
            answer
        };
        let listed = || {
            let list = carol.get(server, "/credentials").expect(200);
            list["items"].as_array().expect("items").len()
        };
        call("GET", "", Value::Null).expect_problem(404, "not_found");
        call("PUT", "/shares/all", json!({ "level": "use" })).expect_problem(404, "not_found");
        assert_eq!(listed(), 0);
        let check = |level: &str, expected: [u16; 7]| {
            bob.share(server, &credential, &carol.id, level);
            let found = [
                call("GET", "", Value::Null),
                call("GET", "/versions", Value::Null),
                call("GET", "/shares", Value::Null),
                call("PATCH", "", json!({ "description": level })),
                call("PUT", "/value", json!({ "fields": { "value": next } })),
                call("POST", "/suspend", json!({})),
                call("POST", "/transfer", json!({ "to": carol.id })),
            ];
            let found = found.map(|answer: Answer| answer.status);
            assert_eq!(found, expected, "{level}");
            assert_eq!(listed(), 1, "{level}");
        };
        check("use", [200, 403, 403, 403, 403, 403, 403]);
        let short = call("GET", "", Value::Null).expect(200);
        assert_eq!(short["key"], "KEY");
        assert!(short.get("hosts").is_none() && short.get("fields").is_none(), "{short}");
        check("view", [200, 200, 200, 403, 403, 403, 403]);
        let full = call("GET", "", Value::Null).expect(200);
        assert_eq!(full["hosts"], json!([scene.host()]));
        assert_eq!(full["fields"]["value"], json!({ "secret": true, "set": true }));
        assert_eq!(full["shared"], true);
        check("manage", [200, 200, 200, 200, 200, 200, 403]);
        call("PUT", "/shares/all", json!({ "level": "use" })).expect(200);
        call("DELETE", &format!("/shares/{}", carol.id), Value::Null).expect(204);
        call("PATCH", "", json!({ "description": "x" })).expect_problem(403, "forbidden");
        call("DELETE", "/shares/all", Value::Null).expect_problem(403, "forbidden");
        bob.call(server, "DELETE", &format!("{path}/shares/all"), &Value::Null).expect(204);
        call("GET", "", Value::Null).expect_problem(404, "not_found");
    });
}

#[test]
fn shares_are_listed_replaced_and_recorded() {
    let scene = Scene::start("sharing-list");
    let server = &scene.server;
    let (ann, bob) = (owner(server), Member::machine(server, "bob", "editor"));
    let credential = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let path = format!("/credentials/{credential}/shares");
    let given = bob.share(server, &credential, &ann.id, "use");
    assert_eq!(given["member"]["id"], ann.id.as_str());
    assert_eq!(given["member"]["email"], "alice@example.com");
    assert_eq!((&given["level"], &given["by"]["id"]), (&json!("use"), &json!(bob.id)));
    assert_eq!(reason(&scene, "action=credential.shared"), format!("use {}", ann.id));
    bob.share(server, &credential, &ann.id, "view");
    bob.share(server, &credential, "all", "use");
    let list = bob.get(server, &path).expect(200);
    let shares = |list: &Value| {
        let items = list["items"].as_array().expect("items");
        items.iter().map(|item| (item["member"].clone(), text(&item["level"]))).collect::<Vec<_>>()
    };
    let found = shares(&list);
    assert_eq!(found[0], (json!("all"), "use".to_owned()));
    assert_eq!((&found[1].0["id"], &found[1].1), (&json!(ann.id), &"view".to_owned()));
    let first = bob.get(server, &format!("{path}?limit=1")).expect(200);
    assert_eq!(shares(&first).len(), 1);
    let next = format!("{path}?limit=1&cursor={}", text(&first["next_cursor"]));
    assert_eq!(shares(&bob.get(server, &next).expect(200)), found[1..]);
    bob.get(server, &format!("{path}?cursor=x")).expect_problem(422, "validation_failed");
    let of_all = bob.call(server, "DELETE", &format!("{path}/all"), &Value::Null);
    assert_eq!(of_all.status, 204);
    assert_eq!(reason(&scene, "action=credential.unshared"), "use all");
    let again = bob.call(server, "DELETE", &format!("{path}/all"), &Value::Null);
    again.expect_problem(404, "not_found");
    let (shared, unshared) =
        (scene.audit("action=credential.shared"), scene.audit("action=credential.unshared"));
    assert_eq!((shared.len(), unshared.len()), (3, 1));
    assert!(shared.iter().all(|event| event["credential_id"] == credential.as_str()));
}

#[test]
fn a_share_goes_to_members_of_this_workspace_alone() {
    let scene = Scene::start("sharing-strangers");
    let server = &scene.server;
    let bob = Member::machine(server, "bob", "editor");
    let gone = Member::machine(server, "gone", "editor");
    server.api("DELETE", &format!("/members/{}", gone.id), &Value::Null).expect(204);
    let other = json!({ "name": "Other" });
    let other = server.call_as(&server.token, "POST", "/api/v1/workspaces", &other).expect(201);
    let members = format!("/api/v1/workspaces/{}/members", text(&other["slug"]));
    let members = server.call_as(&server.token, "GET", &members, &Value::Null).expect(200);
    let foreign = text(&members["items"][0]["id"]);
    let credential = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let put = |to: &str, body: Value| {
        let path = format!("/credentials/{credential}/shares/{to}");
        bob.call(server, "PUT", &path, &body)
    };
    let level = || json!({ "level": "use" });
    let absent = put("mem_00000000000000000000000000", level()).expect_problem(404, "not_found");
    assert!(text(&absent["detail"]).contains("member"), "{absent}");
    for stranger in [foreign.as_str(), gone.id.as_str(), "bob@example.com", "ALL"] {
        assert_eq!(put(stranger, level()).expect(404), absent, "{stranger}");
    }
    let own = put(&bob.id, level()).expect_problem(422, "validation_failed");
    assert_eq!(own["errors"][0]["pointer"], "/member");
    let check = |body: Value, pointer: &str| {
        let problem = put("all", body).expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    };
    check(json!({ "level": "own" }), "/level");
    check(json!({}), "/level");
    check(json!({ "level": "use", "until": 1 }), "/until");
    assert_eq!(scene.audit("action=credential.shared&outcome=allowed").len(), 0);
    // A service account is a member like any other.
    let machine = Member::machine(server, "machine", "operator");
    put(&machine.id, level()).expect(200);
    let seen = machine.get(server, &format!("/credentials/{credential}")).expect(200);
    assert_eq!(seen["key"], "KEY");
}

#[test]
fn a_workspace_may_keep_editors_from_sharing() {
    let scene = Scene::start("sharing-forbidden");
    let server = &scene.server;
    let (bob, carol) =
        (Member::machine(server, "bob", "editor"), Member::machine(server, "carol", "editor"));
    let credential = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let common = scene.api_key("COMMON", &scene.canary("common"));
    server.api("PATCH", "/settings", &json!({ "sharing": false })).expect(200);
    let path = format!("/credentials/{credential}/shares/{}", carol.id);
    let level = json!({ "level": "view" });
    bob.call(server, "PUT", &path, &level).expect_problem(403, "forbidden");
    let refused = scene.audit("action=credential.shared&outcome=refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    owner(server).share(server, &common, &carol.id, "view");
    assert_eq!(carol.get(server, &format!("/credentials/{common}")).expect(200)["key"], "COMMON");
    server.api("PATCH", "/settings", &json!({ "sharing": true })).expect(200);
    bob.call(server, "PUT", &path, &level).expect(200);
}
