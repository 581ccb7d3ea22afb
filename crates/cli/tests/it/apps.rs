//! A workspace's own apps: uploaded, imported from OpenAPI, replaced, deleted, and seen by nobody else.

use crate::import::keyward;
use crate::samples;
use crate::scene::Scene;
use crate::server::{Answer, Server, on_both};
use serde_json::{Value, json};
use std::fs;

const THINGS: &str = "\
id: things
name: Things
description: A service with things.
schemes:
  - id: key
    name: API key
    type: api_key
    fields:
      - { name: api_key, label: API key, secret: true }
      - { name: base_url, label: Base URL, format: url }
    hosts: ['{{ base_url }}']
    attach: { headers: { X-Api-Key: '{{ api_key }}' } }
actions:
  - id: get_thing
    name: Get a thing
    reads: true
    inputs: # what people give
      type: object
      properties: { id: { type: string } }
      required: [id]
      additionalProperties: false
    request: { url: '{{ credential.base_url }}/v1/things/{{ inputs.id }}' }
    example: { id: '1' }
";

/// Sends a manifest as YAML.
fn send(server: &Server, method: &str, path: &str, text: &str) -> Answer {
    let token = format!("Bearer {}", server.token);
    let headers = [("Authorization", token.as_str()), ("Content-Type", "application/yaml")];
    let path = format!("/api/v1/workspaces/default{path}");
    server.send(method, &path, &headers, text.as_bytes())
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// A credential of an own app that goes to the echo service; gives its value.
fn credential(scene: &Scene, key: &str, app: &str) -> String {
    let value = scene.canary(key);
    let fields = json!({ "api_key": value, "base_url": scene.host() });
    scene.credential(&json!({ "key": key, "app": app, "fields": fields }));
    value
}

fn step(app: &str, key: &str) -> Value {
    json!([{
        "id": "s", "kind": "app", "app": app, "action": "get_thing",
        "credential": { "$credential": key }, "inputs": { "id": "7 8" },
    }])
}

/// Runs a workflow; gives method, target and key of the one request that it sent.
#[track_caller]
fn sent(scene: &Scene, workflow: &str) -> (String, String, String) {
    let before = scene.echo.received().len();
    let run = scene.run_again(workflow, &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let received = scene.echo.received();
    assert_eq!(received.len(), before + 1, "{run}");
    let request = &received[before];
    let key = request.header("x-api-key").unwrap_or_default().to_owned();
    (request.method.clone(), request.target.clone(), key)
}

#[test]
fn an_uploaded_app_is_used_replaced_and_deleted() {
    on_both("apps-uploaded", |server| {
        let scene = Scene::with(server);
        let server = &scene.server;
        let made = send(server, "POST", "/apps", THINGS).expect(201);
        assert_eq!((&made["id"], &made["own"]), (&json!("things"), &json!(true)), "{made}");
        assert_eq!(made["saved"]["source"], "uploaded");
        assert_eq!(made["hosts"], json!(["{{ base_url }}"]));
        assert_eq!(made["schemes"][0]["has_test"], false);
        let field = json!({
            "name": "api_key", "label": "API key",
            "secret": true, "required": true, "guards": false,
        });
        assert_eq!(made["schemes"][0]["fields"][0], field);
        assert_eq!(made["actions"][0]["inputs"]["required"], json!(["id"]));
        send(server, "POST", "/apps", THINGS).expect_problem(409, "conflict");

        let value = credential(&scene, "THINGS", "things");
        let workflow = scene.manual(&step("things", "THINGS"));
        let expected = |target: &str| ("GET".to_owned(), target.to_owned(), value.clone());
        assert_eq!(sent(&scene, &workflow), expected("/v1/things/7%208"));
        let other = THINGS.replace("/v1/", "/v2/");
        let replaced = send(server, "PUT", "/apps/things", &other).expect(200);
        assert_eq!(replaced["saved"]["revision"], 2);
        assert_eq!(sent(&scene, &workflow), expected("/v2/things/7%208"));
        let shown = server.get("/apps/things").expect(200);
        let url = "{{ credential.base_url }}/v2/things/{{ inputs.id }}";
        assert_eq!(shown["manifest"]["actions"][0]["request"]["url"], url);

        // What replaces it under another id is another app.
        let renamed = send(server, "PUT", "/apps/things", &THINGS.replace("id: things", "id: x"));
        assert_eq!(renamed.expect_problem(422, "validation_failed")["errors"][0]["pointer"], "/id");

        let refused = server.api("DELETE", "/apps/things", &Value::Null);
        let refused = refused.expect_problem(409, "conflict");
        assert_eq!((&refused["credentials"], &refused["workflows"]), (&json!(1), &json!(1)));
        server.api("DELETE", "/apps/things?confirm=true", &Value::Null).expect(204);
        server.get("/apps/things").expect_problem(404, "not_found");
        server.api("DELETE", "/apps/things", &Value::Null).expect_problem(404, "not_found");
        let run = scene.run_again(&workflow, &json!({}));
        assert_eq!(run["error"]["code"], "validation_failed", "{run}");

        // Made anew it counts from its beginning, although its revision was there before.
        send(server, "POST", "/apps", &THINGS.replace("/v1/", "/v3/")).expect(201);
        assert_eq!(sent(&scene, &workflow), expected("/v3/things/7%208"));
        for action in ["app.created", "app.updated", "app.deleted"] {
            let found = scene.audit(&format!("action={action}"));
            assert!(found.iter().all(|event| event["reason"] == "things"), "{found:?}");
            assert_eq!(found.len(), if action == "app.created" { 2 } else { 1 }, "{action}");
        }
    });
}

#[test]
fn mistakes_are_told_with_their_line() {
    let scene = Scene::start("apps-mistakes");
    let server = &scene.server;
    let check = |from: &str, to: &str, line: usize, pointer: &str| {
        assert!(THINGS.contains(from), "{from}");
        let answer = send(server, "POST", "/apps", &THINGS.replacen(from, to, 1));
        let problem = answer.expect_problem(422, "validation_failed");
        let told = problem["errors"].as_array().expect("errors").iter().any(|error| {
            let detail = error["detail"].as_str().expect("a detail");
            error["pointer"] == pointer && detail.starts_with(&format!("line {line}: "))
        });
        assert!(told, "{to}: {problem}");
    };
    check("id: things", "id: Things", 1, "/id");
    check("id: things", "id: slack", 1, "/id");
    check("id: things", "id: openapi", 1, "/id");
    check("name: Things\n", "", 1, "/name");
    check("description: A", "protocol: postgres\ndescription: A", 3, "/protocol");
    check("type: api_key", "type: apikey", 7, "/schemes/0/type");
    check("'{{ base_url }}'", "http://api.example.com", 11, "/schemes/0/hosts/0");
    check("'{{ base_url }}'", "'{{ api_key }}'", 11, "/schemes/0/hosts/0");
    check("'{{ api_key }}' }", "'{{ token }}' }", 12, "/schemes/0/attach/headers/X-Api-Key");
    check("{{ inputs.id }}", "{{ inputs.name }}", 22, "/actions/0/request/url");
    check("{{ credential.base_url }}", "https://{{ inputs.id }}", 22, "/actions/0/request/url");
    check("reads:", "read:", 16, "/actions/0/read");
    check("    name: Get", "   name: Get", 15, "");
    assert_eq!(
        ids(&server.get("/apps?limit=200").expect(200)).iter().position(|id| id == "things"),
        None
    );

    let padded = format!("{THINGS}# {}\n", "x".repeat(1 << 20));
    send(server, "POST", "/apps", &padded).expect_problem(413, "payload_too_large");
    let document = samples::manifest("json_things", "https://api.example.com").to_string();
    let broken = document.replacen("\"type\":\"api_key\"", "\n\"type\":\"key\"", 1);
    let parsed: Value = serde_json::from_str(&broken).expect("JSON");
    let told = server.post("/apps", &parsed).expect_problem(422, "validation_failed");
    assert_eq!(told["errors"][0]["pointer"], "/schemes/0/type", "{told}");
    server.api("PUT", "/apps/slack", &parsed).expect_problem(409, "conflict");
    server.api("DELETE", "/apps/slack", &Value::Null).expect_problem(409, "conflict");
    server.api("PUT", "/apps/nothing", &parsed).expect_problem(404, "not_found");
}

#[test]
fn apps_are_listed_with_all_that_a_form_needs() {
    let scene = Scene::start("apps-lists");
    let server = &scene.server;
    let get = |path: &str| server.call_as(&server.token, "GET", path, &Value::Null);
    let list = get("/api/v1/apps?limit=200").expect(200);
    let slack = list["items"].as_array().expect("items").iter().find(|app| app["id"] == "slack");
    let slack = slack.expect("Slack comes with the server");
    assert_eq!((&slack["own"], &slack["saved"]), (&json!(false), &Value::Null));
    assert_eq!(slack["hosts"], json!(["slack.com"]));
    let token = slack["schemes"][0]["fields"].as_array().expect("fields").iter();
    assert!(token.clone().any(|field| field["name"] == "bot_token" && field["secret"] == true));
    let actions = slack["actions"].as_array().expect("actions");
    let action = actions.iter().find(|action| action["id"] == "send_message").expect("an action");
    assert_eq!(action["inputs"]["type"], "object");

    let built_in = ids(&list);
    send(server, "POST", "/apps", THINGS).expect(201);
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/apps?limit=2{cursor}")).expect(200);
        walked.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut expected = [built_in.clone(), vec!["things".to_owned()]].concat();
    expected.sort();
    assert_eq!(walked, expected);
    assert_eq!(
        ids(&get("/api/v1/apps?limit=200").expect(200)),
        built_in,
        "own ones are not public"
    );
    server.get("/apps?cursor=not%20one").expect_problem(422, "validation_failed");
    let schema = server.send("GET", "/api/app.schema.json", &[], &[]).expect(200);
    assert!(schema["properties"]["schemes"].is_object(), "{schema}");
}

#[test]
fn another_workspace_knows_nothing_of_an_own_app() {
    let scene = Scene::start("apps-foreign");
    let server = &scene.server;
    send(server, "POST", "/apps", THINGS).expect(201);
    let call =
        |method: &str, path: &str, body: &Value| server.call_as(&server.token, method, path, body);
    let other = call("POST", "/api/v1/workspaces", &json!({ "name": "Other" })).expect(201);
    let base = format!("/api/v1/workspaces/{}", other["slug"].as_str().expect("a slug"));
    let list = call("GET", &format!("{base}/apps?limit=200"), &Value::Null).expect(200);
    assert!(!ids(&list).contains(&"things".to_owned()));
    call("GET", &format!("{base}/apps/things"), &Value::Null).expect_problem(404, "not_found");
    let fields = json!({ "api_key": scene.canary("FOREIGN"), "base_url": scene.host() });
    let new = json!({ "key": "K", "app": "things", "fields": fields });
    let told = call("POST", &format!("{base}/credentials"), &new);
    assert_eq!(told.expect_problem(422, "validation_failed")["errors"][0]["code"], "unknown_app");
    let definition =
        json!({ "name": "W", "trigger": { "kind": "manual" }, "steps": step("things", "K") });
    let told = call("POST", &format!("{base}/workflows"), &definition);
    told.expect_problem(422, "validation_failed");
    // The same id is free there.
    let body = samples::manifest("things", "https://api.example.com");
    call("POST", &format!("{base}/apps"), &body).expect(201);
    assert_eq!(server.get("/apps/things").expect(200)["hosts"], json!(["{{ base_url }}"]));
}

#[test]
fn a_workspace_has_a_limited_number_of_apps() {
    let scene = Scene::start("apps-limit");
    let app = |number: usize| {
        let manifest = samples::manifest(&format!("app_{number}"), "https://api.example.com");
        scene.server.post("/apps", &manifest)
    };
    (0..200).for_each(|number| drop(app(number).expect(201)));
    assert_eq!(app(200).expect_problem(422, "validation_failed")["errors"][0]["code"], "too_many");
    scene.server.api("DELETE", "/apps/app_7", &Value::Null).expect(204);
    app(200).expect(201);
}

#[test]
fn an_openapi_description_becomes_an_app_that_works() {
    let scene = Scene::start("apps-openapi");
    let server = &scene.server;
    let import = |body: &Value| server.post("/apps/openapi", body);
    let description = samples::description();
    let dry = import(&json!({ "description": description, "dry_run": true })).expect(200);
    assert_eq!(dry["app"], Value::Null);
    let told: Vec<_> = dry["operations"].as_array().expect("operations").iter().collect();
    assert_eq!(
        (told.len(), &told[0]["supported"], &told[1]["supported"]),
        (2, &json!(true), &json!(false))
    );
    assert_eq!(told[1]["reason"]["code"], "unsupported_method", "{dry}");
    assert!(told[1]["reason"]["pointer"].as_str().expect("a place").starts_with("/paths/"));

    let refused = |change: Value, pointer: &str| {
        let mut body = json!({ "description": description, "id": "imported" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = import(&body).expect_problem(422, "validation_failed");
        let found = problem["errors"][0]["pointer"].as_str().expect("a pointer");
        assert!(found.starts_with(pointer), "{found} {problem}");
    };
    refused(json!({ "id": null }), "/id");
    refused(json!({ "id": "Not One", "dry_run": true }), "/id");
    refused(json!({ "id": "Not One" }), "/id");
    refused(json!({ "id": "slack" }), "/id");
    refused(json!({ "operations": ["nothing"] }), "/operations");
    refused(json!({ "operations": [told[1]["id"]] }), "/description/paths/");
    refused(json!({ "server_url": "ftp://x" }), "/server_url");
    refused(json!({ "description": { "swagger": "2.0" } }), "/description/swagger");
    refused(json!({ "description": "openapi: [" }), "/description");
    assert_eq!(scene.audit("action=app.created").len(), 0);

    // The text of a description does as well as the document itself.
    let body = json!({
        "description": description.to_string(), "id": "imported", "name": "Imported",
        "operations": [told[0]["id"]], "server_url": scene.host(),
    });
    let made = import(&body).expect(201);
    let app = &made["app"];
    assert_eq!((&app["name"], &app["saved"]["source"]), (&json!("Imported"), &json!("openapi")));
    let action = app["actions"][0]["id"].as_str().expect("an action").to_owned();
    let field = app["schemes"][0]["fields"][0]["name"].as_str().expect("a field").to_owned();
    let value = scene.canary("IMPORTED");
    let new = json!({ "key": "IMPORTED", "app": "imported", "fields": { field: value } });
    scene.credential(&new);
    let steps = json!([{
        "id": "s", "kind": "app", "app": "imported", "action": action,
        "credential": { "$credential": "IMPORTED" }, "inputs": { "id": "a b" },
    }]);
    let workflow = scene.manual(&steps);
    let (method, target, key) = sent(&scene, &workflow);
    assert_eq!((method.as_str(), target.as_str(), key), ("GET", "/things/a%20b", value));
}

#[test]
fn the_commands_add_show_and_delete_apps() {
    let scene = Scene::start("apps-commands");
    let file = scene.server.private().join("things.yaml");
    let path = file.to_str().expect("a path");
    let run = |arguments: &[&str]| keyward(&scene, &[&["app"], arguments].concat());
    fs::write(&file, THINGS.replace("reads: true", "reads: 7")).unwrap();
    let (done, _, errors) = run(&["apply", path]);
    assert!(!done && errors.contains("/actions/0/reads: line 16: "), "{errors}");
    fs::write(&file, THINGS).unwrap();
    let (done, shown, errors) = run(&["apply", path]);
    assert!(done && shown.starts_with("made") && shown.contains("get_thing"), "{shown}{errors}");
    fs::write(&file, THINGS.replace("/v1/", "/v2/")).unwrap();
    let (done, shown, errors) = run(&["apply", path]);
    assert!(done && shown.starts_with("replaced"), "{shown}{errors}");
    let (done, shown, _) = run(&["get", "things"]);
    assert!(done && shown.contains("/v2/things/"), "{shown}");
    // What was printed can be applied again.
    let again = scene.server.private().join("again.json");
    fs::write(&again, &shown).unwrap();
    let (done, shown, errors) = run(&["apply", again.to_str().unwrap()]);
    assert!(done && shown.starts_with("replaced"), "{shown}{errors}");

    let described = scene.server.private().join("described.json");
    fs::write(&described, samples::description().to_string()).unwrap();
    let described = described.to_str().unwrap();
    let (done, shown, errors) = run(&["import-openapi", described, "--dry-run"]);
    assert!(done && shown.contains("/things/{id}") && shown.contains("TRACE"), "{shown}{errors}");
    let (done, shown, errors) = run(&["import-openapi", described, "--id", "imported"]);
    assert!(done && shown.contains("api.example.com"), "{shown}{errors}");
    let (done, shown, _) = run(&["list"]);
    assert!(done && shown.contains("imported") && shown.contains("slack"), "{shown}");

    credential(&scene, "USED", "things");
    let (done, _, errors) = run(&["delete", "things"]);
    assert!(!done && errors.contains("1 credential and 0 workflows use this app"), "{errors}");
    let (done, shown, errors) = run(&["delete", "things", "--confirm"]);
    assert!(done && shown.contains("deleted things"), "{shown}{errors}");
}
