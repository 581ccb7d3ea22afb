//! The whole way: a hook, a TypeScript step, an HTTP step, one credential, and nobody who sees it.

use crate::server::on_both;
use keyward_testkit::echo::Echo;
use serde_json::json;

#[test]
fn a_hook_runs_code_and_http_with_a_credential_that_nobody_sees() {
    on_both("walkthrough", |server| {
        let echo = Echo::start();
        let secret = server.evidence.canary("API_KEY");
        let host = format!("http://{}", echo.address());
        let credential = json!({
            "key": "API_KEY", "type": "api_key", "fields": { "value": secret }, "hosts": [host],
        });
        let created = server.post("/credentials", &credential).expect(201);
        assert_eq!(created["fields"]["value"], json!({ "secret": true, "set": true }));
        let source = format!(
            "const key: string = credential('API_KEY');\n\
             console.log('the key is', key);\n\
             const answer = await fetch('{host}/code', {{ headers: {{ authorization: `Bearer ${{key}}` }} }});\n\
             const echo = await answer.json() as {{ headers: Record<string, string> }};\n\
             return {{ who: trigger.body.who, echo }};"
        );
        let (_, hook) = server.workflow(&json!({
            "name": "Walkthrough",
            "trigger": { "kind": "http", "method": "POST", "respond": "result" },
            "steps": [
                { "id": "build", "kind": "code", "language": "typescript", "source": source },
                { "id": "call", "kind": "http", "credential": { "$credential": "API_KEY" },
                  "request": { "method": "POST", "url": format!("{host}/http"),
                               "json": { "who": "{{ steps.build.output.who }}" } } },
            ],
        }));
        let answer = server.hook(&hook, &json!({ "who": "alice" }));
        let output = answer.expect(200);
        assert_eq!(output["status"], 200, "{output}");

        let received = echo.received();
        let bearer = format!("Bearer {secret}");
        assert_eq!(received.len(), 2);
        assert!(received.iter().all(|request| request.header("authorization") == Some(&bearer)));
        assert_eq!(received[1].text(), r#"{"who":"alice"}"#);
        assert!(received[1].header("idempotency-key").is_some());

        let run = server.run_of(&answer);
        assert_eq!(run["status"], "succeeded", "{run}");
        let steps = run["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 2);
        let used = &steps[0]["credentials"][0];
        assert_eq!(used["key"], "API_KEY");
        assert_eq!(used["destination"], host.as_str());
        assert_eq!(used["access"], "sealed");
        assert!(run.to_string().contains("[sealed:API_KEY]"), "{run}");
        let audit = server.get("/audit?action=credential.used").expect(200);
        assert_eq!(audit["items"].as_array().unwrap().len(), 2, "{audit}");
        for text in [run.to_string(), output.to_string(), audit.to_string()] {
            assert!(!text.contains(&secret));
            assert!(!text.contains("kws1_"), "a sealed value is shown by its key's name: {text}");
        }
        let (verified, _, errors) = server.run(&["audit", "verify"]);
        assert!(verified, "{errors}");
    });
}
