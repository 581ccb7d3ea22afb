//! The outside contract, walked through as somebody reads it who has never seen the code.

mod audit;
mod definitions;
mod events;
mod hooks;
mod idempotency;
mod lists;
mod process;
mod runs;
mod tenants;
mod workflows;

use crate::server::Server;
use serde_json::{Value, json};

/// A workflow of one code step behind a hook that answers with its output.
fn code_workflow(source: &str) -> Value {
    json!({
        "name": "One step",
        "trigger": { "kind": "http", "respond": "result" },
        "steps": [{ "id": "one", "kind": "code", "source": source }],
    })
}

/// Runs a workflow by hand and waits for its end.
#[track_caller]
fn run(server: &Server, workflow: &str, payload: &Value) -> Value {
    let body = json!({ "payload": payload, "wait": true });
    server.post(&format!("/workflows/{workflow}/runs"), &body).expect(200)
}

/// Fails unless an object has exactly these members.
#[track_caller]
fn has_members(object: &Value, expected: &[&str]) {
    let object = object.as_object().expect("an object");
    let missing: Vec<_> = expected.iter().filter(|name| !object.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {object:?}");
}

/// The items of a list.
#[track_caller]
fn items(server: &Server, path: &str) -> Vec<Value> {
    server.get(path).expect(200)["items"].as_array().expect("items").clone()
}

/// The ids of a list's items.
#[track_caller]
fn ids(server: &Server, path: &str) -> Vec<String> {
    items(server, path).iter().map(|item| text(&item["id"])).collect()
}

/// A text.
#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
