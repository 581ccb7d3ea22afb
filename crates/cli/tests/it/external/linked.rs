//! Credentials whose values lie in a secret store: read when they are used, by one for all, and kept no
//! longer than they say.

use super::relay::Relay;
use super::{clean, facing, failed, message};
use crate::scene::Scene;
use keyward_testkit::echo::Reply;
use keyward_testkit::openbao::{OpenBao, POLICY};
use keyward_testkit::postgres::Postgres;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

struct Linked {
    scene: Scene,
    vendors: Vendors,
    bao: OpenBao,
    relay: Relay,
    store: String,
    slack: String,
    workflow: String,
}

const AGE: u64 = 2;

fn link(max_age: u64) -> Value {
    json!({ "link": {
        "credential": "STORE", "inputs": { "mount": "secret", "path": "slack" },
        "output": "data.token", "max_age_seconds": max_age,
    } })
}

fn linked(test: &str, max_age: u64) -> Linked {
    let (scene, vendors) = facing(test);
    let bao = OpenBao::start();
    let relay = Relay::to_url(bao.url());
    let token = bao.token("", 3600);
    scene.server.evidence.watch("vault-token", &token);
    bao.put("secret/slack", &json!({ "token": scene.canary("first") }));
    let store = scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": relay.url("http"), "token": token },
    }));
    let slack = scene.credential(&json!({
        "key": "SLACK", "app": "slack", "scheme": "bot_token", "fields": { "bot_token": link(max_age) },
    }));
    let workflow = scene.manual(&json!([message(&json!({ "$credential": "SLACK" }))]));
    Linked { scene, vendors, bao, relay, store, slack, workflow }
}

impl Linked {
    #[track_caller]
    fn run(&self) -> Value {
        self.scene.run_again(&self.workflow, &json!({}))
    }

    fn reads(&self) -> usize {
        self.bao.count("secret/data/slack")
    }

    /// Runs once and expects that the canary of that name arrives.
    #[track_caller]
    fn sends(&self, name: &str, case: &str) {
        let run = self.run();
        assert_eq!(run["status"], "succeeded", "{case}: {run}");
        let posted = self.vendors.take();
        let expected = format!("Bearer {}", self.scene.canary(name));
        assert_eq!(posted[0].header("authorization"), Some(&*expected), "{case}");
        assert_eq!(run["steps"][0]["credentials"][0]["key"], "SLACK", "{case}: {run}");
    }

    #[track_caller]
    fn unavailable(&self, words: &str, case: &str) {
        let run = self.run();
        failed(&run, (0, "store_unavailable", "\"SLACK\""), case);
        failed(&run, (0, "store_unavailable", words), case);
        assert!(self.vendors.take().is_empty(), "{case}");
    }
}

#[test]
fn a_linked_value_is_read_once_for_all_and_again_when_it_is_old() {
    let mut linked = linked("external-linked", AGE);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(linked.run()["status"], "succeeded"));
        }
    });
    assert_eq!((linked.vendors.take().len(), linked.reads()), (8, 1), "one read for all");
    thread::sleep(Duration::from_millis(AGE * 1000 + 100));
    linked.sends("first", "after its age");
    assert_eq!(linked.reads(), 2);
    let second = linked.scene.canary("second");
    linked.bao.put("secret/slack", &json!({ "token": second }));
    linked.sends("first", "while it is kept");
    linked.relay.close();
    linked.sends("first", "while it is kept and its store is down");
    thread::sleep(Duration::from_millis(AGE * 1000 + 100));
    linked.unavailable("could not be read", "past its age");
    linked.relay.open();
    linked.sends("second", "changed");
    thread::sleep(Duration::from_millis(AGE * 1000 + 100));
    linked.bao.seal();
    linked.unavailable("503", "sealed");
    linked.bao.unseal();
    linked.sends("second", "opened again");
    clean(&linked.scene.server, "in the end");
}

#[test]
fn a_linked_field_is_shown_and_tested_without_its_value() {
    let linked = linked("external-linked-view", 60);
    let (scene, id) = (&linked.scene, &linked.slack);
    let view = scene.server.get(&format!("/credentials/{id}")).expect(200);
    let field = &view["fields"]["bot_token"];
    assert_eq!(field["link"], link(60)["link"], "{view}");
    let tested = json!({ "ok": true, "team": "T", "user": "grace" });
    linked.vendors.on("POST", super::SLACK, "/api/auth.test", &[Reply::json(&tested)]);
    let test = || scene.server.post(&format!("/credentials/{id}/test"), &Value::Null).expect(200);
    let outcome = test();
    assert_eq!(outcome["ok"], true, "{outcome}");
    let expected = format!("Bearer {}", scene.canary("first"));
    assert_eq!(linked.vendors.take()[0].header("authorization"), Some(&*expected));
    // What is missing in the store is told by the test.
    let gone = json!({ "link": {
        "credential": "STORE", "inputs": { "mount": "secret", "path": "absent" }, "output": "data.token",
    } });
    scene.patch(id, &json!({ "fields": { "bot_token": gone } })).expect(200);
    let outcome = test();
    assert_eq!(outcome["ok"], false, "{outcome}");
    assert!(outcome["detail"].as_str().unwrap().contains("secret store"), "{outcome}");
    assert!(linked.vendors.take().is_empty());
    clean(&scene.server, "in the end");
}

#[test]
fn a_link_needs_a_credential_that_may_read() {
    let linked = linked("external-linked-reader", 1);
    let (scene, store) = (&linked.scene, &linked.store);
    linked.sends("first", "as it should be");
    let old = || thread::sleep(Duration::from_millis(1100));
    scene.server.post(&format!("/credentials/{store}/suspend"), &Value::Null).expect(200);
    old();
    linked.unavailable("\"STORE\"", "suspended");
    scene.server.post(&format!("/credentials/{store}/resume"), &Value::Null).expect(200);
    linked.sends("first", "resumed");
    old();
    scene
        .server
        .api("DELETE", &format!("/credentials/{store}?confirm=true"), &Value::Null)
        .expect(204);
    linked.unavailable("\"STORE\"", "deleted");
    // One of somebody's own is not for all.
    let own = scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token", "scope": { "kind": "personal" },
        "fields": { "address": linked.relay.url("http"), "token": scene.canary("own") },
    }));
    linked.unavailable("\"STORE\"", "somebody's own");
    scene
        .server
        .api("DELETE", &format!("/credentials/{own}?confirm=true"), &Value::Null)
        .expect(204);
    scene.server.post(&format!("/credentials/{store}/restore"), &Value::Null).expect(200);
    linked.sends("first", "restored");
    let cases: Vec<(&str, Value)> = vec![
        ("no such credential", json!({ "credential": "NOBODY", "inputs": {}, "output": "data.x" })),
        ("one without an app", json!({ "credential": "PLAIN", "inputs": {}, "output": "data.x" })),
        ("a linked one", json!({ "credential": "SLACK", "inputs": {}, "output": "data.x" })),
        (
            "no inputs",
            json!({ "credential": "STORE", "inputs": { "mount": "secret" }, "output": "data.x" }),
        ),
        (
            "no action",
            json!({ "credential": "STORE", "action": "nobody", "inputs": {}, "output": "data.x" }),
        ),
    ];
    scene.api_key("PLAIN", &scene.canary("plain"));
    for (case, link) in cases {
        let body = json!({ "key": "OTHER", "app": "slack", "scheme": "bot_token",
                           "fields": { "bot_token": { "link": link } } });
        let answer = scene.server.post("/credentials", &body);
        let problem = answer.json();
        assert_eq!(answer.status, 422, "{case}: {problem}");
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(pointer.starts_with("/fields/bot_token/link"), "{case}: {problem}");
    }
    clean(&scene.server, "in the end");
}

/// Lets OpenBao lend out users of the tests' PostgreSQL, each for `seconds`.
fn lending(bao: &OpenBao, seconds: u32) -> String {
    let url = Postgres::shared().fresh_database();
    bao.root("POST", "sys/mounts/database", &json!({ "type": "database" }));
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "app", "connection_url": url,
    });
    bao.root("POST", "database/config/tests", &config);
    let create =
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";
    let role = json!({
        "db_name": "tests", "creation_statements": [create],
        "default_ttl": format!("{seconds}s"), "max_ttl": "1h",
    });
    bao.root("POST", "database/roles/app", &role);
    let policy = "path \"database/creds/app\" { capabilities = [\"read\"] }\n\
                  path \"sys/leases/renew\" { capabilities = [\"update\"] }";
    bao.root("POST", "sys/policies/acl/lent", &json!({ "policy": policy }));
    let wanted = json!({ "policies": [POLICY, "lent"], "ttl": "1h", "no_parent": true });
    let made = bao.root("POST", "auth/token/create", &wanted);
    made["auth"]["client_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_lease_is_renewed_while_its_value_is_used() {
    let (scene, vendors) = facing("external-linked-lease");
    let bao = OpenBao::start();
    let token = lending(&bao, 8);
    scene.server.evidence.watch("vault-token", &token);
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": bao.url(), "token": token },
    }));
    let lent = json!({ "link": {
        "credential": "STORE", "action": "read", "inputs": { "path": "database/creds/app" },
        "output": "data.password", "max_age_seconds": 1,
    } });
    scene.credential(&json!({
        "key": "SLACK", "app": "slack", "scheme": "bot_token", "fields": { "bot_token": lent },
    }));
    let workflow = scene.manual(&json!([message(&json!({ "$credential": "SLACK" }))]));
    for turn in 0..9 {
        let run = scene.run_again(&workflow, &json!({}));
        assert_eq!(run["status"], "succeeded", "{turn}: {run}");
        thread::sleep(Duration::from_millis(1100));
    }
    let posted = vendors.take();
    let sent = |at: usize| posted[at].header("authorization").unwrap().to_owned();
    scene.server.evidence.watch("lent", sent(0).trim_start_matches("Bearer "));
    assert_eq!(bao.count("database/creds/app"), 1, "{:?}", bao.requests());
    assert!(posted.iter().all(|request| request.header("authorization") == Some(&*sent(0))));
    assert!(bao.count("sys/leases/renew") > 5, "{:?}", bao.requests());
    clean(&scene.server, "in the end");
}
