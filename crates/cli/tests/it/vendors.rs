//! A server under test finds vendors under their own names, and its requests are what they describe.

use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use keyward_testkit::vendors::{self, Vendors};
use serde_json::{Value, json};

/// A vendor's own description of its API.
fn description(vendor: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/tests/openapi");
    let text = std::fs::read_to_string(format!("{folder}/{vendor}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn requests_to_vendors_names_arrive_at_their_stand_in() {
    let vendors = Vendors::start(&["slack.com", "api.sendgrid.com"]);
    let answer = json!({ "ok": true, "team": "T", "user": "grace" });
    vendors.on("GET", "slack.com", "/api/auth.test", &[Reply::json(&answer)]);
    let accepted = [Reply::status(202).header("X-Message-Id", "m1")];
    vendors.on("POST", "api.sendgrid.com", "/v3/mail/send", &accepted);
    let scene = Scene::with(Server::start_facing("vendors", Backend::Sqlite, &vendors, &[]));
    let value = scene.canary("token");
    let key = json!({
        "key": "VENDOR", "type": "api_key", "fields": { "value": value },
        "hosts": ["https://slack.com", "https://api.sendgrid.com"],
    });
    scene.credential(&key);
    let mail = json!({
        "personalizations": [{ "to": [{ "email": "ada@example.com" }] }],
        "from": { "email": "grace@example.com" },
        "subject": "Hello",
        "content": [{ "type": "text/plain", "value": "Hello" }],
    });
    let step = |id: &str, request: Value| {
        let credential = json!({ "$credential": "VENDOR" });
        json!({ "id": id, "kind": "http", "credential": credential, "request": request })
    };
    let steps = [
        step("test", json!({ "url": "https://slack.com/api/auth.test" })),
        step(
            "mail",
            json!({ "method": "POST", "url": "https://api.sendgrid.com/v3/mail/send", "json": mail }),
        ),
    ];
    let run = scene.run(&json!(steps), &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["steps"][0]["output"]["body"]["user"], "grace", "{run}");

    let received = vendors.received();
    let hosts: Vec<_> = received.iter().map(|request| request.host()).collect();
    assert_eq!(hosts, ["slack.com", "api.sendgrid.com"]);
    for (request, vendor) in received.iter().zip(["slack", "sendgrid"]) {
        assert_eq!(request.header("authorization"), Some(format!("Bearer {value}").as_str()));
        assert_eq!(vendors::check(&description(vendor), request), [""; 0]);
    }
}

#[test]
fn an_issuer_that_nobody_named_is_not_trusted() {
    let vendors = Vendors::start(&["slack.com"]);
    let other = Vendors::start(&["slack.com"]);
    let ca_file = other.ca_file();
    let environment = [("KEYWARD_EGRESS_CA_FILE", ca_file.to_str().unwrap())];
    let server = Server::start_facing("vendors-issuer", Backend::Sqlite, &vendors, &environment);
    let scene = Scene::with(server);
    let request = json!({ "url": "https://slack.com/api/auth.test" });
    let step = json!({ "id": "s", "kind": "http", "request": request });
    let run = scene.run(&json!([step]), &json!({}));
    let error = &run["steps"][0]["error"];
    assert_eq!(error["code"], "connection_failed", "{run}");
    assert!(error["message"].as_str().unwrap().contains("issuer"), "{error}");
    assert!(vendors.received().is_empty());
}
