//! Rows that grant something are edited: what they granted is gone, and nothing comes in its place.

use super::{Scene, edit};
use crate::server::{Answer, Backend, Server};
use serde_json::{Value, json};

#[test]
fn a_missing_or_edited_allowlist_refuses() {
    let mut scene = Scene::of(Server::start("tampering-allowlist", Backend::Sqlite));
    let (_, secret) = scene.credential("KEY", &json!({}));
    scene.credential("LISTED", &json!({}));
    let url = scene.echo.url("ok/x");
    let edits = [
        "DELETE FROM allowlists WHERE workflow_id = ?1",
        "UPDATE allowlists SET enabled = 0 WHERE workflow_id = ?1",
        "UPDATE allowlists SET keys = replace(keys, 'LISTED', 'KEY') WHERE workflow_id = ?1",
        "UPDATE allowlists SET keys = '' WHERE workflow_id = ?1",
        "UPDATE allowlists SET enabled = 7 WHERE workflow_id = ?1",
        "UPDATE allowlists SET tag = zeroblob(32) WHERE workflow_id = ?1",
        "UPDATE allowlists SET tag = x'' WHERE workflow_id = ?1",
        "UPDATE allowlists SET workflow_id = 'wf_00000000000000000000000000' WHERE workflow_id = ?1",
        "REPLACE INTO allowlists SELECT workspace_id, ?1, enabled, keys, tag FROM allowlists WHERE workflow_id != ?1",
    ];
    // Its list is off, so that copying it would be worth something.
    scene.caller("KEY", &url);
    let mut workflows = Vec::new();
    for sql in edits {
        let (id, _) = scene.caller("KEY", &url);
        let list = json!({ "enabled": true, "keys": ["LISTED"] });
        scene.server.api("PUT", &format!("/workflows/{id}/allowlist"), &list).expect(200);
        assert_eq!(scene.code_of(&id), "missing_credential");
        assert!(edit(&scene.server.data, sql, &[&id]) > 0, "{sql}");
        assert_eq!(scene.code_of(&id), "credential_unusable", "{sql}");
        workflows.push(id);
    }
    assert!(scene.server.stop());
    scene.server.spawn();
    for (id, sql) in workflows.iter().zip(edits) {
        assert_eq!(scene.code_of(id), "credential_unusable", "after a start: {sql}");
    }
    assert_eq!(scene.carried(&secret).len(), 0);
    let (fine, _) = scene.caller("KEY", &url);
    assert_eq!(scene.code_of(&fine), "", "a workflow that nobody edited");
}

#[test]
fn an_edited_token_or_member_signs_nobody_in() {
    let mut scene = Scene::of(Server::start("tampering-tokens", Backend::Sqlite));
    let edits = [
        "UPDATE tokens SET scopes = '' WHERE id = ?1",
        "UPDATE tokens SET scopes = 'admin' WHERE id = ?1",
        "UPDATE tokens SET expires_at = NULL WHERE id = ?1",
        "UPDATE tokens SET expires_at = 9999999999999 WHERE id = ?1",
        "UPDATE tokens SET member_id = 'mem_00000000000000000000000000' WHERE id = ?1",
        "UPDATE tokens SET name = 'other' WHERE id = ?1",
        "UPDATE tokens SET tag = (SELECT tag FROM tokens WHERE id != ?1) WHERE id = ?1",
        "UPDATE tokens SET tag = x'' WHERE id = ?1",
        "UPDATE tokens SET created_at = -1 WHERE id = ?1",
        "UPDATE tokens SET hash = (SELECT hash FROM tokens WHERE id != ?1 LIMIT 1) WHERE id = ?1",
        "UPDATE tokens SET id = 'tok_00000000000000000000000000' WHERE id = ?1",
        "DELETE FROM tokens WHERE id = ?1",
    ];
    let mut made = Vec::new();
    for (number, sql) in edits.iter().enumerate() {
        let (id, token) = token(&scene, number);
        assert_eq!(list(&scene, &token).status, 200);
        assert_eq!(start(&scene, &token).status, 403, "the token may read alone");
        assert!(edit(&scene.server.data, sql, &[&id]) > 0, "{sql}");
        list(&scene, &token).expect_problem(401, "unauthenticated");
        made.push(token);
    }
    assert!(scene.server.stop());
    scene.server.spawn();
    for (token, sql) in made.iter().zip(edits) {
        assert_eq!(list(&scene, token).status, 401, "{sql}");
        assert_eq!(start(&scene, token).status, 401, "{sql}");
    }
    scene.server.get("/workflows").expect(200);
    check_members(&scene);
}

/// Every edit of the owner's row, and one that is put back as it was.
fn check_members(scene: &Scene) {
    let edits = [
        "UPDATE members SET role = 'admin' WHERE ?1 != ''",
        "UPDATE members SET role = 'emperor' WHERE ?1 != ''",
        "UPDATE members SET email = 'eve@example.com' WHERE ?1 != ''",
        "UPDATE members SET account_id = NULL WHERE ?1 != ''",
        "UPDATE members SET kind = 'service' WHERE ?1 != ''",
        "UPDATE members SET left_at = 1 WHERE ?1 != ''",
        "UPDATE members SET tag = zeroblob(32) WHERE ?1 != ''",
        "UPDATE members SET id = 'mem_00000000000000000000000000' WHERE ?1 != ''",
        "DELETE FROM members WHERE ?1 != ''",
    ];
    let data = &scene.server.data;
    edit(data, "CREATE TABLE kept AS SELECT * FROM members WHERE ?1 != ''", &["x"]);
    for sql in edits {
        assert!(edit(data, sql, &["x"]) > 0, "{sql}");
        assert_eq!(scene.server.get("/workflows").status, 401, "{sql}");
        edit(data, "DELETE FROM members", &[]);
        edit(data, "INSERT INTO members SELECT * FROM kept", &[]);
        assert_eq!(scene.server.get("/workflows").status, 200, "put back after {sql}");
    }
    edit(data, "DROP TABLE kept", &[]);
}

/// A token that may read alone and is soon over.
fn token(scene: &Scene, number: usize) -> (String, String) {
    let body = json!({ "name": format!("t{number}"), "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z" });
    let authorization = format!("Bearer {}", scene.server.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let path = "/api/v1/workspaces/default/tokens";
    let made =
        scene.server.send_unkept("POST", path, &headers, body.to_string().as_bytes()).expect(201);
    let token = made["token"].as_str().unwrap().to_owned();
    scene.server.evidence.watch(&format!("token-{number}"), &token);
    (made["id"].as_str().unwrap().to_owned(), token)
}

fn list(scene: &Scene, token: &str) -> Answer {
    scene.server.call_as(token, "GET", "/api/v1/workspaces/default/credentials", &Value::Null)
}

fn start(scene: &Scene, token: &str) -> Answer {
    let body = json!({ "name": "x", "trigger": { "kind": "manual" }, "steps": [] });
    scene.server.call_as(token, "POST", "/api/v1/workspaces/default/workflows", &body)
}

#[test]
fn an_edited_workflow_runs_nothing_for_anybody() {
    let mut scene = Scene::of(Server::start("tampering-workflows", Backend::Sqlite));
    let (_, secret) = scene.credential("KEY", &json!({ "paths": [], "methods": [] }));
    let edits = [
        "UPDATE workflows SET owner_id = 'mem_00000000000000000000000000' WHERE id = ?1 AND ?2 != ''",
        "UPDATE workflows SET trigger_hash = (SELECT trigger_hash FROM workflows WHERE id = ?2) WHERE id = ?1",
        "UPDATE workflows SET version = 2 WHERE id = ?1 AND ?2 != ''",
        "UPDATE workflows SET name = 'Mine' WHERE id = ?1 AND ?2 != ''",
        "UPDATE workflows SET tag = (SELECT tag FROM workflows WHERE id = ?2) WHERE id = ?1",
        "UPDATE routes SET target_id = ?1 WHERE target_id = ?2",
        "UPDATE workflow_versions SET definition = replace(definition, '/planned', '/diverted') WHERE workflow_id = ?1 AND ?2 != ''",
        "UPDATE workflow_versions SET compiled = replace(compiled, '/planned', '/diverted') WHERE workflow_id = ?1 AND ?2 != ''",
        "UPDATE workflow_versions SET definition = (SELECT definition FROM workflow_versions WHERE workflow_id = ?2) WHERE workflow_id = ?1",
        "UPDATE workflow_versions SET author_id = 'mem_00000000000000000000000000' WHERE workflow_id = ?1 AND ?2 != ''",
        "UPDATE workflow_versions SET definition = 'x' WHERE workflow_id = ?1 AND ?2 != ''",
        "DELETE FROM workflow_versions WHERE workflow_id = ?1 AND ?2 != ''",
    ];
    let (planned, other) = (scene.echo.url("planned"), scene.echo.url("other"));
    let mut hooks = Vec::new();
    for sql in edits {
        let source = format!(
            "const r = await fetch('{planned}', {{ headers: {{ 'x-key': credential('KEY') }} }}); return r.status"
        );
        let (id, hook) = scene.server.workflow(&json!({
            "name": "Edited", "trigger": { "kind": "http", "respond": "result" },
            "steps": [{ "id": "s", "kind": "code", "source": source },
                      { "id": "h", "kind": "http", "credential": { "$credential": "KEY" },
                        "request": { "method": "GET", "url": planned } }],
        }));
        let (other_id, other_hook) = scene.caller("KEY", &other);
        hooks.push((sql, id, hook, other_id, other_hook));
    }
    // Nothing of an edited version may have been kept in memory before.
    assert!(scene.server.stop());
    for (sql, id, _, other_id, _) in &hooks {
        assert!(edit(&scene.server.data, sql, &[id, other_id]) > 0, "{sql}");
    }
    scene.server.spawn();
    for (sql, id, hook, _, other_hook) in &hooks {
        if !sql.contains("routes") {
            let answer = scene.server.hook(hook, &json!({}));
            assert!(
                answer.status == 404 || answer.status >= 500,
                "{sql}: {} {}",
                answer.status,
                answer.body
            );
            let by_hand =
                scene.server.post(&format!("/workflows/{id}/runs"), &json!({ "wait": true }));
            assert!(by_hand.status >= 400, "{sql}: {} {}", by_hand.status, by_hand.body);
            assert_eq!(
                scene.server.hook(other_hook, &json!({})).status,
                200,
                "its neighbour, {sql}"
            );
        } else {
            assert_eq!(scene.server.hook(other_hook, &json!({})).status, 404, "{sql}");
        }
    }
    let carried = scene.carried(&secret);
    assert!(carried.iter().all(|request| request.path() == "/other"), "{carried:?}");
    assert_eq!(carried.len(), edits.len() - 1);
    scene.server.get("/workflows?limit=200").expect(200);

    let (id, hook) = scene.caller("KEY", &other);
    scene.server.post(&format!("/workflows/{id}/deactivate"), &json!({})).expect(200);
    edit(&scene.server.data, "UPDATE workflows SET active = 1 WHERE id = ?1", &[&id]);
    assert_eq!(scene.server.hook(&hook, &json!({})).status, 404, "switched on by SQL");
}
