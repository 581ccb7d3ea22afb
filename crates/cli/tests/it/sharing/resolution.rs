//! Which credential a workflow gets: the nearest scope, by its owner's eyes, if its author may.

use super::{Member, calls, code, owner, reason, sent, text};
use crate::scene::Scene;
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};

#[test]
fn the_nearest_scope_counts() {
    on_both("sharing-nearest", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let bob = Member::machine(server, "bob", "editor");
        let carol = Member::machine(server, "carol", "editor");
        let [common, shared, to_all, own, only_here] =
            ["common", "shared", "to-all", "own", "only-here"].map(|name| scene.canary(name));
        let workflow = bob.caller(&scene, "KEY");
        assert_eq!(code(sent(&scene, &workflow)), "missing_credential");

        let workspace = scene.api_key("KEY", &common);
        assert_eq!(sent(&scene, &workflow), Ok(common.clone()));
        let carols = carol.personal(&scene, "KEY", &shared);
        assert_eq!(sent(&scene, &workflow), Ok(common.clone()), "not shared");
        for level in ["use", "view", "manage"] {
            carol.share(server, &carols, &bob.id, level);
            assert_eq!(sent(&scene, &workflow), Ok(shared.clone()), "{level}");
        }
        // Of two that are shared the older counts.
        let dave = Member::machine(server, "dave", "editor");
        let daves = dave.personal(&scene, "KEY", &to_all);
        dave.share(server, &daves, "all", "use");
        assert_eq!(sent(&scene, &workflow), Ok(shared.clone()));
        let bobs = bob.personal(&scene, "KEY", &own);
        assert_eq!(sent(&scene, &workflow), Ok(own.clone()));
        let here = scene.credential(&json!({
            "key": "KEY", "type": "api_key", "fields": { "value": only_here },
            "hosts": [scene.host()], "scope": { "kind": "workflow", "workflow": workflow },
        }));
        assert_eq!(sent(&scene, &workflow), Ok(only_here));

        let delete = |id: &str| {
            server.api("DELETE", &format!("/credentials/{id}?confirm=true"), &Value::Null)
        };
        delete(&here).expect(204);
        assert_eq!(sent(&scene, &workflow), Ok(own));
        delete(&bobs).expect(204);
        assert_eq!(sent(&scene, &workflow), Ok(shared));
        let share = format!("/credentials/{carols}/shares/{}", bob.id);
        carol.call(server, "DELETE", &share, &Value::Null).expect(204);
        assert_eq!(sent(&scene, &workflow), Ok(to_all));
        delete(&daves).expect(204);
        assert_eq!(sent(&scene, &workflow), Ok(common));
        delete(&workspace).expect(204);
        assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
    });
}

#[test]
fn nobody_borrows_the_owners_key_by_editing_the_workflow() {
    let scene = Scene::start("sharing-borrowed");
    let server = &scene.server;
    let (bob, carol) =
        (Member::machine(server, "bob", "editor"), Member::machine(server, "carol", "editor"));
    let own = scene.canary("own");
    let credential = bob.personal(&scene, "KEY", &own);
    let workflow = bob.caller(&scene, "KEY");
    assert_eq!(sent(&scene, &workflow), Ok(own.clone()));
    let save = |member: &Member| {
        let path = format!("/workflows/{workflow}");
        member.call(server, "PUT", &path, &calls(&scene, "KEY")).expect(200)
    };
    save(&carol);
    assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
    assert_eq!(reason(&scene, "action=credential.used&outcome=refused"), "not_adopted");
    // Neither does it fall back to something broader.
    scene.api_key("KEY", &scene.canary("common"));
    assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
    // Whom it is shared with may put it into a workflow.
    bob.share(server, &credential, &carol.id, "use");
    assert_eq!(sent(&scene, &workflow), Ok(own.clone()));
    let share = format!("/credentials/{credential}/shares/{}", carol.id);
    bob.call(server, "DELETE", &share, &Value::Null).expect(204);
    assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
    save(&bob);
    assert_eq!(sent(&scene, &workflow), Ok(own));
}

#[test]
fn absent_unshared_and_not_listed_are_told_alike() {
    let scene = Scene::with(Server::start("sharing-equal", Backend::Sqlite));
    let server = &scene.server;
    let (bob, carol) =
        (Member::machine(server, "bob", "editor"), Member::machine(server, "carol", "editor"));
    let workflow = bob.caller(&scene, "KEY");
    let told = |expected: &str| {
        let error = sent(&scene, &workflow).expect_err("it is refused");
        assert_eq!(reason(&scene, "action=credential.used&outcome=refused"), expected);
        error
    };
    let absent = told("not_found");
    carol.personal(&scene, "KEY", &scene.canary("carols"));
    let unshared = told("not_shared");
    scene.api_key("KEY", &scene.canary("common"));
    let path = format!("/workflows/{workflow}/allowlist");
    server.api("PUT", &path, &json!({ "enabled": true, "keys": ["OTHER"] })).expect(200);
    let not_listed = told("allowlist");
    assert_eq!((&absent, &absent), (&unshared, &not_listed));
    assert_eq!(absent["code"], "missing_credential");
    let message = text(&absent["message"]);
    assert!(message.contains("KEY") && message.contains(&workflow), "{message}");
    assert!(!message.contains(&carol.id) && !message.contains("shared"), "{message}");
}

#[test]
fn another_workspaces_key_is_nobodys() {
    let scene = Scene::start("sharing-elsewhere");
    let server = &scene.server;
    let other =
        server.call_as(&server.token, "POST", "/api/v1/workspaces", &json!({ "name": "Other" }));
    let path = format!("/api/v1/workspaces/{}/credentials", text(&other.expect(201)["slug"]));
    let body = json!({
        "key": "KEY", "type": "api_key", "fields": { "value": scene.canary("elsewhere") },
        "hosts": [scene.host()],
    });
    server.call_as(&server.token, "POST", &path, &body).expect(201);
    let workflow = owner(server).caller(&scene, "KEY");
    assert_eq!(code(sent(&scene, &workflow)), "missing_credential");
}
