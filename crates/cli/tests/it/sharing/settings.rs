//! The workspace's settings: who sees and changes them, and what a strange row means.

use super::{Member, owner, reason};
use crate::scene::Scene;
use crate::server::on_both;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn settings_are_changed_one_by_one() {
    on_both("settings", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let before = server.get("/settings").expect(200);
        assert_eq!(before["retention_days"], 30);
        assert_eq!(
            (&before["expose"], &before["audit_retention_days"]),
            (&json!("on"), &Value::Null)
        );
        assert_eq!(before["intact"], true);
        let patch = |body: Value| server.api("PATCH", "/settings", &body);
        let after = patch(json!({ "retention_days": 7, "audit_retention_days": 400 })).expect(200);
        let mut expected = before;
        expected["retention_days"] = 7.into();
        expected["audit_retention_days"] = 400.into();
        assert_eq!(after, expected);
        assert_eq!(server.get("/settings").expect(200), expected);
        let changed = "action=workspace.settings_changed";
        assert_eq!(reason(&scene, changed), "retention_days audit_retention_days");
        patch(json!({})).expect(200);
        patch(json!({ "retention_days": 7 })).expect(200);
        assert_eq!(scene.audit(changed).len(), 1, "nothing was changed");
        patch(json!({ "audit_retention_days": null })).expect(200);
        let check = |body: Value, pointer: &str| {
            let problem = patch(body).expect_problem(422, "validation_failed");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        };
        check(json!({ "retention_days": 0 }), "/retention_days");
        check(json!({ "retention_days": 3651 }), "/retention_days");
        check(json!({ "grace_days": "7" }), "/grace_days");
        check(json!({ "sharing": null }), "/sharing");
        check(json!({ "intact": true }), "/intact");
        check(json!([]), "");
        let admin = Member::machine(server, "admin", "admin");
        admin.call(server, "PATCH", "/settings", &json!({ "grace_days": 1 })).expect(200);
        let editor = Member::machine(server, "bob", "editor");
        editor.get(server, "/settings").expect_problem(403, "forbidden");
        let body = json!({ "grace_days": 2 });
        editor.call(server, "PATCH", "/settings", &body).expect_problem(403, "forbidden");
        assert_eq!(scene.audit(&format!("{changed}&outcome=refused")).len(), 1);
    });
}

#[test]
fn a_row_by_foreign_hands_makes_them_the_strictest() {
    let scene = Scene::start("settings-tampered");
    let server = &scene.server;
    let edit = |sql: &str| {
        let connection = Connection::open(server.data.join("db/keyward.sqlite")).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(connection.execute(sql, []).expect(sql), 1, "{sql}");
    };
    let edits = [
        r#"UPDATE settings SET document = replace(document, '"sharing":false', '"sharing":true')"#,
        "UPDATE settings SET document = 'x'",
        "UPDATE settings SET tag = x''",
        "DELETE FROM settings",
    ];
    for sql in edits {
        server.api("PATCH", "/settings", &json!({ "sharing": false, "expose": "on" })).expect(200);
        assert_eq!(server.get("/settings").expect(200)["intact"], true);
        edit(sql);
        let seen = server.get("/settings").expect(200);
        assert_eq!(seen["intact"], false, "{sql}");
        assert_eq!((&seen["sharing"], &seen["expose"]), (&json!(false), &json!("off")), "{sql}");
        // Setting one of them repairs the row, and loosens no other.
        let repaired = server.api("PATCH", "/settings", &json!({ "grace_days": 3 })).expect(200);
        assert_eq!((&repaired["intact"], &repaired["expose"]), (&json!(true), &json!("off")));
        assert_eq!(server.get("/settings").expect(200), repaired);
    }
    let ann = owner(server);
    assert_eq!(ann.get(server, "/credentials").status, 200);
}
