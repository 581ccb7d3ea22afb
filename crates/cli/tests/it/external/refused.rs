//! Workflows whose external credentials cannot work are refused when they are saved.

use super::{bot_token, external, facing, message};
use serde_json::{Value, json};

#[test]
fn faults_are_told_with_their_places_when_a_workflow_is_saved() {
    let (scene, _vendors) = facing("external-refused");
    let fields = "/steps/0/credential/$external/fields";
    let slack = |credential: Value| message(&credential);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut step = message(&bot_token("trigger.body.token"));
        change(&mut step);
        step
    };
    let written = |text: &str| {
        slack(json!({ "$external": { "scheme": "bot_token", "fields": { "bot_token": text } } }))
    };
    let http = |url: &str| {
        let credential = external("api_key", "value", "trigger.body.token");
        json!({ "id": "s", "kind": "http", "credential": credential, "request": { "url": url } })
    };
    let bot = format!("{fields}/bot_token");
    let scheme = "/steps/0/credential/$external/scheme";
    let cases: Vec<(&str, Value, &str)> = vec![
        ("a literal", written("xoxb-1"), &bot),
        ("half a literal", written("Bearer {{ trigger.body.token }}"), &bot),
        ("a computed path", written("{{ trigger.body[trigger.body.name] }}"), &bot),
        ("an expression", written("{{ trigger.body.token | upper }}"), &bot),
        ("a later step", written("{{ steps.after.output.token }}"), &bot),
        ("its own step", written("{{ steps.post.output.token }}"), &bot),
        ("no step", written("{{ steps.nobody.output.token }}"), &bot),
        ("an item", written("{{ item.token }}"), &bot),
        ("an unknown root", written("{{ secrets.token }}"), &bot),
        (
            "no scheme of that name",
            slack(external("nobody", "bot_token", "trigger.body.t")),
            scheme,
        ),
        (
            "no field of that name",
            with(&|step| {
                step["credential"]["$external"]["fields"]["nobody"] = json!("{{ trigger.body.x }}");
            }),
            "/steps/0/credential/$external/fields/nobody",
        ),
        (
            "no field",
            slack(json!({ "$external": { "scheme": "bot_token", "fields": {} } })),
            fields,
        ),
        (
            "a missing field",
            with(&|step| {
                *step = super::mail(&external("password", "password", "trigger.body.password"));
                step["app"] = json!("smtp");
            }),
            "/steps/0/credential/$external/fields/host",
        ),
        ("no such app", with(&|step| step["app"] = json!("nobody")), "/steps/0/app"),
        ("no such action", with(&|step| step["action"] = json!("nobody")), "/steps/0/action"),
        (
            "no credential",
            with(&|step| drop(step.as_object_mut().unwrap().remove("credential"))),
            "/steps/0/credential",
        ),
        ("a computed host", http("https://{{ trigger.body.host }}/"), "/steps/0/request/url"),
        ("a computed URL", http("{{ trigger.body.url }}"), "/steps/0/request/url"),
    ];
    for (name, step, pointer) in cases {
        let after = json!({ "id": "after", "kind": "code", "source": "return 1;" });
        let trigger = json!({ "kind": "http", "method": "POST", "respond": "result" });
        let body = json!({ "name": "Refused", "trigger": trigger, "steps": [step, after] });
        let answer = scene.server.post("/workflows", &body);
        assert_eq!(answer.status, 422, "{name}: {}", answer.body);
        let problem = answer.json();
        let faults = problem["errors"].as_array().unwrap_or_else(|| panic!("{name}: {problem}"));
        let found = faults.iter().any(|fault| fault["pointer"] == pointer);
        assert!(found, "{name}: no fault at {pointer}: {problem}");
        assert!(!answer.body.contains("xoxb-1"), "{name}: {}", answer.body);
    }
}
