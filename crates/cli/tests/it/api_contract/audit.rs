//! The audit list: its items' members and each of its filters.

use super::{code_workflow, has_members, items, run, text};
use crate::server::{Server, on_both};
use keyward_testkit::echo::Echo;
use serde_json::{Value, json};

/// A list under a filter is what the whole list has of it.
#[track_caller]
fn check(server: &Server, filter: &str, matches: impl Fn(&Value) -> bool) {
    let all = items(server, "/audit?limit=200");
    let expected: Vec<_> = all.iter().filter(|event| matches(event)).cloned().collect();
    assert!(!expected.is_empty(), "{filter} should find something");
    assert!(expected.len() < all.len(), "{filter} should leave something out");
    assert_eq!(items(server, &format!("/audit?limit=200&{filter}")), expected, "{filter}");
}

#[test]
fn events_have_every_member_and_every_filter_finds_its_own() {
    on_both("contract-audit", |server| {
        let echo = Echo::start();
        let host = format!("http://{}", echo.address());
        let secret = server.evidence.canary("API_KEY");
        let body = json!({ "key": "API_KEY", "type": "api_key", "fields": { "value": secret }, "hosts": [host] });
        let credential = text(&server.post("/credentials", &body).expect(201)["id"]);
        let step = |url: &str| {
            json!({ "id": "call", "kind": "http", "credential": { "$credential": "API_KEY" },
                    "request": { "method": "GET", "url": url } })
        };
        let definition = |url: &str| json!({ "name": "Audit", "trigger": { "kind": "http", "respond": "result" }, "steps": [step(url)] });
        let (workflow, hook) = server.workflow(&definition(&host));
        server.hook(&hook, &json!({})).expect(200);
        let between = text(&items(&server, "/audit")[0]["at"]);
        let (other, _) = server.workflow(&definition("https://elsewhere.example/"));
        let refused = run(&server, &other, &json!({}));
        assert_eq!(
            refused["steps"][0]["error"]["code"], "credential_not_allowed_here",
            "{refused}"
        );
        server.workflow(&code_workflow("return 1;"));

        for event in items(&server, "/audit?limit=200") {
            has_members(
                &event,
                &[
                    "id", "at", "actor", "action", "outcome", "reason", "credential_id", "key",
                    "workflow_id", "run_id", "step_id", "destination", "stream", "number",
                    "credential_number",
                ],
            );
            has_members(&event["actor"], &["kind", "id", "name"]);
        }
        let used = &items(&server, "/audit?action=credential.used&outcome=allowed")[0];
        assert_eq!(used["destination"], host.as_str());
        assert_eq!((&used["step_id"], &used["key"]), (&json!("call"), &json!("API_KEY")));
        let member = text(&items(&server, "/members")[0]["id"]);
        check(&server, &format!("credential={credential}"), |e| {
            e["credential_id"] == credential.as_str()
        });
        check(&server, "key=API_KEY", |e| e["key"] == "API_KEY");
        check(&server, &format!("actor={member}"), |e| e["actor"]["id"] == member.as_str());
        check(&server, "action=workflow.created", |e| e["action"] == "workflow.created");
        check(&server, "outcome=refused", |e| e["outcome"] == "refused");
        check(&server, "outcome=allowed", |e| e["outcome"] == "allowed");
        check(&server, &format!("until={between}"), |e| text(&e["at"]) <= between);
        check(&server, &format!("workflow={workflow}"), |e| e["workflow_id"] == workflow.as_str());
        let run = text(&refused["id"]);
        check(&server, &format!("run={run}"), |e| e["run_id"] == run.as_str());
        check(&server, &format!("since={between}"), |e| text(&e["at"]) >= between);
        check(&server, &format!("key=API_KEY&outcome=allowed&actor={workflow}"), |e| {
            e["key"] == "API_KEY"
                && e["outcome"] == "allowed"
                && e["actor"]["id"] == workflow.as_str()
        });
        let none = items(&server, "/audit?action=token.revoked");
        assert!(none.is_empty(), "{none:?}");
    });
}
