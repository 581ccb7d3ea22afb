//! Credentials as workflows meet them: how they attach, who gets them, where they may go.

mod bound;

use crate::scene::Scene;
use crate::server::on_both;
use data_encoding::BASE64;
use keyward_testkit::echo::{Received, Reply};
use serde_json::{Value, json};

/// A value with a character from every set that some encoding must escape.
fn awkward(canary: &str) -> String {
    format!("{canary} \"&<>%+=/?#\\'{{}}\u{e9}\u{4e16}")
}

/// The value of a query parameter as a service reads it.
fn query(received: &Received, name: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://x{}", received.target)).unwrap();
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Where a value must have arrived.
#[derive(Clone, Copy)]
enum Arrives {
    Header(&'static str, &'static str),
    Query(&'static str),
    Basic(&'static str),
    Json(&'static str),
}

impl Arrives {
    fn check(self, received: &Received, value: &str, what: &str) {
        let (found, expected) = match self {
            Self::Header(name, prefix) => {
                (received.header(name).map(str::to_owned), format!("{prefix}{value}"))
            }
            Self::Query(name) => (query(received, name), value.to_owned()),
            Self::Basic(user) => {
                let joined = BASE64.encode(format!("{user}:{value}").as_bytes());
                (received.header("authorization").map(str::to_owned), format!("Basic {joined}"))
            }
            Self::Json(pointer) => {
                let body: Value = serde_json::from_slice(&received.body).unwrap();
                (body.pointer(pointer).map(|v| v.as_str().unwrap().to_owned()), value.to_owned())
            }
        };
        assert_eq!(found.as_deref(), Some(expected.as_str()), "{what}: {received:?}");
    }
}

#[test]
fn every_type_attaches_as_it_says() {
    let scene = Scene::start("credentials-attach");
    let template = json!({
        "headers": { "X-Account": "{{ account }}", "X-Signed": "v1 {{token}}" },
        "query": { "t": "{{ token }}" },
        "json": { "auth": { "token": "{{ token }}", "deep": [1, true] }, "kind": "custom" },
    });
    use Arrives::{Basic, Header, Json, Query};
    let cases: Vec<(&str, Value, Option<&Value>, Vec<Arrives>)> = vec![
        ("api_key", json!({}), None, vec![Header("authorization", "Bearer ")]),
        ("api_key", json!({ "name": "X-Api-Key" }), None, vec![Header("x-api-key", "")]),
        (
            "api_key",
            json!({ "name": "X-Key", "prefix": "Token " }),
            None,
            vec![Header("x-key", "Token ")],
        ),
        ("api_key", json!({ "prefix": "Token " }), None, vec![Header("authorization", "Token ")]),
        ("api_key", json!({ "in": "header", "name": "X-K" }), None, vec![Header("x-k", "")]),
        ("api_key", json!({ "in": "query", "name": "key" }), None, vec![Query("key")]),
        ("basic", json!({ "username": "bob" }), None, vec![Basic("bob")]),
        ("basic", json!({ "username": "" }), None, vec![Basic("")]),
        (
            "custom",
            json!({ "account": { "value": "acme", "secret": false } }),
            Some(&template),
            vec![Header("x-signed", "v1 "), Query("t"), Json("/auth/token")],
        ),
    ];
    for (number, (kind, plain, template, arrives)) in cases.iter().enumerate() {
        let key = format!("K{number}");
        // What stands in a header must be valid there; elsewhere the value may be anything.
        let in_header = arrives.iter().any(|place| matches!(place, Header(..)));
        let canary = scene.canary(&key);
        let value = if in_header { canary } else { awkward(&canary) };
        let mut fields = plain.clone();
        let secret = match *kind {
            "api_key" => "value",
            "basic" => "password",
            _ => "token",
        };
        fields[secret] = value.clone().into();
        let mut body =
            json!({ "key": key, "type": kind, "fields": fields, "hosts": [scene.host()] });
        if let Some(template) = template {
            body["template"] = (*template).clone();
        }
        scene.credential(&body);
        let http = json!([{ "id": "call", "kind": "http", "credential": { "$credential": key },
            "request": { "method": "POST", "url": format!("{}/a?own=1", scene.host()),
                         "json": { "own": 2, "auth": { "id": 7 } } } }]);
        let fetch = format!(
            "const r = await fetch('HOST/a?own=1', {{ method: 'POST', credential: '{key}', \
             headers: {{ 'content-type': 'application/json' }}, \
             body: JSON.stringify({{ own: 2, auth: {{ id: 7 }} }}) }}); return r.status;"
        );
        for (how, steps) in [("http", http), ("fetch", json!([scene.code("call", &fetch)]))] {
            let what = format!("{how} {kind} {plain}");
            let before = scene.echo.received().len();
            let run = scene.run(&steps, &json!({}));
            assert_eq!(run["status"], "succeeded", "{what}: {run}");
            let received = scene.echo.received().swap_remove(before);
            arrives.iter().for_each(|place| place.check(&received, &value, &what));
            assert_eq!(query(&received, "own").as_deref(), Some("1"), "{what}");
            let body: Value = serde_json::from_slice(&received.body).unwrap();
            assert_eq!((&body["own"], &body["auth"]["id"]), (&json!(2), &json!(7)), "{what}");
            if template.is_some() {
                assert_eq!(received.header("x-account"), Some("acme"));
                assert_eq!(
                    (&body["kind"], &body["auth"]["deep"]),
                    (&json!("custom"), &json!([1, true]))
                );
            }
            let used = &run["steps"][0]["credentials"];
            assert_eq!(used.as_array().unwrap().len(), 1, "{what}: {used}");
            assert_eq!((&used[0]["key"], &used[0]["access"]), (&json!(key), &json!("sealed")));
            assert_eq!(used[0]["destination"], scene.host().as_str());
            assert!(!run.to_string().contains(&value), "{what}");
        }
    }
}

#[test]
fn a_field_holds_64_kib_to_the_byte_and_a_credential_64_fields() {
    let scene = Scene::start("credentials-limits");
    let limit = 65_536;
    // Two-byte characters, so that bytes and not characters are counted.
    let full = |bytes: usize| format!("{}{}", "é".repeat(bytes / 2), "x".repeat(bytes % 2));
    let value = |bytes: usize| {
        json!({ "key": "BIG", "type": "api_key", "fields": { "value": full(bytes) },
        "hosts": [scene.host()] })
    };
    let refused = scene.server.post("/credentials", &value(limit + 1));
    let problem = refused.expect_problem(422, "value_too_large");
    assert_eq!(problem["errors"][0]["pointer"], "/fields/value", "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("65536"), "{problem}");
    let id = scene.credential(&value(limit));
    let arrived = |expected: &str| {
        let source = "await fetch('HOST/', { method: 'POST', body: credential('BIG') }); return 1;";
        // Echoed, 64 KiB would only be searched for themselves.
        scene.next(Reply::text("ok"));
        let (step, received) = scene.sent(source);
        assert_eq!(step["status"], "succeeded", "{step}");
        assert!(received.unwrap().text() == expected, "the value arrives whole");
    };
    arrived(&full(limit));
    let put = |body: Value| scene.server.api("PUT", &format!("/credentials/{id}/value"), &body);
    put(json!({ "fields": { "value": full(limit + 1) } })).expect_problem(422, "value_too_large");
    let staged = scene.patch(&id, &json!({ "fields": { "value": full(limit + 1) } }));
    staged.expect_problem(422, "value_too_large");
    arrived(&full(limit));
    put(json!({ "fields": { "value": "y".repeat(limit) } })).expect(200);
    arrived(&"y".repeat(limit));

    let fields = |count: usize| -> Value {
        (0..count).map(|n| (format!("f{n}"), json!(format!("secret number {n}")))).collect()
    };
    let custom = |count: usize| json!({ "key": "MANY", "type": "custom", "fields": fields(count) });
    let problem = scene.server.post("/credentials", &custom(65));
    problem.expect_problem(422, "validation_failed");
    scene.credential(&custom(64));
}

#[test]
fn the_workflows_own_credential_comes_first_and_the_allowlist_hides_the_rest() {
    on_both("credentials-scope", |server| {
        let scene = Scene::with(server);
        let (wide, own) = (scene.canary("WIDE"), scene.canary("OWN"));
        scene.api_key("KEY", &wide);
        let source = "const r = await fetch('HOST/', { headers: { 'x-key': credential('KEY') } }); return r.status;";
        let steps = json!([scene.code("s", source)]);
        let (first, second) = (scene.manual(&steps), scene.manual(&steps));
        scene.credential(&json!({
            "key": "KEY", "type": "api_key", "fields": { "value": own }, "hosts": [scene.host()],
            "scope": { "kind": "workflow", "workflow": first },
        }));
        let arrived = |workflow: &str| {
            let run = scene.run_again(workflow, &json!({}));
            let received =
                scene.echo.received().pop().map(|r| r.header("x-key").unwrap().to_owned());
            (run, received.unwrap_or_default())
        };
        assert_eq!(arrived(&first).1, own);
        assert_eq!(arrived(&second).1, wide);

        let set = |body: Value| {
            scene.server.api("PUT", &format!("/workflows/{second}/allowlist"), &body).expect(200)
        };
        set(json!({ "enabled": true, "keys": ["OTHER"] }));
        let sent = scene.echo.received().len();
        let (run, _) = arrived(&second);
        assert_eq!(run["steps"][0]["error"]["code"], "missing_credential", "{run}");
        assert_eq!(scene.echo.received().len(), sent, "nothing was sent");
        set(json!({ "enabled": true, "keys": ["KEY"] }));
        assert_eq!(arrived(&second).0["status"], "succeeded");
        set(json!({ "enabled": true, "keys": [] }));
        assert_eq!(arrived(&second).0["status"], "failed");
        set(json!({ "enabled": false, "keys": [] }));
        assert_eq!(arrived(&second).0["status"], "succeeded");
        let refused = scene.audit("key=KEY&outcome=refused");
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused.iter().all(|entry| entry["reason"] == "allowlist"), "{refused:?}");
    });
}

#[test]
fn whatever_keeps_a_step_from_a_key_it_is_told_the_same() {
    let scene = Scene::start("credentials-missing");
    let value = scene.canary("K");
    scene.api_key("K", &value);
    let code = |key: &str| {
        let source = format!("credential('{key}'); return 1;");
        json!([scene.code("s", &source)])
    };
    let attached = json!([{ "id": "s", "kind": "http", "credential": { "$credential": "K" },
        "request": { "url": format!("{}/", scene.host()) } }]);
    let listed = |steps: &Value| {
        let workflow = scene.manual(steps);
        let path = format!("/workflows/{workflow}/allowlist");
        scene.server.api("PUT", &path, &json!({ "enabled": true, "keys": ["X"] })).expect(200);
        workflow
    };
    let undeclared = json!([scene.code("s", "credential(trigger.body.k); return 1;")]);
    // The same key each time: absent, off the list, and not named by the definition.
    let error = |workflow: &str, payload: &Value| {
        let run = scene.run_again(workflow, payload);
        assert_eq!(run["steps"][0]["status"], "failed", "{run}");
        let error = run["steps"][0]["error"].to_string();
        assert_eq!(run["steps"][0]["error"]["code"], "missing_credential", "{run}");
        error.replace(workflow, "WORKFLOW").replace("NONE", "K")
    };
    let absent = error(&scene.manual(&code("NONE")), &json!({}));
    assert_eq!(error(&listed(&code("K")), &json!({})), absent);
    assert_eq!(error(&scene.manual(&undeclared), &json!({ "k": "K" })), absent);
    assert_eq!(error(&scene.manual(&undeclared), &json!({ "k": "NONE" })), absent);
    let absent_http = json!([{ "id": "s", "kind": "http", "credential": { "$credential": "NONE" },
        "request": { "url": format!("{}/", scene.host()) } }]);
    let http = error(&listed(&attached), &json!({}));
    assert_eq!(error(&scene.manual(&absent_http), &json!({})), http);
    assert!(http.contains("WORKFLOW") && http.contains('K'), "key and workflow are named: {http}");
    for word in ["allow", "list", "share", "exist", "declare"] {
        assert!(!http.contains(word) && !absent.contains(word), "no hint: {http} {absent}");
    }
    assert!(scene.echo.received().is_empty());
    // Caught in code, the error has its code and key; the rest of the step may use fetch's `credential`.
    let caught = scene.output(
        "try { credential('NONE') } catch (e) { \
           try { await fetch('HOST/', { credential: 'NONE' }) } catch (f) { \
             return [e.code, e.key, e instanceof Error, f.code, f.key] } }",
    );
    assert_eq!(caught, json!(["missing_credential", "NONE", true, "missing_credential", "NONE"]));
    let reasons: Vec<Value> =
        scene.audit("outcome=refused").into_iter().map(|entry| entry["reason"].clone()).collect();
    for reason in ["not_found", "allowlist", "undeclared"] {
        assert!(reasons.contains(&json!(reason)), "{reason}: {reasons:?}");
    }
    // Listed in the step's `credentials`, a key may come from data.
    let mut step = scene.code("s", "return typeof credential(trigger.body.k);");
    step["credentials"] = json!(["K"]);
    let run = scene.run(&json!([step]), &json!({ "k": "K" }));
    assert_eq!(run["steps"][0]["output"], "string", "{run}");
}

#[test]
fn a_step_keeps_its_value_and_the_next_gets_the_new_one() {
    on_both("credentials-rotation", |server| {
        let scene = Scene::with(server);
        let (old, new) = (scene.canary("OLD"), scene.canary("NEW"));
        let id = scene.api_key("KEY", &old);
        let source = "const k = credential('KEY'); const send = (n) => fetch(`HOST/${n}`, { headers: { 'x-key': k } }); \
            await send('first'); \
            while ((await (await fetch('HOST/gate')).json()).body !== undefined) await new Promise((r) => setTimeout(r, 20)); \
            await send('second'); return k;";
        let after = json!({ "id": "http", "kind": "http", "credential": { "$credential": "KEY" },
            "request": { "url": format!("{}/third", scene.host()), "headers": { "x-key": "{{ steps.s.output }}" } } });
        let workflow = scene.manual(&json!([scene.code("s", source), after]));
        let started =
            scene.server.post(&format!("/workflows/{workflow}/runs"), &json!({})).expect(202);
        scene.echo.wait_for(2);
        let put = json!({ "fields": { "value": new } });
        let put = scene.server.api("PUT", &format!("/credentials/{id}/value"), &put).expect(200);
        assert_eq!(put["version"], 2);
        // Long enough that the step's grant is looked up again.
        std::thread::sleep(std::time::Duration::from_millis(500));
        scene.echo.route("/gate", Reply::json(&json!({})));
        let run = scene.server.ended(started["run_id"].as_str().unwrap());
        assert_eq!(run["status"], "succeeded", "{run}");
        let at = |path: &str| {
            let received = scene.echo.received().into_iter().find(|r| r.path() == path).unwrap();
            received.header("x-key").unwrap().to_owned()
        };
        assert_eq!((at("/first"), at("/second"), at("/third")), (old.clone(), old, new));
        let version = |step: usize| run["steps"][step]["credentials"][0]["version"].clone();
        assert_eq!((version(0), version(1)), (json!(1), json!(2)));
    });
}

#[test]
fn a_readable_value_is_given_audited_and_shown_as_exposed() {
    on_both("credentials-readable", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        let id = scene.api_key("K", &value);
        let source = "const k = credential('K'); return [k.length, k.startsWith('kws1_'), k === trigger.body.guess, (await fetch('HOST/', { headers: { k } })).status];";
        let workflow = scene.manual(&json!([scene.code("s", source)]));
        let payload = json!({ "guess": "no" });
        let sealed = scene.run_again(&workflow, &payload);
        assert_eq!(sealed["steps"][0]["output"], json!([45, true, false, 200]));
        let patched = scene.patch(&id, &json!({ "code_access": "readable" })).expect(200);
        assert_eq!(patched["code_access"], "readable");
        let run = scene.run_again(&workflow, &payload);
        assert_eq!(run["steps"][0]["output"], json!([value.len(), false, false, 200]));
        assert_eq!(scene.echo.received().pop().unwrap().header("k"), Some(value.as_str()));
        let used = &run["steps"][0]["credentials"][0];
        assert_eq!(
            (&used["key"], &used["credential_id"], &used["access"]),
            (&json!("K"), &json!(id), &json!("exposed"))
        );
        let exposed = scene.audit("action=credential.exposed");
        assert_eq!(exposed.len(), 1, "{exposed:?}");
        assert_eq!(
            (&exposed[0]["run_id"], &exposed[0]["step_id"], &exposed[0]["key"]),
            (&run["id"], &json!("s"), &json!("K"))
        );
        scene.patch(&id, &json!({ "code_access": "sealed" })).expect(200);
        assert_eq!(
            scene.run_again(&workflow, &payload)["steps"][0]["output"],
            json!([45, true, false, 200])
        );
        // Of a custom credential each field, the plain ones as they are.
        scene.credential(&json!({ "key": "C", "type": "custom", "code_access": "readable",
            "fields": { "account": { "value": "acme", "secret": false }, "token": scene.canary("C") } }));
        let output = scene.output("return [credential('C', 'account'), credential('C', 'token').length, credential.info('C').type];");
        assert_eq!(output, json!(["acme", 47, "custom"]));
        let told = scene.output("try { credential('C', 'none') } catch (e) { return e.code }");
        assert_eq!(told, "missing_credential");
    });
}

#[test]
fn deleting_one_in_use_asks_first_and_uses_are_dated() {
    on_both("credentials-delete", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        let (used, unused) =
            (scene.api_key("USED", &value), scene.api_key("UNUSED", &scene.canary("U")));
        assert_eq!(
            scene.server.get(&format!("/credentials/{used}")).expect(200)["last_used_at"],
            Value::Null
        );
        let workflow = scene.manual(&json!([
            scene.code("s", "await fetch('HOST/', { credential: 'USED' }); return 1;")
        ]));
        assert_eq!(scene.run_again(&workflow, &json!({}))["status"], "succeeded");
        let shown = scene.server.get(&format!("/credentials/{used}")).expect(200);
        assert!(
            shown["last_used_at"].as_str().unwrap() >= shown["created_at"].as_str().unwrap(),
            "{shown}"
        );
        let dependents = scene.server.get(&format!("/credentials/{used}/dependents")).expect(200);
        assert_eq!(
            (&dependents["items"][0]["workflow_id"], &dependents["items"][0]["steps"]),
            (&json!(workflow), &json!(["s"]))
        );
        let delete = |path: String| scene.server.api("DELETE", &path, &Value::Null);
        delete(format!("/credentials/{used}")).expect_problem(409, "credential_in_use");
        assert_eq!(
            scene.run_again(&workflow, &json!({}))["status"],
            "succeeded",
            "it is still there"
        );
        delete(format!("/credentials/{unused}")).expect(204);
        delete(format!("/credentials/{used}?confirm=true")).expect(204);
        scene.server.get(&format!("/credentials/{used}")).expect_problem(404, "not_found");
        delete(format!("/credentials/{used}")).expect_problem(404, "not_found");
        let run = scene.run_again(&workflow, &json!({}));
        assert_eq!(run["steps"][0]["error"]["code"], "missing_credential", "{run}");
        assert_eq!(scene.echo.received().len(), 2);
        let deleted = scene.audit("action=credential.deleted&key=USED");
        assert_eq!(deleted[0]["credential_id"], used.as_str(), "{deleted:?}");
        // The key is free again, and what is made under it is another credential.
        assert_ne!(scene.api_key("USED", &value), used);
        assert_eq!(scene.run_again(&workflow, &json!({}))["status"], "succeeded");
    });
}

#[test]
fn no_answer_of_any_kind_holds_a_value() {
    let scene = Scene::start("credentials-write-only");
    let values = [scene.canary("A"), scene.canary("B"), scene.canary("C")];
    let api_key = |value: &str| json!({ "key": "A", "type": "api_key", "fields": { "value": value }, "hosts": [scene.host()] });
    let mut answers = vec![scene.server.post("/credentials", &api_key(&values[0]))];
    let id = answers[0].expect(201)["id"].as_str().unwrap().to_owned();
    let (_, export) = scene
        .hooked(&json!([scene.code("s", "await fetch('HOST/', { credential: 'A' }); return 1;")]));
    answers.push(scene.server.hook(&export, &json!({})));
    let workflow = scene.manual(&json!([scene.code("s", "return credential('A');")]));
    // Right and wrong, each answer is kept for the sweep and looked at here.
    answers.push(scene.server.post("/credentials", &api_key(&values[1])));
    answers.push(scene.server.api(
        "PUT",
        &format!("/credentials/{id}/value"),
        &json!({ "fields": { "value": values[1] } }),
    ));
    answers.push(scene.patch(&id, &json!({ "fields": { "value": values[2] }, "name": 7 })));
    answers.push(scene.patch(&id, &json!({ "fields": { "valve": values[2] } })));
    answers.push(scene.patch(&id, &json!({ "value": values[2] })));
    answers.push(scene.patch(&id, &json!({ "fields": values[2] })));
    answers.push(scene.patch(&id, &json!({ "fields": { "value": [values[2]] } })));
    answers.push(scene.patch(&id, &json!({ values[2].clone(): 1 })));
    answers.push(scene.server.send(
        "POST",
        "/api/v1/workspaces/default/credentials",
        &[
            ("Authorization", &format!("Bearer {}", scene.server.token)),
            ("Content-Type", "application/json"),
        ],
        format!("{{\"fields\": {{\"value\": \"{}\" oops", values[2]).as_bytes(),
    ));
    for path in ["/credentials", "/audit", "/workflows", "/runs"] {
        answers.push(scene.server.get(path));
    }
    for path in [
        format!("/credentials/{id}"),
        format!("/credentials/{id}/dependents"),
        format!("/credentials/{id}/audit"),
        format!("/workflows/{workflow}/export"),
        format!("/workflows/{workflow}"),
        format!("/credentials?q={}", values[1]),
    ] {
        answers.push(scene.server.get(&path));
    }
    for answer in &answers {
        assert!(
            !values.iter().any(|value| answer.body.contains(value)),
            "{} {}",
            answer.status,
            answer.body
        );
    }
    let read = scene.server.get(&format!("/credentials/{id}")).expect(200);
    assert_eq!(read["fields"], json!({ "value": { "secret": true, "set": true } }));
}

#[test]
fn filters_find_what_they_name() {
    let scene = Scene::start("credentials-filters");
    let workflow = scene.manual(&json!([
        scene.code("s", "await fetch('HOST/', { credential: 'ONE' }); return 1;")
    ]));
    let make = |body: Value| scene.credential(&body);
    make(
        json!({ "key": "ONE", "name": "Größe", "type": "api_key", "fields": { "value": scene.canary("1") }, "environment": "prod", "tags": ["alerts", "x"], "hosts": [scene.host()] }),
    );
    make(
        json!({ "key": "TWO", "description": "zwei Wörter", "type": "basic", "fields": { "username": "bob", "password": scene.canary("2") }, "environment": "dev", "tags": ["x"] }),
    );
    make(
        json!({ "key": "THREE", "type": "custom", "fields": { "a": scene.canary("3") }, "scope": { "kind": "workflow", "workflow": workflow } }),
    );
    assert_eq!(scene.run_again(&workflow, &json!({}))["status"], "succeeded");
    for (filter, expected) in [
        ("", vec!["ONE", "THREE", "TWO"]),
        ("type=basic", vec!["TWO"]),
        ("type=custom", vec!["THREE"]),
        ("status=active", vec!["ONE", "THREE", "TWO"]),
        ("status=expired", vec![]),
        ("scope=workflow", vec!["THREE"]),
        ("scope=workspace", vec!["ONE", "TWO"]),
        ("environment=prod", vec!["ONE"]),
        ("tag=x", vec!["ONE", "TWO"]),
        ("tag=alerts", vec!["ONE"]),
        ("tag=x&environment=dev", vec!["TWO"]),
        ("q=gr%C3%B6", vec!["ONE"]),
        ("q=two", vec!["TWO"]),
        ("q=W%C3%B6rter", vec!["TWO"]),
        ("owner=me", vec!["ONE", "THREE", "TWO"]),
        ("not_rotated_days=1", vec![]),
        // One that was never used counts as unused from the start.
        ("unused_days=1", vec!["THREE", "TWO"]),
    ] {
        let page = scene.server.get(&format!("/credentials?{filter}")).expect(200);
        let mut keys: Vec<&str> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["key"].as_str().unwrap())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, expected, "{filter}");
    }
    let page = scene.server.get(&format!("/credentials?workflow={workflow}")).expect(200);
    let keys: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|item| item["key"].clone()).collect();
    assert!(keys.contains(&json!("ONE")) || keys.contains(&json!("THREE")), "{page}");
    for wrong in ["type=none", "status=none", "scope=none", "owner=none", "unused_days=-1"] {
        scene.server.get(&format!("/credentials?{wrong}")).expect_problem(422, "validation_failed");
    }
}
