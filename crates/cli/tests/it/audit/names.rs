//! People are recorded by their ids and shown by their names, so that a name can be erased.

use super::{edit, export, furnish, records, verify};
use crate::scene::Scene;
use crate::server::on_both;
use serde_json::json;

#[test]
fn a_members_name_is_shown_but_is_no_part_of_the_trail() {
    on_both("audit-names", |server| {
        let scene = Scene::with(server);
        let (using, _) = furnish(&scene);
        assert_eq!(scene.run_again(&using, &json!({}))["status"], "succeeded");
        let members = scene.server.get("/members").expect(200);
        let member = &members["items"][0];
        let (id, name) = (member["id"].as_str().unwrap(), member["name"].as_str().unwrap());
        assert!(!name.is_empty());
        let by_member = scene.audit(&format!("actor={id}"));
        assert!(by_member.len() >= 2, "{by_member:#?}");
        assert!(by_member.iter().all(|event| event["actor"]["name"] == name), "{by_member:#?}");
        let csv = scene.server.get("/audit/export?format=csv").body;
        assert!(csv.contains(name), "{csv}");

        let lines = export(&scene.server, "named.jsonl");
        assert!(!lines.contains(name) && !lines.contains("alice@example.com"), "{lines}");
        let named = records(&lines);
        let of_people = named.iter().filter(|record| record["actor"]["kind"] == "member");
        assert!(of_people.clone().count() >= 2);
        assert!(of_people.clone().all(|record| record["actor"]["name"] == ""));
        // What happens to the row that gives the name breaks nothing.
        edit(&scene.server, "UPDATE members SET name = 'Mallory'");
        let (holds, said) = verify(&scene.server, &[]);
        assert!(holds, "{said}");
    });
}
