//! What comes back to a step, and what changes under it: echoes in unusual forms, values computed
//! anew each time, credentials that are deleted or narrowed while the step runs.

use crate::scene::Scene;
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

/// A P-256 key of this test's own.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMKzpK40UZy4UNwco
J24IEwH2dz4FBH5N+DeZONViiLWhRANCAATkkeJDzR5tJ8FIIy3Dmzgn6fMHeGND
WrlUbs6ErPYbwdRWaita4yZo4p6jPzVlZEgYqZrRqnSBBvvokQ02cjZc
-----END PRIVATE KEY-----";

#[test]
fn every_signature_of_a_token_is_hidden_from_code() {
    let scene = Scene::start("echo-signatures");
    scene.credential(&json!({
        "key": "K", "type": "custom", "fields": { "pem": PEM }, "hosts": [scene.host()],
    }));
    // An ES256 signature is another one each time.
    let output = scene.output(
        "const token = credential.jwt('K', { iss: 'me' }, { algorithm: 'ES256' }); const seen = []; \
         for (let i = 0; i < 3; i++) { \
            const answer = await fetch('HOST/', { method: 'POST', body: token }); \
            seen.push((await answer.json()).body === token); } \
         return seen;",
    );
    let received = scene.echo.received();
    let tokens: Vec<String> = received.iter().map(|request| request.text()).collect();
    assert!(tokens.iter().all(|token| token.split('.').count() == 3), "{tokens:?}");
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(output, json!([true, true, true]));
}

#[test]
fn an_answer_that_cannot_be_searched_does_not_reach_code() {
    let scene = Scene::start("echo-encodings");
    scene.api_key("K", &scene.canary("K"));
    let check = |coding: &str, credential: &str, expected: &str| {
        scene.next(Reply::status(200).header("Content-Encoding", coding).body("packed"));
        let step = scene.script(&format!(
            "const r = await fetch('HOST/', {{ headers: {{ 'accept-encoding': 'br' }}{credential} }}); \
             return await r.text();"
        ));
        let found = step["error"]["code"].as_str().or(step["output"].as_str()).unwrap_or_default();
        assert_eq!(found, expected, "{coding}: {step}");
    };
    for coding in ["br", "zstd", "gzip, gzip", "BR", "identity, br"] {
        check(coding, ", credential: 'K'", "connection_failed");
    }
    check("identity", ", credential: 'K'", "packed");
    check("br", "", "packed");
    // Also where the value went out in an earlier request of the run.
    scene.next(Reply::text("kept"));
    scene.next(Reply::status(200).header("Content-Encoding", "br").body("packed"));
    let step = scene.script(
        "await fetch('HOST/', { credential: 'K' }); return await (await fetch('HOST/')).text();",
    );
    assert_eq!(step["error"]["code"], "connection_failed", "{step}");
}

#[test]
fn a_value_in_a_headers_name_is_hidden_too() {
    let scene = Scene::start("echo-header-names");
    let value = scene.canary("K");
    scene.api_key("K", &value);
    scene.next(Reply::text("").header(&format!("X-{value}"), "1").header(&value, "2"));
    let source = "const sealed = credential('K'); \
        const r = await fetch('HOST/', { headers: { 'x-k': sealed } }); \
        const names = [...r.headers.keys()]; \
        return [names.filter((n) => n.includes('kwtest_')).length, names.includes(sealed)];";
    assert_eq!(scene.output(source), json!([0, true]));
}

#[test]
fn what_code_calls_a_key_is_not_taken_into_the_audit_as_it_is() {
    let scene = Scene::start("echo-audit-keys");
    let value = scene.canary("R");
    scene.readable("R", &value);
    let check = |asked: &str, expected: &str| {
        let step = scene.script(&format!("const r = credential('R'); return credential({asked});"));
        assert_eq!(step["error"]["code"], "missing_credential", "{step}");
        let entry = scene.audit("outcome=refused")[0].clone();
        assert_eq!(entry["reason"], "undeclared", "{entry}");
        assert_eq!(entry["key"], expected, "{entry}");
    };
    check("['OTHER'][0]", "OTHER");
    check("r", "");
    check("r.toUpperCase()", "");
    check("'no key at all ' + 'x'.repeat(1000)", "");
}

#[test]
fn a_run_computes_a_bounded_number_of_values() {
    let scene = Scene::start("echo-derivations");
    scene.api_key("K", &scene.canary("K"));
    let check = |source: &str, expected: &Value| {
        let source = format!(
            "let n = 0; try {{ {source} }} catch (e) {{ return [n, e.code]; }} return [n];"
        );
        assert_eq!(scene.output(&source), *expected);
    };
    let many = "for (; n < 1100; n++) credential.hmac('K', `message ${n}`);";
    check(many, &json!([1000, "validation_failed"]));
    let large = "const m = 'x'.repeat(3 << 20); for (; n < 9; n++) credential.hmac('K', n + m);";
    check(large, &json!([2, "validation_failed"]));
    check("for (; n < 1100; n++) credential.hmac('K', 'the same');", &json!([1100]));
}

#[test]
fn what_changes_under_a_running_step_counts_for_its_next_request() {
    let scene = Scene::start("echo-changes");
    let other = json!({ "hosts": [scene.host()], "methods": ["POST"] });
    let check = |key: &str, change: &dyn Fn(&str), expected: &str| {
        let id = scene.api_key(key, &scene.canary(key));
        let (before, source) = (
            scene.echo.received().len(),
            format!(
                "await fetch('HOST/', {{ credential: '{key}' }}); \
             while (await (await fetch('HOST/gate-{key}')).text() !== 'go') \
                await new Promise((done) => setTimeout(done, 100)); \
             const r = await fetch('HOST/', {{ credential: '{key}' }}); \
             return r.status;"
            ),
        );
        let step = thread::scope(|scope| {
            let run = scope.spawn(|| scene.script(&source));
            scene.echo.wait_for(before + 1);
            thread::sleep(Duration::from_millis(300));
            change(&id);
            scene.echo.route(&format!("/gate-{key}"), Reply::text("go"));
            run.join().expect("the run")
        });
        let received = scene.echo.received();
        let sent = received.iter().skip(before).filter(|request| request.path() == "/").count();
        let found = step["error"]["code"].as_str().unwrap_or_default();
        assert_eq!(found, expected, "{key}: {step}");
        assert_eq!(sent, if expected.is_empty() { 2 } else { 1 }, "{key}");
    };
    let delete = |id: &str| {
        let path = format!("/credentials/{id}?confirm=true");
        scene.server.api("DELETE", &path, &Value::Null).expect(204);
    };
    check("DELETED", &delete, "missing_credential");
    check(
        "NARROWED",
        &|id| drop(scene.patch(id, &other).expect(200)),
        "credential_not_allowed_here",
    );
    let overwrite = |id: &str| {
        let body = json!({ "fields": { "value": scene.canary("new value") } });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &body).expect(200);
    };
    check("ROTATED", &overwrite, "");
    // The step keeps the value that it began with; the next one gets the new one.
    let check = |expected: &str| {
        let last = scene.echo.received().pop().expect("a request");
        let expected = format!("Bearer {}", scene.canary(expected));
        assert_eq!(last.header("authorization"), Some(expected.as_str()));
    };
    check("ROTATED");
    scene.output("return (await fetch('HOST/', { credential: 'ROTATED' })).status;");
    check("new value");
}
