//! Runs that are not stored: after their end no word of theirs is left, in freed pages neither.

use super::{bot_token, clean, facing, message};
use serde_json::{Value, json};

/// By header, by the other, and by the workflow.
const WAYS: [(&[(&str, &str)], bool); 3] =
    [(&[("X-Keyward-No-Store", "1")], false), (&[("X-PD-NoStore", "1")], false), (&[], true)];

#[test]
fn nothing_is_left_of_a_run_that_is_not_stored() {
    let (scene, vendors) = facing("external-no-store");
    let token = scene.canary("token");
    for (number, (headers, by_setting)) in WAYS.into_iter().enumerate() {
        for works in [true, false] {
            // What is no secret must not be found either.
            let word = scene.canary(&format!("word-{number}-{works}"));
            let source = "console.log('logged', trigger.body.word); console.log(trigger.body.token);\n\
                          return { word: trigger.body.word.repeat(500), token: trigger.body.token };";
            let code = json!({ "id": "code", "kind": "code", "source": source });
            let path = if works { "trigger.body.token" } else { "trigger.body.absent" };
            let quiet =
                json!({ "id": "quiet", "kind": "code", "source": "return { done: true };" });
            let steps = json!([code, message(&bot_token(path)), quiet]);
            let (workflow, hook) = scene.server.workflow(&json!({
                "name": "Unstored", "trigger": { "kind": "http", "method": "POST", "respond": "result" },
                "settings": { "no_store": by_setting }, "steps": steps,
            }));
            let body = json!({ "word": word, "token": token });
            let json = ("Content-Type", "application/json");
            let all = [&[json], headers].concat();
            let answer = scene.server.send("POST", &hook, &all, body.to_string().as_bytes());
            let run = scene.server.run_of(&answer);
            let id = run["id"].as_str().unwrap();
            let case = format!("{headers:?} {by_setting} {works}: {run}");
            assert_eq!(run["status"], if works { "succeeded" } else { "failed" }, "{case}");
            assert_eq!(run["stored"], false, "{case}");
            assert_eq!(run["trigger"], Value::Null, "{case}");
            for step in run["steps"].as_array().unwrap() {
                assert_eq!(
                    (&step["input"], &step["output"]),
                    (&Value::Null, &Value::Null),
                    "{case}"
                );
                assert!(step["logs"].as_array().is_none_or(Vec::is_empty), "{case}");
            }
            if !works {
                assert_eq!(run["steps"][1]["error"]["code"], "validation_failed", "{case}");
                let retry = scene.server.post(&format!("/runs/{id}/retry"), &Value::Null);
                assert_eq!(retry.status, 409, "{case}: {}", retry.body);
            }
            let events = scene.server.get(&format!("/runs/{id}/events"));
            assert_eq!(events.status, 200, "{case}");
            let used = scene.audit(&format!("action=credential.used&workflow={workflow}"));
            assert_eq!(used.is_empty(), !works, "what was used stays in the audit trail: {case}");
            let sent = vendors.take();
            assert_eq!(sent.len(), usize::from(works), "{case}");
        }
    }
    clean(&scene.server, "in the end");
}
