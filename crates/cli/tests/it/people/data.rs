//! What is kept about a person: given out to them, and erased once they have left.

use super::{BASE, OWNER, Person, owner_id, text};
use crate::scene::Scene;
use crate::server::{Server, on_both};
use serde_json::{Value, json};

fn data(server: &Server, token: &str, member: &str) -> crate::server::Answer {
    server.call_as(token, "GET", &format!("{BASE}/members/{member}/data"), &Value::Null)
}

#[test]
fn a_person_gets_everything_that_is_kept_about_them_and_no_value() {
    let scene = Scene::start("person-data");
    let server = &scene.server;
    let bob = Person::join(server, "bob", "editor");
    let eve = Person::join(server, "eve", "editor");
    let (bobs, eves) = (bob.token(server), eve.token(server));
    let secret = scene.canary("bobs-own");
    let body = json!({ "key": "OWN", "type": "api_key", "description": "for my eyes",
        "fields": { "value": secret } });
    server.call_as(&bobs, "POST", &format!("{BASE}/credentials"), &body).expect(201);
    data(server, &eves, &bob.id).expect_problem(403, "forbidden");
    for (token, description) in [(&bobs, "for my eyes"), (&server.token, "")] {
        let found = data(server, token, &bob.id).expect(200);
        assert_eq!(found["account"]["email"], bob.email.as_str());
        assert_eq!(found["credentials"][0]["key"], "OWN");
        assert_eq!(found["credentials"][0]["description"], description);
        assert_eq!(found["credentials"][0]["scope"], "personal");
        assert_eq!(found["tokens"].as_array().map(Vec::len), Some(1));
        let actions: Vec<_> =
            found["audit"].as_array().unwrap().iter().map(|event| text(&event["action"])).collect();
        assert!(actions.contains(&"credential.created".to_owned()), "{actions:?}");
        assert!(!found.to_string().contains(&secret));
    }
    let exports = scene.audit("action=export.made&outcome=allowed");
    assert_eq!(exports.len(), 2, "{exports:?}");
    assert_eq!(scene.audit("action=export.made&outcome=refused").len(), 1);
}

#[test]
fn whoever_has_left_can_be_erased_and_the_trail_still_holds() {
    on_both("person-erase", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let bob = Person::join(server, "bob", "editor");
        let bobs = bob.token(server);
        let workflow = scene.manual(&json!([scene.code("s", "return 1;")]));
        let started = json!({ "wait": true });
        let path = format!("{BASE}/workflows/{workflow}/runs");
        server.call_as(&bobs, "POST", &path, &started).expect(200);
        let erase = || server.post(&format!("/members/{}/erase", bob.id), &Value::Null);
        erase().expect_problem(409, "conflict");
        server.api("DELETE", &format!("/members/{}", bob.id), &Value::Null).expect(204);
        erase().expect(204);
        erase().expect(204);
        server.post("/members/mem_00000000000000000000000000/erase", &Value::Null).expect(404);
        assert_eq!(super::sign_in(server, &bob.email, &bob.password).status, 401);
        let by_bob = scene.audit(&format!("actor={}", bob.id));
        assert!(!by_bob.is_empty());
        assert!(by_bob.iter().all(|event| event["actor"]["name"] == "erased"), "{by_bob:?}");
        for path in ["/members?left=true", "/runs", "/audit?limit=200", "/invitations"] {
            let shown = server.get(path).expect(200).to_string();
            assert!(!shown.contains(&bob.email), "{path}: {shown}");
            assert!(!shown.contains("\"bob\""), "{path}: {shown}");
        }
        let found = data(server, &server.token, &bob.id).expect(200);
        assert_eq!((&found["account"], &found["member"]["name"]), (&Value::Null, &json!("erased")));
        assert!(server.run(&["audit", "verify"]).0, "the chains hold");
        // The address is free again, and whoever comes by it is somebody else.
        let again = Person::join(server, "bob", "viewer");
        assert_ne!(again.id, bob.id);
        let owner = data(server, &server.token, &owner_id(server)).expect(200);
        assert_eq!(owner["account"]["email"], OWNER);
    });
}
