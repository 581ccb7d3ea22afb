//! HTTP triggers: what the steps see of a request, and what its sender gets.

use super::code_workflow;
use crate::server::{Answer, Backend, Server, on_both};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn steps_see_the_request_as_it_was_sent() {
    on_both("contract-hook-trigger", |server| {
        let (_, hook) = server.workflow(&code_workflow("return trigger;"));
        let token = hook.trim_start_matches("/hooks/").to_owned();
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        let check = |headers: &[(&str, &str)], body: &[u8], expected: Value| {
            let answer = server.send("POST", &hook, headers, body);
            assert_eq!(answer.expect(200)["body"], expected, "{headers:?}");
        };
        check(&[JSON], br#"{"a":[1,null,"x"]}"#, json!({ "a": [1, null, "x"] }));
        check(&[JSON], b"\"text\"", json!("text"));
        check(&[JSON], b" 17 ", json!(17));
        check(
            &[JSON],
            br#"{"nul":"a\u0000b","z":1,"a":2}"#,
            json!({ "nul": "a\0b", "z": 1, "a": 2 }),
        );
        check(&[("Content-Type", "application/json; charset=utf-8")], b"{}", json!({}));
        check(&[("Content-Type", "APPLICATION/JSON")], b"[]", json!([]));
        check(&[("Content-Type", "application/cloudevents+json")], b"{}", json!({}));
        check(&[form], b"a=1&b=x+y%21&a=2&c=", json!({ "a": ["1", "2"], "b": "x y!", "c": "" }));
        check(&[("Content-Type", "text/plain")], "{\"grüße\"".as_bytes(), json!("{\"grüße\""));
        check(&[("Content-Type", "application/xml")], b"<a/>", json!("<a/>"));
        check(&[], b"{\"a\":1}", json!("{\"a\":1}"));
        check(&[], b"", json!(null));
        check(&[JSON], b"", json!(null));

        let headers = [JSON, ("X-Custom-Name", "Some Value"), ("X-Twice", "1"), ("X-Twice", "2")];
        let path = format!("{hook}/more/path?a=1&b=x%20y&a=2&empty=");
        let seen = server.send("PUT", &path, &headers, b"{}").expect(200);
        assert_eq!(seen["method"], "PUT");
        assert_eq!(seen["path"], "/more/path");
        assert_eq!(seen["query"], json!({ "a": ["1", "2"], "b": "x y", "empty": "" }));
        assert_eq!(seen["headers"]["x-custom-name"], "Some Value");
        assert_eq!(seen["headers"]["x-twice"], "1, 2");
        let names = seen["headers"].as_object().unwrap().keys();
        assert!(names.clone().all(|name| *name == name.to_lowercase()), "{names:?}");
        assert!(!seen.to_string().contains(&token), "the path holds no token: {seen}");
        let seen = server.send("POST", &hook, &[], b"").expect(200);
        assert_eq!((&seen["path"], &seen["query"]), (&json!(""), &json!({})));
    });
}

#[test]
fn a_body_of_the_limit_passes_and_one_byte_more_does_not() {
    let server = Server::start("contract-hook-limit", Backend::Sqlite);
    let (_, hook) = server.workflow(&code_workflow("return trigger.body.length;"));
    let plain = vec![b'a'; 6_291_456];
    let quoted = [b"\"", &plain[..6_291_454], b"\""].concat();
    assert_eq!(server.send("POST", &hook, &[], &plain).expect(200), 6_291_456);
    assert_eq!(server.send("POST", &hook, &[JSON], &quoted).expect(200), 6_291_454);
    let before = server.get("/runs").body;
    for body in [[&plain[..], b"a"].concat(), plain.repeat(3)] {
        server.send("POST", &hook, &[], &body).expect_problem(413, "payload_too_large");
    }
    assert_eq!(server.get("/runs").body, before);
}

#[test]
fn hooks_refuse_what_they_cannot_take() {
    let server = Server::start("contract-hook-refuse", Backend::Sqlite);
    let mut definition = code_workflow("return 1;");
    definition["trigger"]["method"] = json!("POST");
    let (id, hook) = server.workflow(&definition);
    let unreadable: &[(&[u8], &str)] = &[
        (b"{", "invalid_json"),
        (b"{\"a\":1,\"a\":2}", "invalid_json"),
        (b"{} x", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b"\"\xff\"", "invalid_request"),
    ];
    for (body, code) in unreadable {
        server.send("POST", &hook, &[JSON], body).expect_problem(400, code);
    }
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    server.send("POST", &hook, &[JSON], deep.as_bytes()).expect_problem(400, "invalid_json");
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        server.send(method, &hook, &[], b"").expect_problem(405, "method_not_allowed");
    }
    let unknown = |hook: &str| {
        server.send("POST", hook, &[JSON], b"{}").expect_problem(404, "not_found");
    };
    unknown("/hooks/none");
    unknown(&format!("{hook}x"));
    unknown(&hook[..hook.len() - 1]);
    unknown(&hook.to_uppercase().replace("/HOOKS", "/hooks"));
    unknown(&format!("/hooks/{id}"));
    let switch = |to: &str| server.post(&format!("/workflows/{id}/{to}"), &Value::Null).expect(200);
    switch("deactivate");
    unknown(&hook);
    switch("activate");
    assert_eq!(server.send("POST", &hook, &[JSON], b"{}").expect(200), 1);
    let (manual, path) = server.workflow(&json!({
        "name": "By hand", "trigger": { "kind": "manual" },
        "steps": [{ "id": "one", "kind": "code", "source": "return 1;" }],
    }));
    assert_eq!(path, "", "{manual} has no hook");
    assert_eq!(super::ids(&server, "/runs").len(), 1, "refused requests start no run");
}

#[test]
fn a_hook_without_a_method_takes_any() {
    let server = Server::start("contract-hook-any", Backend::Sqlite);
    let (_, hook) = server.workflow(&code_workflow("return trigger.method;"));
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"] {
        assert_eq!(server.send(method, &hook, &[], b"").expect(200), method);
    }
    let answer = server.send("HEAD", &hook, &[], b"");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert!(answer.header("keyward-run-id").is_some());
}

#[test]
fn accepted_answers_at_once_with_the_runs_id() {
    on_both("contract-hook-accepted", |server| {
        let mut definition = code_workflow("return trigger.body.n;");
        definition["trigger"]["respond"] = json!("accepted");
        let (_, hook) = server.workflow(&definition);
        let answer = server.hook(&hook, &json!({ "n": 5 }));
        let body = answer.expect(202);
        assert_eq!(answer.header("keyward-run-id"), body["run_id"].as_str());
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        let run = server.run_of(&answer);
        assert_eq!((&run["status"], &run["steps"][0]["output"]), (&json!("succeeded"), &json!(5)));
    });
}

#[test]
fn a_failed_run_is_a_problem_that_names_the_step() {
    on_both("contract-hook-failed", |server| {
        let secret = server.evidence.canary("API_KEY");
        let credential =
            json!({ "key": "API_KEY", "type": "api_key", "fields": { "value": secret } });
        server.post("/credentials", &credential).expect(201);
        let source = "throw new Error(`no \\0 luck with ${credential('API_KEY')}`);";
        let (_, hook) = server.workflow(&code_workflow(source));
        let answer = server.hook(&hook, &json!({}));
        let problem = answer.expect_problem(500, "run_failed");
        let id = answer.header("keyward-run-id").expect("a run id");
        assert_eq!(problem["run_id"], id);
        assert_eq!(problem["step"], "one");
        assert_eq!(problem["error"]["code"], "script_error");
        let message = problem["error"]["message"].as_str().expect("a message");
        assert!(message.contains("luck with [sealed:API_KEY]"), "{message}");
        let run = server.run_of(&answer);
        assert_eq!(run["status"], "failed");
        assert_eq!(run["steps"][0]["error"]["code"], "script_error");
    });
}

/// The whole of an answer that a step describes.
fn described(server: &Server, response: &str) -> Answer {
    let (_, hook) =
        server.workflow(&code_workflow(&format!("return {{ $response: {response} }};")));
    let answer = server.hook(&hook, &json!({}));
    assert!(answer.header("keyward-run-id").is_some_and(|id| id.starts_with("run_")), "{answer:?}");
    answer
}

#[test]
fn a_step_can_describe_the_whole_answer() {
    let server = Server::start("contract-hook-response", Backend::Sqlite);
    let check = |response: &str, status: u16, kind: Option<&str>, body: &str| {
        let answer = described(&server, response);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{response}");
        assert_eq!(answer.header("content-type"), kind, "{response}");
    };
    let (json, text) = (Some("application/json"), Some("text/plain; charset=utf-8"));
    check("{}", 200, None, "");
    check("{ status: 201 }", 201, None, "");
    check("{ status: 202, body: null }", 202, None, "");
    check("{ status: 404, body: { a: [1] } }", 404, json, r#"{"a":[1]}"#);
    check("{ status: 599, body: 'late' }", 599, text, "late");
    check("{ body: 5 }", 200, json, "5");
    check("{ body: false }", 200, json, "false");
    check("{ body: '' }", 200, text, "");
    check(
        "{ headers: { 'Content-Type': 'text/html' }, body: '<p>' }",
        200,
        Some("text/html"),
        "<p>",
    );
    check("{ headers: { 'content-type': 'a/b' }, body: { a: 1 } }", 200, Some("a/b"), r#"{"a":1}"#);
    check("{ status: 204, body: 'unseen' }", 204, None, "");
    check("{ status: 304, body: 'unseen' }", 304, None, "");
    check("{ headers: null, body: 1 }", 200, json, "1");

    let answer = described(
        &server,
        "{ status: 302, headers: { Location: 'https://example.com/', 'X-Number': 5, 'X-Yes': true, \
         Link: ['</a>', '</b>'], 'X-Nothing': null, 'Not a name': 'x', 'X-Break': 'a\\r\\nX-In: 1' } }",
    );
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), Some("https://example.com/"));
    assert_eq!(answer.header("x-number"), Some("5"));
    assert_eq!(answer.header("x-yes"), Some("true"));
    let links = answer.headers.iter().filter(|(name, _)| name == "link");
    assert_eq!(links.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["</a>", "</b>"]);
    for absent in ["x-nothing", "x-break", "x-in"] {
        assert_eq!(answer.header(absent), None);
    }
}

#[test]
fn a_step_cannot_break_the_connection_or_name_another_run() {
    let server = Server::start("contract-hook-framing", Backend::Sqlite);
    for header in [
        "'Content-Length': '3'",
        "'Content-Length': '3000'",
        "'Transfer-Encoding': 'chunked'",
        "Connection: 'upgrade', Upgrade: 'websocket'",
        "'Keyward-Run-Id': 'run_other'",
    ] {
        let answer = described(&server, &format!("{{ headers: {{ {header} }}, body: 'abcdef' }}"));
        assert_eq!((answer.status, answer.body.as_str()), (200, "abcdef"), "{header}");
        assert_eq!(answer.header("content-length"), Some("6"), "{header}");
        assert_eq!(answer.header("upgrade"), None);
    }
}

#[test]
fn what_describes_no_answer_is_an_output_like_any_other() {
    let server = Server::start("contract-hook-output", Backend::Sqlite);
    for shape in
        ["null", "\"x\"", "[]", "7", r#"{"status":99}"#, r#"{"status":101}"#, r#"{"status":600}"#]
    {
        let answer = described(&server, shape);
        let expected: Value = serde_json::from_str(&format!(r#"{{"$response":{shape}}}"#)).unwrap();
        assert_eq!(answer.expect(200), expected);
    }
    let (_, hook) = server.workflow(&code_workflow("return undefined;"));
    assert_eq!(server.hook(&hook, &json!({})).expect(200), Value::Null);
}
