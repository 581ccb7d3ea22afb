//! Databases that do not answer as they should: typed errors without values, and retries that work.

use super::relay::Relay;
use super::{bot_token, clean, facing_with, failed, fetch, message, retried};
use crate::scene::Scene;
use keyward_testkit::authority::Authority;
use keyward_testkit::mariadb::{self, MariaDb};
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::cell::RefCell;

struct Fed<'a> {
    scene: &'a Scene,
    vendors: &'a Vendors,
    app: &'a str,
}

impl Fed<'_> {
    #[track_caller]
    fn check(
        &self,
        case: &str,
        inputs: &Value,
        expected: (usize, &str, &str),
        spoil: impl FnOnce(),
        mend: impl FnOnce(),
    ) -> Value {
        let case = format!("{}: {case}", self.app);
        let mut step = fetch(self.app, "query", inputs);
        step["timeout_seconds"] = json!(1);
        let post = message(&bot_token("steps.fetch.output.rows[0].token"));
        let workflow = self.scene.manual(&json!([step, post]));
        spoil();
        let run = self.scene.run_again(&workflow, &json!({}));
        mend();
        failed(&run, expected, &case);
        assert!(self.vendors.take().is_empty(), "{case}: nothing is posted");
        run
    }

    /// The same, and a retry works.
    #[track_caller]
    fn mended(
        &self,
        case: &str,
        expected: (usize, &str, &str),
        spoil: impl FnOnce(),
        mend: impl FnOnce(),
    ) {
        let right = json!({ "sql": "select 'abcdefgh12345678' as token" });
        let run = self.check(case, &right, expected, spoil, mend);
        let again = retried(self.scene, &run);
        assert_eq!(again["status"], "succeeded", "{}: {case}, retried: {again}", self.app);
        assert_eq!(self.vendors.take().len(), 1, "{}: {case}, retried", self.app);
    }
}

fn set(scene: &Scene, id: &str, fields: &Value) {
    scene
        .server
        .api("PUT", &format!("/credentials/{id}/value"), &json!({ "fields": fields }))
        .expect(200);
}

fn but(fields: &Value, name: &str, value: &str) -> Value {
    let mut fields = fields.clone();
    fields[name] = json!(value);
    fields
}

/// A server's faults, as both kinds of it tell them.
fn of_server(fed: &Fed<'_>, fields: &Value, relay: &mut Relay, slow: &str) {
    let scene = fed.scene;
    let id = scene.credential(&json!({ "key": "STORE", "app": fed.app, "fields": fields }));
    let nothing = || ();
    let sql = |sql: &str| json!({ "sql": sql });
    let refused =
        |case, text: &str, expected| fed.check(case, &sql(text), expected, nothing, nothing);
    let invalid = |words| (0, "validation_failed", words);
    refused("slow", slow, (0, "timeout", ""));
    refused("no SQL", "selekt 1", invalid("not valid SQL"));
    refused("no table", "select token from nobody", invalid("table"));
    refused("no column", "select token from (select 1 as a) x", invalid("column"));
    refused("a change", "create table made (a int)", invalid("only reads"));
    refused("another column", "select 'a' as name", (1, "validation_failed", "\"bot_token\""));
    refused(
        "no rows",
        "select 'a' as token where 1 = 0",
        (1, "validation_failed", "\"bot_token\""),
    );
    refused("null", "select null as token", (1, "validation_failed", "\"bot_token\""));
    refused("a number", "select 5 as token", (1, "validation_failed", "not text"));
    let few = json!({ "sql": "select 'a' as token union all select 'b'", "max_rows": 1 });
    fed.check("too many rows", &few, (0, "output_too_large", "1 rows"), nothing, nothing);
    let mended = |case, name: &str, value: &str, words| {
        let spoil = || set(scene, &id, &but(fields, name, value));
        fed.mended(case, (0, "connection_failed", words), spoil, || set(scene, &id, fields));
    };
    mended("a wrong password", "password", &scene.canary("wrong"), "refused user and password");
    mended("no such database", "database", "nobody", "database");
    mended("an unknown issuer", "ca_pem", Authority::new("nobody").pem(), "trusted");
    let relay = RefCell::new(relay);
    fed.mended(
        "down",
        (0, "connection_failed", ""),
        || relay.borrow_mut().close(),
        || relay.borrow_mut().open(),
    );
    scene
        .server
        .api("DELETE", &format!("/credentials/{id}?confirm=true"), &Value::Null)
        .expect(204);
}

#[test]
fn faults_of_databases_are_told_and_a_retry_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (scene, vendors) = facing_with("external-database-faults", &[("KEYWARD_SQLITE_DIR", path)]);
    let fed = |app| Fed { scene: &scene, vendors: &vendors, app };
    let (fields, mut relay) = super::sources::postgres_fields(&scene);
    of_server(&fed("postgres"), &fields, &mut relay, "select pg_sleep(3)::text as token");
    let own = scene.canary("mariadb");
    let server = MariaDb::start(&own);
    let mut relay = Relay::to(server.port());
    let fields = json!({
        "host": "127.0.0.1", "port": relay.port().to_string(), "database": mariadb::DATABASE,
        "username": mariadb::USER, "password": own, "tls": "verify", "ca_pem": server.ca_pem(),
    });
    of_server(&fed("mysql"), &fields, &mut relay, "select sleep(3) as token");
    of_files(&fed("sqlite"), folder.path());
    clean(&scene.server, "in the end");
}

fn of_files(fed: &Fed<'_>, folder: &std::path::Path) {
    let scene = fed.scene;
    let file = folder.join("keys.sqlite");
    let id = scene.credential(&json!({
        "key": "STORE", "app": "sqlite", "fields": { "path": "keys.sqlite" },
    }));
    let make = || {
        let file = rusqlite::Connection::open(&file).unwrap();
        file.execute("create table keys (token)", []).unwrap();
    };
    fed.mended("no file", (0, "connection_failed", "no such file"), || (), make);
    let spoil = || std::fs::write(folder.join("text.sqlite"), "no database".repeat(200)).unwrap();
    let set = |path: &str| {
        scene.patch(&id, &json!({ "fields": { "path": path } })).expect(200);
    };
    let other = || set("text.sqlite");
    let back = || set("keys.sqlite");
    spoil();
    fed.mended("no database", (0, "connection_failed", "SQLite database"), other, back);
    let outside = || set("../keys.sqlite");
    fed.mended("outside", (0, "destination_blocked", "KEYWARD_SQLITE_DIR"), outside, back);
    let nothing = || ();
    let sql = |sql: &str| json!({ "sql": sql });
    fed.check(
        "a change",
        &sql("delete from keys"),
        (0, "validation_failed", "only reads"),
        nothing,
        nothing,
    );
    fed.check(
        "no rows",
        &sql("select token from keys"),
        (1, "validation_failed", "\"bot_token\""),
        nothing,
        nothing,
    );
}
