//! Importing from outside: credentials out of files of other programs, workflows with bindings; all
//! of it or nothing.

use crate::scene::Scene;
use crate::server::{Answer, KEYWARD, on_both};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

fn import(scene: &Scene, body: &Value) -> Answer {
    scene.server.post("/credentials/import", body)
}

/// Looks at the preview and does what it shows.
#[track_caller]
fn confirm(scene: &Scene, mut body: Value) -> Answer {
    let preview = import(scene, &body.clone()).expect(200);
    assert_eq!(preview["imported"], false);
    body["confirm"] = json!(true);
    body["digest"] = preview["digest"].clone();
    import(scene, &body)
}

fn items(view: &Value) -> Vec<(String, String)> {
    let item = |item: &Value| {
        (
            item["key"].as_str().unwrap_or("-").to_owned(),
            item["action"].as_str().unwrap().to_owned(),
        )
    };
    view["items"].as_array().expect("items").iter().map(item).collect()
}

fn pair(key: &str, action: &str) -> (String, String) {
    (key.to_owned(), action.to_owned())
}

#[track_caller]
fn saved(scene: &Scene, expected: &[&str]) {
    let list = scene.server.get("/credentials").expect(200);
    let keys: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, expected);
}

#[test]
fn a_dotenv_file_becomes_credentials() {
    on_both("import-env", |server| {
        let scene = Scene::with(server);
        let (one, two) = (scene.canary("ONE"), scene.canary("TWO"));
        let content = format!("# mine\nexport ONE=\"{one}\"\nTWO='{two}' # why\n");
        let body = json!({ "format": "env", "content": content });
        let preview = import(&scene, &body).expect(200);
        assert_eq!(items(&preview), [pair("ONE", "create"), pair("TWO", "create")]);
        saved(&scene, &[]);
        // Only what was shown can be confirmed.
        let mut other = body.clone();
        other["confirm"] = json!(true);
        import(&scene, &other.clone()).expect_problem(422, "validation_failed");
        other["digest"] = preview["digest"].clone();
        other["content"] = json!(content.replace("TWO=", "THREE="));
        import(&scene, &other).expect_problem(409, "conflict");
        saved(&scene, &[]);
        let done = confirm(&scene, body).expect(200);
        assert_eq!(done["imported"], true);
        saved(&scene, &["ONE", "TWO"]);
        let host = json!({ "hosts": [scene.host()], "fields": { "value": two } });
        let listed = scene.server.get("/credentials?q=two").expect(200);
        scene.patch(listed["items"][0]["id"].as_str().unwrap(), &host).expect(200);
        let (_, sent) = scene.sent(
            "await fetch('HOST/', { headers: { authorization: credential('TWO') } }); return 1",
        );
        assert_eq!(sent.expect("sent").header("authorization"), Some(two.as_str()));
        let created = scene.audit("action=credential.created");
        assert!(created.iter().all(|event| event["reason"] == "imported"), "{created:?}");
        assert_eq!(created.len(), 2);
    });
}

#[test]
fn what_is_there_is_replaced_only_when_asked() {
    let scene = Scene::start("import-overwrite");
    let id = scene.api_key("ONE", &scene.canary("first"));
    let new = scene.canary("second");
    let mut body = json!({ "format": "env", "content": format!("ONE={new}\n") });
    let skipped = confirm(&scene, body.clone()).expect(200);
    assert_eq!(items(&skipped), [pair("ONE", "skip")]);
    let version = |expected: i64| {
        let shown = scene.server.get(&format!("/credentials/{id}")).expect(200);
        assert_eq!(shown["version"], expected);
    };
    version(1);
    body["overwrite"] = json!(true);
    let done = confirm(&scene, body.clone()).expect(200);
    assert_eq!(items(&done), [pair("ONE", "overwrite")]);
    version(2);
    let (_, sent) =
        scene.sent("await fetch('HOST/', { headers: { a: credential('ONE') } }); return 1");
    assert_eq!(sent.expect("sent").header("a"), Some(new.as_str()));
    // A preview that something else has overtaken does nothing.
    let preview = import(&scene, &body).expect(200);
    scene.patch(&id, &json!({ "description": "changed" })).expect(200);
    body["confirm"] = json!(true);
    body["digest"] = preview["digest"].clone();
    import(&scene, &body).expect_problem(409, "conflict");
    version(2);
}

#[test]
fn a_broken_file_saves_nothing() {
    let scene = Scene::start("import-broken");
    let secret = scene.canary("BROKEN");
    let check = |format: &str, content: &str, told: &str| {
        let body = json!({ "format": format, "content": content });
        let problem = import(&scene, &body).expect_problem(422, "validation_failed");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(told), "{problem}");
        assert!(!problem.to_string().contains(&secret), "{problem}");
    };
    check("env", &format!("GOOD={secret}\n{secret}\nALSO=x\n"), "line 2");
    check("env", &format!("GOOD={secret}\nBAD=\"{secret}\n"), "line 2");
    check("vault_kv", &format!("{{\"a\":{{\"b\":\"{secret}\""), "JSON");
    check("n8n", &format!("[{{\"name\":\"{secret}\"}}]"), "no name or no type");
    check("windmill", &format!("[{{\"value\":\"{secret}\"}}]"), "no path");
    let many: String = (0..1_001).map(|n| format!("K{n}=v\n")).collect();
    check("env", &many, "1000");
    let large = json!({ "format": "env", "content": "#".repeat(1024 * 1024 + 1) });
    import(&scene, &large).expect_problem(413, "payload_too_large");
    // One entry that cannot be: none is made.
    let body = json!({ "format": "env", "content": format!("GOOD={secret}\nGOOD={secret}\n") });
    assert_eq!(items(&import(&scene, &body).expect(200))[1], pair("GOOD", "invalid"));
    confirm(&scene, body).expect_problem(422, "validation_failed");
    let wide = "x".repeat(65_537);
    let body = json!({ "format": "env", "content": format!("GOOD={secret}\nWIDE={wide}\n") });
    let problem = confirm(&scene, body).expect_problem(422, "value_too_large");
    assert_eq!(problem["errors"][0]["pointer"], "/values/WIDE/value");
    saved(&scene, &[]);
}

#[test]
fn values_that_a_file_does_not_hold_are_given_beside_it() {
    let scene = Scene::start("import-values");
    let file = json!([
        { "name": "Slack bot", "type": "slackApi", "data": "U2FsdGVkX18=" },
        { "name": "Login", "type": "httpBasicAuth" },
        { "name": "Google", "type": "googleOAuth2Api" },
    ]);
    let mut body = json!({ "format": "n8n", "content": file.to_string() });
    let preview = import(&scene, &body).expect(200);
    let expected = [pair("Slack_bot", "create"), pair("Login", "create"), pair("Google", "skip")];
    assert_eq!(items(&preview), expected);
    assert_eq!(preview["items"][1]["fields"], json!(["username", "password"]));
    let problem = confirm(&scene, body.clone()).expect_problem(422, "validation_failed");
    let pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    let expected = ["/values/Slack_bot/value", "/values/Login/username", "/values/Login/password"];
    assert_eq!(pointers, expected);
    body["values"] = json!({
        "Slack_bot": { "value": scene.canary("slack") },
        "Login": { "username": "bob", "password": scene.canary("password") },
    });
    confirm(&scene, body.clone()).expect(200);
    saved(&scene, &["Login", "Slack_bot"]);
    body["values"] = json!({ "Nobody": { "value": scene.canary("nobody") } });
    confirm(&scene, body).expect_problem(422, "validation_failed");
    let vault = json!({ "app/db": { "user": "u", "password": scene.canary("vault") } });
    confirm(&scene, json!({ "format": "vault_kv", "content": vault.to_string() })).expect(200);
    let windmill = json!([
        { "path": "u/bob/token", "is_secret": true, "value": scene.canary("windmill") },
    ]);
    confirm(&scene, json!({ "format": "windmill", "content": windmill.to_string() })).expect(200);
    saved(&scene, &["Login", "Slack_bot", "app_db", "u_bob_token"]);
}

/// Runs a command against the server; gives its success and what it printed.
pub fn keyward(scene: &Scene, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(KEYWARD);
    command.args(arguments).env_clear().env("KEYWARD_URL", &scene.server.url);
    command.env("KEYWARD_TOKEN", &scene.server.token).env("KEYWARD_WORKSPACE", "default");
    command.env("HOME", scene.server.private()).stdin(Stdio::null());
    let output = command.output().expect("it runs");
    scene.server.evidence.keep("commands.out", &output.stdout);
    scene.server.evidence.keep("commands.err", &output.stderr);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_shows_a_preview_and_asks() {
    let scene = Scene::start("import-command");
    let file = scene.server.private().join("my.env");
    fs::write(&file, format!("ONE={}\nTWO={}\n", scene.canary("ONE"), scene.canary("TWO")))
        .unwrap();
    let file = file.to_str().unwrap();
    let run = |more: &[&str]| {
        keyward(&scene, &[&["credential", "import", file, "--format", "env"], more].concat())
    };
    let (done, shown, error) = run(&[]);
    assert!(!done && shown.contains("create") && error.contains("--yes"), "{shown}{error}");
    saved(&scene, &[]);
    let (done, shown, error) = run(&["--yes"]);
    assert!(done && shown.contains("imported 2"), "{shown}{error}");
    saved(&scene, &["ONE", "TWO"]);
    let (done, _, error) = run(&["--yes"]);
    assert!(!done && error.contains("nothing to import"), "{error}");
    let (done, shown, error) = run(&["--yes", "--overwrite", "--json"]);
    let parsed: Value = serde_json::from_str(&shown).expect("JSON");
    assert!(done && parsed["imported"] == true, "{shown}{error}");
}

#[test]
fn a_workflow_is_imported_with_a_binding_for_each_key() {
    on_both("import-workflow", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("HERE_TOKEN");
        scene.api_key("HERE_TOKEN", &value);
        scene.api_key("HERE_OTHER", &scene.canary("HERE_OTHER"));
        let source = "const say = \"credential('OLD_TOKEN')\";\n\
            await fetch('HOST/', { headers: { a: credential('OLD_TOKEN') } }); return say;";
        let definition = json!({
            "name": "Moved", "trigger": { "kind": "manual" },
            "steps": [
                scene.code("code", source),
                { "id": "call", "kind": "http", "credential": { "$credential": "OLD_OTHER" },
                    "request": { "method": "POST", "url": scene.host(), "json": { "k": "OLD_OTHER" } } },
            ],
        });
        let import = |bindings: Value| {
            let body = json!({ "definition": definition, "bindings": bindings });
            scene.server.post("/workflows/import", &body)
        };
        let problem = import(json!({})).expect_problem(422, "validation_failed");
        let pointers: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
        assert_eq!(pointers, ["/bindings/OLD_OTHER", "/bindings/OLD_TOKEN"]);
        let expected = json!(["HERE_OTHER", "HERE_TOKEN"]);
        assert_eq!(problem["candidates"]["OLD_TOKEN"], expected, "{problem}");
        for wrong in [
            json!({ "OLD_TOKEN": "HERE_TOKEN" }),
            json!({ "OLD_TOKEN": "HERE_TOKEN", "OLD_OTHER": "NOT_THERE" }),
            json!({ "OLD_TOKEN": "HERE_TOKEN", "OLD_OTHER": "no key" }),
            json!({ "OLD_TOKEN": "HERE_TOKEN", "OLD_OTHER": "HERE_OTHER", "MORE": "HERE_OTHER" }),
        ] {
            import(wrong).expect_problem(422, "validation_failed");
        }
        assert_eq!(scene.server.get("/workflows").expect(200)["items"], json!([]));
        let bindings = json!({ "OLD_TOKEN": "HERE_TOKEN", "OLD_OTHER": "HERE_OTHER" });
        let made = import(bindings).expect(201);
        assert_eq!(made["active"], false);
        let steps = &made["definition"]["steps"];
        let code = steps[0]["source"].as_str().unwrap();
        assert!(code.contains("credential(\"HERE_TOKEN\")"), "{code}");
        assert!(code.contains("\"credential('OLD_TOKEN')\""), "what is only text stays: {code}");
        assert_eq!(steps[1]["credential"]["$credential"], "HERE_OTHER");
        assert_eq!(steps[1]["request"]["json"]["k"], "OLD_OTHER");
        let id = made["id"].as_str().unwrap();
        let run = scene.run_again(id, &json!({}));
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(scene.echo.received()[0].header("a"), Some(value.as_str()));
        assert_eq!(scene.audit("action=workflow.imported").len(), 1);
        let exported = scene.server.get(&format!("/workflows/{id}/export")).expect(200);
        let needed = json!({
            "key": "HERE_OTHER", "type": "api_key", "app": null, "hosts": [scene.host()],
        });
        assert_eq!(exported["needs"][0], needed, "{exported}");
        let yaml = "name: Y\nsteps:\n  - id: a\n    kind: code\n    source: return 1\n";
        scene
            .server
            .post("/workflows/import", &json!({ "yaml": yaml, "active": true }))
            .expect(201);
    });
}

#[test]
fn the_command_says_which_keys_are_open_and_binds_them() {
    let scene = Scene::start("import-workflow-command");
    let value = scene.canary("HERE_TOKEN");
    scene.api_key("HERE_TOKEN", &value);
    let source = "await fetch('HOST/', { headers: { a: credential('OLD_TOKEN') } }); return 1;";
    let definition = json!({
        "name": "Moved", "trigger": { "kind": "manual" }, "steps": [scene.code("a", source)],
    });
    let exported = json!({ "definition": definition, "credentials": ["OLD_TOKEN"] });
    let path = scene.server.private().join("moved.json");
    fs::write(&path, exported.to_string()).unwrap();
    let import = |more: &[&str]| {
        let file = path.to_str().unwrap();
        keyward(&scene, &[&["--json", "workflow", "import", file], more].concat())
    };
    let told = "--bind OLD_TOKEN=…: you may use HERE_TOKEN";
    for (wrong, code) in [
        (&[][..], "(missing)"),
        (&["--bind", "OLD_TOKEN=NOT_THERE"], "(unknown_key)"),
        (&["--bind", "OLD_TOKEN=no key"], "(invalid_key)"),
    ] {
        let (done, shown, error) = import(wrong);
        assert!(!done && error.contains(&format!("{told} {code}")), "{shown}{error}");
    }
    assert_eq!(scene.server.get("/workflows").expect(200)["items"], json!([]));
    let bind = ["--bind", "OLD_TOKEN=HERE_TOKEN"];
    for (more, active) in [(&[][..], true), (&["--inactive"], false)] {
        let (done, shown, error) = import(&[&bind, more].concat());
        assert!(done, "{shown}{error}");
        let made: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(made["active"], active, "{made}");
        if active {
            let run = scene.run_again(made["id"].as_str().unwrap(), &json!({}));
            assert_eq!(run["status"], "succeeded", "{run}");
            assert_eq!(scene.echo.received()[0].header("a"), Some(value.as_str()));
        }
    }
}
