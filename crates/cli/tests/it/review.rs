//! The access review from outside: each row's own call mends it, and what is accepted is not asked
//! again.

use crate::scene::Scene;
use crate::server::KEYWARD;
use serde_json::{Value, json};
use std::process::Command;

const BASE: &str = "/api/v1/workspaces/default";

/// All rows of a kind, page by page.
#[track_caller]
fn rows(scene: &Scene, kind: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/review?kind={kind}&limit={limit}{cursor}");
        let page = scene.server.get(&path).expect(200);
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= limit);
        assert!(items.iter().all(|row| row["kind"] == kind), "{page}");
        rows.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", next.replace('/', "%2F")),
            None => return rows,
        }
    }
}

fn keys(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["key"].as_str().expect("a key")).collect()
}

/// Sends the call of a row, with what a person has to fill in.
#[track_caller]
fn mend(scene: &Scene, row: &Value) {
    let fix = &row["fix"];
    let mut body = fix["body"].clone();
    let fields = body.get_mut("fields").and_then(Value::as_object_mut);
    for (_, value) in fields.into_iter().flatten() {
        assert_eq!(*value, json!(""), "{row}");
        *value = json!(scene.canary(&format!("new-{}", row["key"].as_str().unwrap())));
    }
    if body.get("hosts") == Some(&json!([""])) {
        body["hosts"] = json!(["api.example.com"]);
    }
    let (method, path) = (fix["method"].as_str().unwrap(), fix["path"].as_str().unwrap());
    let answer = scene.server.call_as(&scene.server.token, method, path, &body);
    assert!((200..300).contains(&answer.status), "{row}: {}", answer.body);
}

/// One credential and workflow for each kind of finding.
fn furnish(scene: &Scene) {
    let value = |name: &str| json!({ "value": scene.canary(name) });
    let key = |name: &str, more: Value| {
        let mut body = json!({ "key": name, "type": "api_key", "fields": value(name) });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.credential(&body)
    };
    let bound = json!([scene.host()]);
    key("ANYWHERE", json!({}));
    key("ANYWHERE_USED", json!({}));
    key("OPEN", json!({ "hosts": bound, "code_access": "readable" }));
    key("WIDE", json!({ "hosts": [scene.host(), "https://other.example"] }));
    let soon = "2000-01-01T00:00:00Z";
    key("OLD", json!({ "hosts": bound, "expires_at": soon }));
    let own = key("GIVEN", json!({ "hosts": bound, "scope": { "kind": "personal" } }));
    scene.server.api("PUT", &format!("/credentials/{own}/shares/all"), &json!({ "level": "use" }));
    key("IDLE", json!({ "hosts": bound }));
    let source = |name: &str| {
        format!("await fetch('HOST/', {{ headers: {{ a: credential('{name}') }} }}); return 1")
    };
    for name in ["ANYWHERE_USED", "WIDE", "IDLE"] {
        scene.output(&source(name));
    }
    let (_, sent) = scene.sent(&source("OPEN"));
    assert!(sent.is_some(), "it was used");
}

/// Makes it as if everything had been used long ago: what was seen in use carries no tag.
fn age(scene: &Scene, key: &str) {
    let file = rusqlite::Connection::open(scene.server.data.join("db/keyward.sqlite")).unwrap();
    let older = 100 * 86_400_000_i64;
    for table in ["credential_activity", "credential_uses"] {
        let sql = format!(
            "UPDATE {table} SET last_used_at = last_used_at - ?1
            WHERE credential_id = (SELECT id FROM credentials WHERE key = ?2)"
        );
        assert!(file.execute(&sql, (older, key)).unwrap() > 0, "{table}");
    }
    let sql = "UPDATE credential_finding SET last_used_at = last_used_at - ?1 WHERE key = ?2";
    assert_eq!(file.execute(sql, (older, key)).unwrap(), 1);
}

#[test]
fn every_fix_mends_its_row() {
    let scene = Scene::start("review-fixes");
    furnish(&scene);
    age(&scene, "IDLE");
    let found = |kind: &str| {
        let rows = rows(&scene, kind, 200);
        keys(&rows).join(" ")
    };
    assert_eq!(found("unbound"), "ANYWHERE ANYWHERE_USED");
    assert_eq!(found("readable"), "OPEN");
    assert_eq!(found("broader_than_used"), "WIDE");
    assert_eq!(found("rotation_due"), "OLD");
    assert_eq!(found("over_shared"), "GIVEN");
    assert_eq!(found("unused"), "IDLE");
    assert_eq!(found("no_allowlist"), "ANYWHERE_USED IDLE OPEN WIDE");
    let kinds = [
        "over_shared", "broader_than_used", "no_allowlist", "unbound", "readable", "rotation_due",
        "unused",
    ];
    for kind in kinds {
        let before = rows(&scene, kind, 200);
        assert!(!before.is_empty(), "{kind}");
        before.iter().for_each(|row| mend(&scene, row));
        let left = rows(&scene, kind, 200);
        assert!(left.is_empty(), "{kind}: {left:?}");
    }
    let after = scene.server.get("/review").expect(200);
    assert_eq!(after["items"], json!([]), "{after}");
    // The workflows still run with what was mended.
    let narrowed = scene.server.get("/credentials?q=wide").expect(200);
    assert_eq!(narrowed["items"][0]["hosts"], json!([scene.host()]));
}

#[test]
fn what_an_owner_leaves_behind_is_given_away() {
    let scene = Scene::start("review-left");
    let new = json!({ "kind": "service", "name": "Robot", "role": "editor" });
    let member = scene.server.post("/members", &new).expect(201)["id"].clone();
    let body = json!({ "name": "its", "member": member }).to_string();
    let owner = format!("Bearer {}", scene.server.token);
    let headers = [("Authorization", owner.as_str()), ("Content-Type", "application/json")];
    let made =
        scene.server.send_unkept("POST", &format!("{BASE}/tokens"), &headers, body.as_bytes());
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    scene.server.evidence.watch("token", &token);
    let key = json!({
        "key": "LEFT", "type": "api_key", "fields": { "value": scene.canary("LEFT") },
        "scope": { "kind": "personal" },
    });
    scene.server.call_as(&token, "POST", &format!("{BASE}/credentials"), &key).expect(201);
    assert!(rows(&scene, "owner_left", 50).is_empty());
    let refused = scene.server.call_as(&token, "GET", &format!("{BASE}/review"), &Value::Null);
    refused.expect_problem(403, "forbidden");
    let member = member.as_str().unwrap();
    scene.server.api("DELETE", &format!("/members/{member}"), &Value::Null).expect(204);
    let left = rows(&scene, "owner_left", 50);
    assert_eq!(keys(&left), ["LEFT"]);
    // Of another member's own nothing else is told, though it is bound to no host.
    assert!(rows(&scene, "unbound", 50).is_empty());
    mend(&scene, &left[0]);
    assert!(rows(&scene, "owner_left", 50).is_empty());
    assert_eq!(keys(&rows(&scene, "unbound", 50)), ["LEFT"]);
}

#[test]
fn a_finding_can_be_accepted() {
    let scene = Scene::start("review-keep");
    let id = scene.readable("K", &scene.canary("K"));
    let keep = |body: Value| scene.server.post("/review/keep", &body);
    let kept = keep(json!({ "credential_id": id, "kind": "readable" })).expect(200);
    assert_eq!((&kept["credential_id"], &kept["kind"]), (&json!(id), &json!("readable")));
    assert!(rows(&scene, "readable", 50).is_empty());
    assert_eq!(keys(&rows(&scene, "unbound", 50)), ["K"]);
    let events = scene.audit("action=credential.updated");
    assert_eq!(events[0]["reason"], "kept readable");
    keep(json!({ "credential_id": id, "kind": "x" })).expect_problem(422, "validation_failed");
    keep(json!({ "credential_id": "cred_x", "kind": "unused" })).expect_problem(404, "not_found");
    scene.server.get("/review?kind=x").expect_problem(422, "validation_failed");
    scene.server.get("/review?cursor=x").expect_problem(422, "validation_failed");
    scene.server.get("/review?format=xml").expect_problem(422, "validation_failed");
}

#[test]
fn the_report_is_a_file_as_well() {
    let scene = Scene::start("review-csv");
    for number in 0..3 {
        scene.readable(&format!("K{number}"), &scene.canary(&format!("K{number}")));
    }
    let whole = scene.server.get("/review?limit=200").expect(200);
    let count = whole["items"].as_array().unwrap().len();
    assert_eq!(count, 6);
    for kind in ["readable", "unbound"] {
        assert_eq!(keys(&rows(&scene, kind, 1)), ["K0", "K1", "K2"]);
    }
    let csv = scene.server.get("/review?format=csv");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<_> = csv.body.lines().collect();
    assert_eq!(lines.len(), 1 + count);
    assert!(lines[0].starts_with("key,kind,detail,"), "{}", lines[0]);
    assert!(lines[1].starts_with("K0,unbound,"), "{}", lines[1]);
    let exports = scene.audit("action=export.made");
    assert_eq!((exports.len(), &exports[0]["reason"]), (1, &json!("review")));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(KEYWARD);
        command.args(arguments).env_clear().env("KEYWARD_URL", &scene.server.url);
        command.env("KEYWARD_TOKEN", &scene.server.token).env("KEYWARD_WORKSPACE", "default");
        command.env("HOME", scene.server.private());
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        scene.server.evidence.keep("commands.out", &output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let printed = run(&["review", "--kind", "readable", "--format", "csv"]);
    assert_eq!(printed.lines().count(), 4, "{printed}");
    let table = run(&["review"]);
    assert_eq!(table.lines().count(), 7, "{table}");
    let parsed: Value = serde_json::from_str(&run(&["review", "--format", "json"])).unwrap();
    assert_eq!(parsed["items"].as_array().unwrap().len(), 6);
}
