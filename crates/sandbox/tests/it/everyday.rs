//! What ordinary authors write.

use crate::helper::{Step, echo, handle, sandbox, step};
use keyward_sandbox::{FetchResponse, Language, ScriptError};
use serde_json::json;

#[tokio::test]
async fn gives_the_returned_value_as_json() {
    let sandbox = sandbox().await;
    let cases = [
        ("return 1 + 1", json!(2)),
        ("return { a: [1, 'x', null], b: undefined }", json!({"a": [1, "x", null]})),
        ("", json!(null)),
        ("return undefined", json!(null)),
        ("return trigger.body.n + steps.before.output.length", json!(4)),
        ("return [run.id, run.attempt, typeof item]", json!(["run_1", 1, "undefined"])),
        ("const trigger = 5; return trigger", json!(5)),
        ("return await new Promise((done) => setTimeout(() => done('late'), 5))", json!("late")),
        ("return new Date(0)", json!("1970-01-01T00:00:00.000Z")),
        ("return '\\ud800'.length", json!(1)),
        ("return 1 // no newline after this", json!(1)),
        (
            "return Object.groupBy([1, 2, 3], (n) => n % 2 ? 'odd' : 'even')",
            json!({"odd": [1, 3], "even": [2]}),
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(step(source).run(&sandbox).await.output(), expected, "{source}");
    }
}

#[tokio::test]
async fn fetches_and_uses_credentials() {
    let sandbox = sandbox().await;
    let step = Step {
        credentials: vec![handle("SLACK", &[("bot_token", "kws1_sealed")])],
        ..step(
            r#"const r = await fetch("https://slack.com/api/auth.test", { method: "post", headers: { authorization: `Bearer ${credential("SLACK")}` }, body: JSON.stringify({ a: 1 }) });
               const echoed = await r.json();
               return { ok: r.ok, status: r.status, echoed, type: r.headers.get("Content-Type") };"#,
        )
    };
    let ran = step.run(&sandbox).await;
    assert_eq!(
        ran.output(),
        json!({"ok": true, "status": 200, "type": "application/json", "echoed": {
            "method": "POST", "url": "https://slack.com/api/auth.test", "body": "{\"a\":1}", "credential": null,
            "headers": {"authorization": "Bearer kws1_sealed", "content-type": "text/plain;charset=UTF-8"}}})
    );
}
