//! An own app says where values may go: an edited one is none.

use super::{Scene, edit};
use crate::samples;
use crate::server::{Backend, Server};
use serde_json::{Value, json};

#[test]
fn an_edited_app_is_no_app() {
    let mut scene = Scene::of(Server::start("tampering-apps", Backend::Sqlite));
    let edits = [
        "UPDATE apps SET manifest = replace(manifest, 'api.example.com', 'evil.example.com') WHERE id = ?1",
        "UPDATE apps SET manifest = replace(manifest, 'X-Api-Key', 'X-Other') WHERE id = ?1",
        "UPDATE apps SET manifest = '{' WHERE id = ?1",
        "UPDATE apps SET source = 'openapi' WHERE id = ?1",
        "UPDATE apps SET source = 'other' WHERE id = ?1",
        "UPDATE apps SET author_id = 'mem_00000000000000000000000000' WHERE id = ?1",
        "UPDATE apps SET revision = 7 WHERE id = ?1",
        "UPDATE apps SET updated_at = -1 WHERE id = ?1",
        "UPDATE apps SET tag = zeroblob(32) WHERE id = ?1",
        "UPDATE apps SET tag = x'' WHERE id = ?1",
        "REPLACE INTO apps SELECT workspace_id, ?1, source, author_id, created_at, updated_at, revision, tag, manifest FROM apps WHERE id = 'fine'",
        "DELETE FROM apps WHERE id = ?1",
    ];
    let manifest = |id: &str| samples::manifest(id, "https://api.example.com");
    let step = |app: &str| {
        json!({
            "name": "Uses", "trigger": { "kind": "manual" },
            "steps": [{
                "id": "s", "kind": "app", "app": app, "action": "get_thing",
                "credential": { "$credential": "KEY" }, "inputs": { "id": "1" },
            }],
        })
    };
    scene.credential("KEY", &json!({}));
    scene.server.post("/apps", &manifest("fine")).expect(201);
    let mut made = Vec::new();
    for (number, sql) in edits.iter().enumerate() {
        let id = format!("app_{number}");
        scene.server.post("/apps", &manifest(&id)).expect(201);
        let (workflow, _) = scene.server.workflow(&step(&id));
        made.push((id, workflow, sql));
    }
    assert!(scene.server.stop());
    for (id, _, sql) in &made {
        assert!(edit(&scene.server.data, sql, &[id]) > 0, "{sql}");
    }
    scene.server.spawn();
    let list = scene.server.get("/apps?limit=200").expect(200);
    let known = |id: &str| list["items"].as_array().unwrap().iter().any(|app| app["id"] == id);
    assert!(known("fine"), "an app that nobody edited");
    for (id, workflow, sql) in &made {
        assert!(!known(id), "{sql}");
        scene.server.get(&format!("/apps/{id}")).expect_problem(404, "not_found");
        scene.server.post("/workflows", &step(id)).expect_problem(422, "validation_failed");
        assert_eq!(scene.code_of(workflow), "validation_failed", "{sql}");
    }
    // Whoever finds one can clear it away and save it anew.
    for (id, _, sql) in made.iter().filter(|(_, _, sql)| !sql.starts_with("DELETE")) {
        let path = format!("/apps/{id}?confirm=true");
        scene.server.api("DELETE", &path, &Value::Null).expect(204);
        scene.server.post("/apps", &manifest(id)).expect(201);
        assert_eq!(scene.server.get(&format!("/apps/{id}")).status, 200, "{sql}");
    }
}

#[test]
fn an_app_edited_behind_a_running_server_sends_nothing_elsewhere() {
    let scene = Scene::of(Server::start("tampering-apps-running", Backend::Sqlite));
    let mut manifest = samples::manifest("things", "https://api.example.com");
    manifest["schemes"][0]["hosts"] = json!(["{{ base_url }}"]);
    let field = json!({ "name": "base_url", "label": "URL", "format": "url" });
    manifest["schemes"][0]["fields"].as_array_mut().unwrap().push(field);
    manifest["actions"][0]["request"]["url"] = json!("{{ credential.base_url }}/right");
    scene.server.post("/apps", &manifest).expect(201);
    let secret = scene.server.evidence.canary("THINGS");
    let fields = json!({ "api_key": secret, "base_url": scene.host() });
    let new = json!({ "key": "THINGS", "app": "things", "fields": fields });
    scene.server.post("/credentials", &new).expect(201);
    let (workflow, _) = scene.server.workflow(&json!({
        "name": "Uses", "trigger": { "kind": "manual" },
        "steps": [{
            "id": "s", "kind": "app", "app": "things", "action": "get_thing",
            "credential": { "$credential": "THINGS" }, "inputs": { "id": "1" },
        }],
    }));
    assert_eq!(scene.code_of(&workflow), "");
    let sql = "UPDATE apps SET manifest = replace(manifest, '/right', '/wrong') WHERE id = ?1";
    assert_eq!(edit(&scene.server.data, sql, &["things"]), 1);
    scene.code_of(&workflow);
    let sql = "UPDATE apps SET tag = zeroblob(32) WHERE id = ?1";
    assert_eq!(edit(&scene.server.data, sql, &["things"]), 1);
    assert_eq!(scene.code_of(&workflow), "validation_failed");
    let targets: Vec<_> =
        scene.carried(&secret).into_iter().map(|request| request.target).collect();
    assert!(!targets.is_empty() && targets.iter().all(|target| target == "/right"), "{targets:?}");
}
