//! Definitions that break a rule: every fault with its place.

use super::{code_workflow, ids};
use crate::server::{Backend, Server};
use serde_json::{Value, json};

/// A definition with one step.
fn one(step: &Value) -> Value {
    let mut definition = code_workflow("return 1;");
    definition["steps"] = json!([step]);
    definition
}

fn code(members: &Value) -> Value {
    let mut step = json!({ "id": "one", "kind": "code", "source": "return 1;" });
    step.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    step
}

fn http(request: &Value) -> Value {
    json!({ "id": "one", "kind": "http", "request": request })
}

fn external(value: &str) -> Value {
    json!({
        "id": "one", "kind": "http", "request": { "method": "GET", "url": "https://example.com/" },
        "credential": { "$external": { "scheme": "api_key", "fields": { "value": value } } },
    })
}

#[test]
fn every_fault_of_a_definition_has_its_place() {
    let server = Server::start("contract-definitions", Backend::Sqlite);
    let canary = server.evidence.canary("planted");
    let get = |url: &str| http(&json!({ "method": "GET", "url": url }));
    let with = |name: &str, value: Value| {
        let mut definition = code_workflow("return 1;");
        definition[name] = value;
        definition
    };
    let mut twice = one(&code(&json!({})));
    twice["steps"] = json!([code(&json!({})), code(&json!({}))]);
    let mut later = one(&get("https://example.com/{{ steps.two.output }}"));
    later["steps"].as_array_mut().unwrap().push(code(&json!({ "id": "two" })));
    let many: Vec<_> = (0..201).map(|n| code(&json!({ "id": format!("s{n}") }))).collect();
    let in_data = json!({ "method": "POST", "url": "https://example.com/",
                          "json": { "deep": [{ "$credential": "API_KEY" }] } });
    let cases = [
        ("an unknown member", with("surplus", json!(canary)), "/surplus"),
        (
            "an unknown member of a step",
            one(&code(&json!({ "surplus": canary }))),
            "/steps/0/surplus",
        ),
        ("no name", with("name", json!("")), "/name"),
        ("too many steps", with("steps", json!(many)), "/steps"),
        ("a step id twice", twice, "/steps/1/id"),
        ("an ill-formed step id", one(&code(&json!({ "id": "not an id" }))), "/steps/0/id"),
        ("an unknown kind", one(&json!({ "id": "one", "kind": canary })), "/steps/0/kind"),
        ("an unknown trigger", with("trigger", json!({ "kind": canary })), "/trigger/kind"),
        ("a later step", later, "/steps/0/request/url"),
        (
            "an unknown step",
            one(&get("https://x.example/{{ steps.none.output }}")),
            "/steps/0/request/url",
        ),
        ("a template that is none", one(&get("https://x.example/{{ ")), "/steps/0/request/url"),
        (
            "a credential in a template",
            one(&get("https://x.example/{{ credential('API_KEY') }}")),
            "/steps/0/request/url",
        ),
        ("a reference in data", one(&http(&in_data)), "/steps/0/request/json/deep/0"),
        (
            "a literal external value",
            one(&external(&canary)),
            "/steps/0/credential/$external/fields/value",
        ),
        (
            "an ill-formed key",
            one(&code(&json!({ "credentials": ["not a key"] }))),
            "/steps/0/credentials/0",
        ),
        ("no time", one(&code(&json!({ "timeout_seconds": 0 }))), "/steps/0/timeout_seconds"),
        ("an unknown word", one(&code(&json!({ "on_error": canary }))), "/steps/0/on_error"),
        (
            "no attempts",
            one(&code(&json!({ "retry": { "attempts": 0 } }))),
            "/steps/0/retry/attempts",
        ),
        ("an unknown setting", with("settings", json!({ "surplus": 1 })), "/settings/surplus"),
        (
            "two bodies",
            one(&http(
                &json!({ "method": "POST", "url": "https://x.example/", "json": 1, "text": "x" }),
            )),
            "/steps/0/request",
        ),
        (
            "an unknown method",
            one(&http(&json!({ "method": "BREW", "url": "https://x.example/" }))),
            "/steps/0/request/method",
        ),
    ];
    for (what, definition, place) in &cases {
        let answer = server.post("/workflows", definition);
        let problem = answer.expect_problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        let found: Vec<_> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        assert!(
            found.iter().any(|pointer| pointer.starts_with(place)),
            "{what}: {place} in {problem}"
        );
        assert!(!answer.body.contains(&canary), "{what}: {}", answer.body);
    }
    assert!(ids(&server, "/workflows").is_empty());
}

#[test]
fn all_faults_are_listed_at_once_and_a_bad_version_changes_nothing() {
    let server = Server::start("contract-definition-faults", Backend::Sqlite);
    let (id, hook) = server.workflow(&code_workflow("return 1;"));
    let mut bad = code_workflow("return 2;");
    bad["surplus"] = json!(1);
    bad["steps"] = json!([
        code(&json!({ "id": "a b", "other": 1 })),
        http(&json!({ "method": "GET", "url": "https://x.example/{{ steps.none.output }}" })),
        external("literal"),
    ]);
    let path = format!("/workflows/{id}");
    let problem = server.api("PUT", &path, &bad).expect_problem(422, "validation_failed");
    let errors = problem["errors"].as_array().unwrap();
    for place in ["/surplus", "/steps/0/id", "/steps/0/other", "/steps/1/request/url", "/steps/2/"]
    {
        let is_here = |error: &Value| error["pointer"].as_str().unwrap().starts_with(place);
        assert!(errors.iter().any(is_here), "{place} in {problem}");
    }
    assert_eq!(server.get(&path).expect(200)["version"], 1);
    assert_eq!(server.hook(&hook, &json!({})).expect(200), 1);
}
