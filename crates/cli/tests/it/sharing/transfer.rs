//! Giving a credential another owner: its value goes along unseen, and counts for that owner.

use super::{Member, code, owner, reason, sent};
use crate::scene::Scene;
use crate::server::on_both;
use serde_json::{Value, json};

#[test]
fn a_personal_credential_goes_to_another_member() {
    on_both("transfer-personal", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let (bob, carol) =
            (Member::person(server, "bob", "editor"), Member::person(server, "carol", "editor"));
        let dave = Member::machine(server, "dave", "editor");
        let (secret, staged) = (scene.canary("secret"), scene.canary("staged"));
        let id = bob.personal(&scene, "KEY", &secret);
        bob.share(server, &id, &dave.id, "use");
        bob.share(server, &id, &carol.id, "view");
        let version = json!({ "fields": { "value": staged } });
        bob.call(server, "POST", &format!("/credentials/{id}/versions"), &version).expect(201);
        let [bobs, carols, daves] =
            [&bob, &carol, &dave].map(|member| member.caller(&scene, "KEY"));
        assert_eq!(sent(&scene, &bobs), Ok(secret.clone()));
        let transfer = format!("/credentials/{id}/transfer");
        let given = bob.call(server, "POST", &transfer, &json!({ "to": carol.id })).expect(200);
        // Whoever has given it away sees whose it is now, and nothing else.
        assert_eq!(given["owner"]["id"], carol.id.as_str());
        assert!(given.get("hosts").is_none(), "{given}");
        bob.get(server, &format!("/credentials/{id}")).expect_problem(404, "not_found");
        let shown = carol.get(server, &format!("/credentials/{id}")).expect(200);
        assert_eq!(shown["owner"]["email"], "carol@example.com");
        assert_eq!(reason(&scene, "action=credential.transferred"), carol.id);
        assert_eq!(code(sent(&scene, &bobs)), "missing_credential");
        assert_eq!(sent(&scene, &carols), Ok(secret.clone()));
        assert_eq!(sent(&scene, &daves), Ok(secret), "shares stay");
        // What was staged went along, too; the new owner's own share did not.
        let promote = format!("/credentials/{id}/versions/2/promote");
        carol.call(server, "POST", &promote, &Value::Null).expect(200);
        assert_eq!(sent(&scene, &carols), Ok(staged));
        let shares = carol.get(server, &format!("/credentials/{id}/shares")).expect(200);
        assert_eq!(shares["items"].as_array().unwrap().len(), 1, "{shares}");
        assert_eq!(shares["items"][0]["member"]["id"], dave.id.as_str());
    });
}

#[test]
fn only_who_could_have_made_it_can_own_it() {
    let scene = Scene::start("transfer-refused");
    let server = &scene.server;
    let (ann, bob) = (owner(server), Member::machine(server, "bob", "editor"));
    let carol = Member::person(server, "carol", "viewer");
    let id = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let common = scene.api_key("COMMON", &scene.canary("common"));
    let transfer = |who: &Member, id: &str, to: &str| {
        let path = format!("/credentials/{id}/transfer");
        who.call(server, "POST", &path, &json!({ "to": to }))
    };
    let check = |id: &str, to: &str, words: &str| {
        let problem = transfer(&ann, id, to).expect_problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/to", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    };
    check(&id, "mem_00000000000000000000000000", "no such member");
    check(&id, "alice@example.com", "no such member");
    check(&id, &bob.id, "service account");
    check(&id, &carol.id, "role");
    check(&common, &ann.id, "already");
    let path = format!("/members/{}", carol.id);
    server.api("PATCH", &path, &json!({ "role": "editor" })).expect(200);
    check(&common, &carol.id, "role");
    let carols = carol.personal(&scene, "KEY", &scene.canary("carols"));
    let taken = transfer(&ann, &id, &carol.id).expect_problem(409, "conflict");
    assert!(taken["detail"].as_str().unwrap().contains("key"), "{taken}");
    transfer(&carol, &id, &carol.id).expect_problem(404, "not_found");
    transfer(&carol, &common, &carol.id).expect_problem(403, "forbidden");
    let delete = format!("/credentials/{carols}");
    carol.call(server, "DELETE", &delete, &Value::Null).expect(204);
    assert_eq!(transfer(&ann, &id, &carol.id).expect(200)["owner"]["id"], carol.id.as_str());
    // One that was deleted keeps nobody's key.
    let restore = format!("/credentials/{carols}/restore");
    carol.call(server, "POST", &restore, &Value::Null).expect_problem(409, "conflict");
}
