//! Workflows from their first version to their end, as JSON and as YAML.

use super::{code_workflow, has_members, ids, items, run, text};
use crate::server::{Answer, Backend, Server, on_both};
use serde_json::{Value, json};

const YAML: &str = "\
name: Notify
trigger: { kind: http, method: POST, respond: result }      # a comment
settings: { retention_days: 30, no_store: false }
steps:
  - id: build
    kind: code
    language: typescript
    source: |
      const n: number = trigger.body.n;
      return { n: n + 1 };
  - id: again
    kind: code
    source: return steps.build.output.n * 2;
    when: \"{{ steps.build.output.n }}\"
    retry: { attempts: 3, delay_seconds: 2, backoff: exponential }
    timeout_seconds: 30
    on_error: fail
    on_interrupt: retry
";

fn send(server: &Server, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    let authorization = format!("Bearer {}", server.token);
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", kind)];
    server.send(method, &format!("/api/v1/workspaces/default{path}"), &headers, body)
}

#[test]
fn a_workflow_lives_through_its_versions() {
    on_both("contract-workflows", |server| {
        let made = server.post("/workflows", &code_workflow("return 1;")).expect(201);
        let members =
            ["id", "name", "version", "active", "trigger_url", "definition", "created_at"];
        has_members(&made, &members);
        assert_eq!(made["definition"], code_workflow("return 1;"), "as it was sent");
        assert_eq!((&made["version"], &made["active"]), (&json!(1), &json!(true)));
        let (id, url) = (text(&made["id"]), text(&made["trigger_url"]));
        assert!(id.starts_with("wf_") && url.starts_with(&format!("{}/hooks/", server.url)));
        let path = format!("/workflows/{id}");
        let mut shown = server.get(&path).expect(200);
        assert_eq!(shown["unavailable_credentials"].take(), json!([]));
        shown.as_object_mut().unwrap().remove("unavailable_credentials");
        assert_eq!(shown, made);

        let second = server.api("PUT", &path, &code_workflow("return 2;")).expect(200);
        has_members(&second, &members);
        assert_eq!((&second["version"], &second["trigger_url"]), (&json!(2), &json!(url)));
        assert_eq!(run(&server, &id, &json!({}))["steps"][0]["output"], 2);
        let versions = items(&server, &format!("{path}/versions"));
        let mut numbers: Vec<_> = versions.iter().filter_map(|v| v["version"].as_i64()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);

        let off = server.post(&format!("{path}/deactivate"), &Value::Null).expect(200);
        assert_eq!(off["active"], false);
        assert_eq!(ids(&server, "/workflows?active=false"), [id.as_str()]);
        assert!(ids(&server, "/workflows?active=true").is_empty());
        let on = server.post(&format!("{path}/activate"), &Value::Null).expect(200);
        assert_eq!(on["active"], true);
        let silent =
            server.post("/workflows?active=false", &code_workflow("return 3;")).expect(201);
        assert_eq!(silent["active"], false);
        assert_eq!(ids(&server, "/workflows?active=true"), [id.as_str()]);

        assert_eq!(server.api("DELETE", &path, &Value::Null).status, 204);
        server.get(&path).expect_problem(404, "not_found");
        let hook = url.strip_prefix(&server.url).unwrap();
        server.hook(hook, &json!({})).expect_problem(404, "not_found");
        for action in ["created", "updated", "activated", "deactivated", "deleted"] {
            let found = items(&server, &format!("/audit?action=workflow.{action}"));
            assert!(found.iter().any(|event| event["workflow_id"] == id.as_str()), "{action}");
        }
    });
}

#[test]
fn yaml_and_json_say_the_same() {
    let server = Server::start("contract-yaml", Backend::Sqlite);
    let made = send(&server, "POST", "/workflows", "application/yaml", YAML.as_bytes()).expect(201);
    assert_eq!(made["name"], "Notify");
    assert_eq!(made["definition"]["steps"][1]["retry"]["attempts"], 3);
    let (id, hook) = (text(&made["id"]), text(&made["trigger_url"]));
    let hook = hook.strip_prefix(&server.url).unwrap().to_owned();
    assert_eq!(server.hook(&hook, &json!({ "n": 20 })).expect(200), 42);
    let same = server.post("/workflows", &made["definition"]).expect(201);
    assert_eq!(same["definition"], made["definition"]);
    for kind in
        ["application/yaml", "application/yaml; charset=utf-8", "application/x-yaml", "text/yaml"]
    {
        let put = send(&server, "PUT", &format!("/workflows/{id}"), kind, YAML.as_bytes());
        assert_eq!(put.expect(200)["definition"], made["definition"], "{kind}");
    }
    let exported = server.get(&format!("/workflows/{id}/export")).expect(200);
    assert_eq!(exported["definition"], made["definition"]);
    assert!(!exported.to_string().contains(hook.trim_start_matches("/hooks/")), "no token leaves");
}

#[test]
fn bad_yaml_is_refused_with_its_place() {
    let server = Server::start("contract-yaml-bad", Backend::Sqlite);
    let canary = server.evidence.canary("planted");
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bomb =
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]\n";
    let cases: &[(&str, Vec<u8>)] = &[
        ("a bad indent", format!("name: {canary}\n  x: 1\n").into()),
        ("an open quote", format!("name: \"{canary}\n").into()),
        ("a tab", format!("name:\n\t- {canary}\n").into()),
        ("a member twice", format!("name: {canary}\nname: {canary}\n").into()),
        ("aliases", bomb.into()),
        ("a merge key", format!("<<: {{ name: {canary} }}\n").into()),
        ("a tag", format!("name: !!binary {canary}\n").into()),
        ("two documents", format!("name: {canary}\n---\nname: x\n").into()),
        ("deep nesting", deep.into()),
        ("a list", format!("- {canary}\n").into()),
        ("nothing", Vec::new()),
        ("invalid UTF-8", [b"name: \"\xff\xfe".as_slice(), canary.as_bytes(), b"\""].concat()),
    ];
    for (what, body) in cases {
        let answer = send(&server, "POST", "/workflows", "application/yaml", body);
        assert!([400, 422].contains(&answer.status), "{what}: {}", answer.body);
        let code = answer.json()["code"].clone();
        answer.expect_problem(answer.status, code.as_str().expect(what));
        assert!(!answer.body.contains(&canary), "{what}: {}", answer.body);
    }
    assert!(ids(&server, "/workflows").is_empty());
}

#[test]
fn a_definition_of_the_limit_passes_and_one_byte_more_does_not() {
    let server = Server::start("contract-definition-limit", Backend::Sqlite);
    let mut body = code_workflow("return 1;").to_string().into_bytes();
    body.resize(1_048_576, b' ');
    send(&server, "POST", "/workflows", "application/json", &body).expect(201);
    let mut yaml = [YAML.as_bytes(), b"#"].concat();
    yaml.resize(1_048_576, b' ');
    send(&server, "POST", "/workflows", "application/yaml", &yaml).expect(201);
    for (kind, mut body) in [("application/json", body), ("application/yaml", yaml)] {
        body.push(b' ');
        send(&server, "POST", "/workflows", kind, &body).expect_problem(413, "payload_too_large");
    }
    assert_eq!(ids(&server, "/workflows").len(), 2);
}
