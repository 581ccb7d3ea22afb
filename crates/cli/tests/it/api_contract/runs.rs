//! Runs: their members, their list, and what can be done to them.

use super::{code_workflow, has_members, ids, run, text};
use crate::server::{Server, on_both};
use keyward_testkit::echo::Echo;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Waits until a run is under way.
fn begun(server: &Server, id: &str) {
    let start = Instant::now();
    while server.get(&format!("/runs/{id}")).expect(200)["status"] != "running" {
        assert!(start.elapsed() < Duration::from_secs(20), "the run does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_is_shown_with_every_member() {
    on_both("contract-run", |server| {
        let echo = Echo::start();
        let host = format!("http://{}", echo.address());
        let secret = server.evidence.canary("API_KEY");
        let credential = server.post(
            "/credentials",
            &json!({ "key": "API_KEY", "type": "api_key", "fields": { "value": secret }, "hosts": [host] }),
        );
        let credential = text(&credential.expect(201)["id"]);
        let (workflow, _) = server.workflow(&json!({
            "name": "Members", "trigger": { "kind": "manual" },
            "steps": [
                { "id": "look", "kind": "code", "source": "console.log('n is', trigger.body.n); return trigger.body.n;" },
                { "id": "call", "kind": "http", "credential": { "$credential": "API_KEY" },
                  "request": { "method": "GET", "url": host } },
                { "id": "never", "kind": "code", "source": "return 1;", "when": "{{ false }}" },
            ],
        }));
        let run = run(&server, &workflow, &json!({ "n": 7 }));
        has_members(
            &run,
            &[
                "id", "workflow_id", "workflow_version", "status", "trigger", "steps", "error",
                "created_at", "finished_at", "stored",
            ],
        );
        assert_eq!(run["workflow_id"], workflow.as_str());
        assert_eq!(run["workflow_version"], 1);
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["trigger"]["body"], json!({ "n": 7 }));
        assert_eq!((&run["error"], &run["stored"]), (&Value::Null, &json!(true)));
        let steps = run["steps"].as_array().unwrap();
        let found: Vec<_> =
            steps.iter().map(|s| (text(&s["id"]), text(&s["kind"]), text(&s["status"]))).collect();
        let step = |id: &str, kind: &str, status: &str| {
            (id.to_owned(), kind.to_owned(), status.to_owned())
        };
        assert_eq!(
            found,
            [
                step("look", "code", "succeeded"),
                step("call", "http", "succeeded"),
                step("never", "code", "skipped"),
            ]
        );
        for step in steps {
            has_members(
                step,
                &[
                    "id", "kind", "status", "attempt", "started_at", "finished_at", "input",
                    "output", "error", "logs", "credentials",
                ],
            );
            assert!(step["logs"].is_array() && step["credentials"].is_array(), "{step}");
        }
        let log = &steps[0]["logs"][0];
        has_members(log, &["at", "level", "message"]);
        assert_eq!(log["message"], "n is 7");
        has_members(&steps[1]["output"], &["status", "headers", "body"]);
        let used = &steps[1]["credentials"][0];
        has_members(used, &["key", "credential_id", "version", "destination", "access"]);
        assert_eq!(used["credential_id"], credential.as_str());
        assert_eq!((&used["version"], &used["access"]), (&json!(1), &json!("sealed")));
        let path = format!("/runs/{}", text(&run["id"]));
        assert_eq!(server.get(&path).expect(200), run);
        assert_eq!(ids(&server, &format!("/runs?credential={credential}")), [text(&run["id"])]);
    });
}

#[test]
fn runs_are_listed_by_workflow_and_status() {
    on_both("contract-runs-list", |server| {
        let (good, _) = server.workflow(&code_workflow("return 1;"));
        let (bad, _) = server.workflow(&code_workflow("throw new Error('no');"));
        let of = |workflow: &str| text(&run(&server, workflow, &json!({}))["id"]);
        let (first, failed, last) = (of(&good), of(&bad), of(&good));
        assert_eq!(ids(&server, "/runs"), [last.as_str(), &failed, &first], "newest first");
        assert_eq!(ids(&server, &format!("/runs?workflow={good}")), [last.as_str(), &first]);
        assert_eq!(ids(&server, "/runs?status=failed"), [failed.as_str()]);
        assert_eq!(ids(&server, &format!("/runs?status=succeeded&workflow={bad}")), [""; 0]);
        for status in ["queued", "running", "waiting", "cancelled"] {
            assert_eq!(ids(&server, &format!("/runs?status={status}")), [""; 0]);
        }
        server.get("/runs?status=skipped").expect_problem(422, "validation_failed");
        let path = format!("/runs/{failed}");
        let run = server.get(&path).expect(200);
        assert_eq!(run["error"]["code"], "script_error", "{run}");
        assert_eq!(server.api("DELETE", &path, &Value::Null).status, 204);
        server.get(&path).expect_problem(404, "not_found");
        assert_eq!(ids(&server, "/runs"), [last.as_str(), &first]);
    });
}

#[test]
fn a_run_under_way_can_be_cancelled_and_then_deleted() {
    on_both("contract-run-cancel", |server| {
        let (workflow, _) = server
            .workflow(&code_workflow("await new Promise((done) => setTimeout(done, 30_000));"));
        let started = server.post(&format!("/workflows/{workflow}/runs"), &json!({})).expect(202);
        let id = text(&started["run_id"]);
        begun(&server, &id);
        let path = format!("/runs/{id}");
        server.api("DELETE", &path, &Value::Null).expect_problem(409, "conflict");
        server.post(&format!("{path}/retry"), &Value::Null).expect_problem(409, "conflict");
        let start = Instant::now();
        let cancelled = server.post(&format!("{path}/cancel"), &Value::Null).expect(200);
        assert_eq!(cancelled["id"], id.as_str());
        let run = server.ended(&id);
        assert_eq!(run["status"], "cancelled", "{run}");
        assert!(start.elapsed() < Duration::from_secs(10), "at once");
        server.post(&format!("{path}/cancel"), &Value::Null).expect_problem(409, "conflict");
        assert_eq!(server.api("DELETE", &path, &Value::Null).status, 204);
        for action in ["run.started", "run.cancelled", "run.deleted"] {
            let events = super::items(&server, &format!("/audit?action={action}"));
            assert!(
                events.iter().any(|event| event["run_id"] == id.as_str()),
                "{action}: {events:?}"
            );
        }
    });
}

#[test]
fn a_failed_run_goes_on_from_its_step_in_a_new_one() {
    on_both("contract-run-retry", |server| {
        let echo = Echo::start();
        let (workflow, _) = server.workflow(&json!({
            "name": "Again", "trigger": { "kind": "manual" },
            "steps": [
                { "id": "count", "kind": "code", "source": "return Math.random();" },
                { "id": "call", "kind": "http",
                  "request": { "method": "POST", "url": format!("http://{}/x", echo.address()) } },
            ],
        }));
        let refuse = keyward_testkit::echo::Reply::status(500);
        echo.queue(refuse);
        let failed = run(&server, &workflow, &json!({ "n": 1 }));
        assert_eq!(failed["steps"][1]["error"]["code"], "http_status", "{failed}");
        let path = format!("/runs/{}", text(&failed["id"]));
        let retried = server.post(&format!("{path}/retry"), &Value::Null).expect(202);
        let again = server.ended(&text(&retried["run_id"]));
        assert_eq!(again["status"], "succeeded", "{again}");
        assert_eq!(again["retry_of"], failed["id"]);
        assert_eq!(again["trigger"], failed["trigger"]);
        let output = |run: &Value, id: &str| {
            let steps = run["steps"].as_array().unwrap();
            steps.iter().find(|step| step["id"] == id).expect("the step")["output"].clone()
        };
        assert_eq!(
            output(&again, "count"),
            output(&failed, "count"),
            "what succeeded is not done again"
        );
        let of_good = format!("/runs/{}/retry", text(&again["id"]));
        server.post(&of_good, &Value::Null).expect_problem(409, "conflict");
    });
}

#[test]
fn a_nul_character_passes_through_a_run_on_both_databases() {
    on_both("contract-run-nul", |server| {
        let mut definition =
            code_workflow("console.log('a\\0b'); return { 'k\\0': trigger.body + '\\0' };");
        definition["description"] = json!("c\0d");
        let (workflow, _) = server.workflow(&definition);
        let shown = server.get(&format!("/workflows/{workflow}")).expect(200);
        assert_eq!(shown["definition"], definition);
        let run = run(&server, &workflow, &json!("x\0"));
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["steps"][0]["output"], json!({ "k\0": "x\0\0" }));
        assert_eq!(run["steps"][0]["logs"][0]["message"], "a\0b");
    });
}
