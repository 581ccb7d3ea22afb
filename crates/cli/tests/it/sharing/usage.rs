//! Who uses a credential: counted uses, and the workflows that would miss it.

use super::{Member, calls, owner, sent, text};
use crate::scene::Scene;
use crate::server::on_both;
use serde_json::{Value, json};

/// The dependents by workflow: steps, and whether they have used it.
fn dependents(who: &Member, scene: &Scene, id: &str) -> Vec<(String, Value, bool)> {
    let list = who.get(&scene.server, &format!("/credentials/{id}/dependents")).expect(200);
    let items = list["items"].as_array().expect("items").clone();
    let item = |item: &Value| {
        (text(&item["workflow_id"]), item["steps"].clone(), item["last_used_at"].is_string())
    };
    items.iter().map(item).collect()
}

#[test]
fn uses_are_counted_by_day_and_by_workflow() {
    on_both("usage", |server| {
        let scene = Scene::with(server);
        let ann = owner(&scene.server);
        let id = scene.api_key("KEY", &scene.canary("secret"));
        let path = format!("/credentials/{id}/usage");
        let none = scene.server.get(&path).expect(200);
        let expected = json!({
            "total": { "uses": 0, "failures": 0 }, "last_used_at": null, "days": [], "workflows": [],
        });
        assert_eq!(none, expected);
        let (one, two) = (ann.caller(&scene, "KEY"), ann.caller(&scene, "KEY"));
        sent(&scene, &one).expect("it is sent");
        sent(&scene, &one).expect("it is sent");
        scene.next(keyward_testkit::echo::Reply::status(500));
        let run = scene.run_again(&two, &json!({}));
        assert_eq!(run["error"]["code"], "http_status", "{run}");
        let usage = scene.server.get(&path).expect(200);
        assert_eq!(usage["total"], json!({ "uses": 3, "failures": 1 }));
        let days = usage["days"].as_array().unwrap();
        let (uses, failures): (i64, i64) = days.iter().fold((0, 0), |(uses, failures), day| {
            assert_eq!(text(&day["date"]).len(), 10, "{day}");
            (uses + day["uses"].as_i64().unwrap(), failures + day["failures"].as_i64().unwrap())
        });
        assert_eq!((uses, failures), (3, 1));
        let workflows = usage["workflows"].as_array().unwrap();
        let of = |workflow: &str| {
            let found = workflows.iter().find(|w| w["workflow_id"] == workflow).expect("it");
            assert_eq!(found["name"], "Calls");
            (found["uses"].clone(), found["failures"].clone())
        };
        assert_eq!(of(&one), (json!(2), json!(0)));
        assert_eq!(of(&two), (json!(1), json!(1)));
        let last = workflows.iter().map(|w| text(&w["last_used_at"])).max();
        assert_eq!(Some(text(&usage["last_used_at"])), last);
        scene.server.get(&format!("{path}?days=1")).expect(200);
        scene.server.get(&format!("{path}?days=0")).expect_problem(422, "validation_failed");
        let editor = Member::machine(&scene.server, "bob", "editor");
        editor.get(&scene.server, &path).expect_problem(403, "forbidden");
        editor.get(&scene.server, "/credentials/cred_00000000000000000000000000/usage").expect(404);
    });
}

#[test]
fn a_workflow_depends_on_what_it_gets_and_on_what_it_has_used() {
    on_both("dependents", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let (ann, bob) = (owner(server), Member::machine(server, "bob", "editor"));
        let common = scene.api_key("KEY", &scene.canary("common"));
        let (anns, bobs) = (ann.caller(&scene, "KEY"), bob.caller(&scene, "KEY"));
        let step = || json!(["call"]);
        let none = || json!([]);
        let check = |who: &Member, id: &str, expected: &[(&str, Value, bool)]| {
            let expected: Vec<_> =
                expected.iter().map(|(id, s, used)| ((*id).to_owned(), s.clone(), *used)).collect();
            assert_eq!(dependents(who, &scene, id), expected);
        };
        check(&ann, &common, &[(&anns, step(), false), (&bobs, step(), false)]);
        sent(&scene, &bobs).expect("it is sent");
        // Now bob's workflow gets his own; earlier runs have used the other.
        let own = bob.personal(&scene, "KEY", &scene.canary("own"));
        check(&bob, &own, &[(&bobs, step(), false)]);
        check(&ann, &common, &[(&anns, step(), false), (&bobs, none(), true)]);
        sent(&scene, &bobs).expect("it is sent");
        check(&bob, &own, &[(&bobs, step(), true)]);
        // Shared with ann it counts for her workflows; her workflow's own key is nearer still.
        bob.share(server, &own, &ann.id, "use");
        check(&bob, &own, &[(&anns, step(), false), (&bobs, step(), true)]);
        let here = scene.credential(&json!({
            "key": "KEY", "type": "api_key", "fields": { "value": scene.canary("here") },
            "hosts": [scene.host()], "scope": { "kind": "workflow", "workflow": anns },
        }));
        check(&bob, &own, &[(&bobs, step(), true)]);
        check(&ann, &here, &[(&anns, step(), false)]);
        // No step names it any more, but runs have used it.
        let other = bob.call(server, "PUT", &format!("/workflows/{bobs}"), &calls(&scene, "OTHER"));
        other.expect(200);
        check(&bob, &own, &[(&bobs, none(), true)]);
        let delete = format!("/credentials/{own}");
        let refused = bob.call(server, "DELETE", &delete, &Value::Null);
        refused.expect_problem(409, "credential_in_use");
        server.api("DELETE", &format!("/workflows/{bobs}"), &Value::Null).expect(204);
        check(&bob, &own, &[]);
        bob.call(server, "DELETE", &delete, &Value::Null).expect(204);
    });
}
