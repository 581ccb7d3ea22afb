//! When a member goes: what was theirs stops or goes on, and nothing is lost silently.

use super::{Member, calls, code, owner, reason, sent, text};
use crate::scene::Scene;
use crate::server::on_both;
use serde_json::{Value, json};

#[test]
fn who_leaves_takes_nothing_along_and_leaves_nothing_unseen() {
    on_both("leaving", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let (ann, bob) = (owner(server), Member::person(server, "bob", "editor"));
        let carol = Member::person(server, "carol", "editor");
        let (bobs, common) = (scene.canary("bobs"), scene.canary("common"));
        let personal = bob.personal(&scene, "BOBS", &bobs);
        let deleted = bob.personal(&scene, "DELETED", &scene.canary("deleted"));
        let path = format!("/credentials/{deleted}");
        bob.call(server, "DELETE", &path, &Value::Null).expect(204);
        scene.api_key("COMMON", &common);
        bob.share(server, &personal, &carol.id, "use");
        let carols = carol.personal(&scene, "CAROLS", &scene.canary("carols"));
        carol.share(server, &carols, &bob.id, "manage");
        let workflow = carol.caller(&scene, "BOBS");
        let own = bob.caller(&scene, "BOBS");
        let saved = bob.call(server, "POST", "/workflows", &calls(&scene, "COMMON")).expect(201);
        let hook = text(&saved["trigger_url"]);
        let hook = &hook[hook.find("/hooks/").unwrap()..];
        assert_eq!(sent(&scene, &workflow), Ok(bobs.clone()));
        assert_eq!(sent(&scene, &own), Ok(bobs.clone()));

        let list = format!("/members/{}/credentials", bob.id);
        let check_list = |status: &str| {
            let list = server.get(&list).expect(200);
            assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
            let item = &list["items"][0];
            assert_eq!((&item["id"], &item["status"]), (&json!(personal), &json!(status)));
            assert!(item.get("hosts").is_none() && item.get("fields").is_none(), "{item}");
            assert_eq!(item["shared_with"], 1);
            item["used_by"].clone()
        };
        assert_eq!(check_list("active"), json!([{ "workflow_id": workflow, "name": "Calls" }]));
        carol.get(server, &list).expect_problem(403, "forbidden");
        server.api("DELETE", &format!("/members/{}", bob.id), &Value::Null).expect(204);

        // The personal credential is stopped, and shown to whoever needs it.
        assert_eq!(code(sent(&scene, &workflow)), "credential_unusable");
        check_list("suspended");
        let shown = carol.get(server, &format!("/workflows/{workflow}")).expect(200);
        assert_eq!(shown["unavailable_credentials"], json!(["BOBS"]));
        let suspended = scene.audit("action=credential.suspended");
        assert_eq!(suspended.len(), 2, "{suspended:?}");
        assert!(suspended.iter().all(|event| event["reason"] == "owner_left"));
        assert_eq!(reason(&scene, "action=credential.unshared"), format!("manage {}", bob.id));
        let shares = carol.get(server, &format!("/credentials/{carols}/shares")).expect(200);
        assert_eq!(shares["items"], json!([]));
        let resume = format!("/credentials/{personal}/resume");
        server.post(&resume, &Value::Null).expect_problem(409, "conflict");
        let restore = format!("/credentials/{deleted}/restore");
        assert_eq!(server.post(&restore, &Value::Null).expect(200)["status"], "suspended");

        // The workflows go on under whoever removed the member.
        assert_eq!(server.hook(hook, &json!({})).status, 200);
        let carried = scene.echo.received().pop().expect("a request");
        assert_eq!(carried.header("authorization"), Some(&*format!("Bearer {common}")));
        let transferred = scene.audit("action=workflow.transferred");
        assert_eq!(transferred.len(), 2, "{transferred:?}");
        assert!(transferred.iter().all(|event| event["reason"] == ann.id.as_str()));
        let shown = server.get(&format!("/workflows/{own}")).expect(200);
        assert_eq!(shown["owner"], ann.id.as_str());
        assert_eq!(shown["unavailable_credentials"], json!(["BOBS"]));

        // With a new owner it goes on where it is shared or owned.
        let transfer = format!("/credentials/{personal}/transfer");
        let given = server.post(&transfer, &json!({ "to": carol.id })).expect(200);
        assert_eq!((&given["status"], &given["owner"]["id"]), (&json!("active"), &json!(carol.id)));
        assert_eq!(sent(&scene, &workflow), Ok(bobs));
        let shown = carol.get(server, &format!("/workflows/{workflow}")).expect(200);
        assert_eq!(shown["unavailable_credentials"], json!([]));
        let keys = |list: Value| {
            let items = list["items"].as_array().unwrap().clone();
            items.iter().map(|item| text(&item["key"])).collect::<Vec<_>>()
        };
        assert_eq!(keys(server.get(&list).expect(200)), ["DELETED"]);
        let (verified, _, errors) = server.run(&["audit", "verify"]);
        assert!(verified, "{errors}");
    });
}

#[test]
fn what_was_stopped_before_stays_stopped() {
    let scene = Scene::start("leaving-stopped");
    let server = &scene.server;
    let bob = Member::machine(server, "bob", "editor");
    let carol = Member::person(server, "carol", "editor");
    let personal = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let suspend = json!({ "reason": "leaked" });
    server.post(&format!("/credentials/{personal}/suspend"), &suspend).expect(200);
    bob.share(server, &personal, &carol.id, "manage");
    server.api("DELETE", &format!("/members/{}", bob.id), &Value::Null).expect(204);
    // Nobody's credential is not for anybody to set going again.
    let resume = format!("/credentials/{personal}/resume");
    server.post(&resume, &Value::Null).expect_problem(409, "conflict");
    carol.call(server, "POST", &resume, &Value::Null).expect_problem(409, "conflict");
    let transfer = format!("/credentials/{personal}/transfer");
    let given = server.post(&transfer, &json!({ "to": carol.id })).expect(200);
    assert_eq!(given["status"], "suspended");
    carol.call(server, "POST", &resume, &Value::Null).expect(200);
    server.get("/members/mem_00000000000000000000000000/credentials").expect(404);
    server.get("/members/bob/credentials").expect(404);
}

#[test]
fn an_owner_who_goes_leaves_the_workflows_to_another() {
    let scene = Scene::start("leaving-owner");
    let server = &scene.server;
    let ann = owner(server);
    let olga = Member::person(server, "olga", "owner");
    let workflow = olga.caller(&scene, "KEY");
    scene.api_key("KEY", &scene.canary("secret"));
    let gone = olga.call(server, "DELETE", &format!("/members/{}", olga.id), &Value::Null);
    assert_eq!(gone.status, 204, "{}", gone.body);
    let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
    assert_eq!(shown["owner"], ann.id.as_str());
    assert_eq!(shown["unavailable_credentials"], json!([]));
}
