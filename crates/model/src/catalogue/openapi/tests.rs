//! Imports of descriptions of ours, each of which the loader takes.

#![expect(clippy::needless_pass_by_value, reason = "tables of json!() read better without &")]

mod requests;
mod schemas;
mod schemes;

use super::*;
use crate::catalogue::App;
use crate::json_schema::Schema;
use crate::template::Context;
use crate::workflow::{RenderedBody, RenderedRequest};
use serde_json::json;
use std::sync::Arc;

/// A description of one operation, under `path`.
fn described(method: &str, path: &str, operation: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Library", "version": "1"},
        "servers": [{"url": "https://api.library.example/v1/"}],
        "paths": {path: {method: operation}},
    })
}

fn all(app_id: &str) -> Choice {
    Choice { app_id: app_id.to_owned(), ..Choice::default() }
}

/// The manifest, which the loader takes, with inputs that are a schema and an example that fits.
fn imported(description: &Value, choice: &Choice) -> (Value, App) {
    let manifest = to_manifest(description, choice).unwrap_or_else(|faults| panic!("{faults:?}"));
    let app = App::read(&manifest).unwrap_or_else(|faults| panic!("{faults:?}\n{manifest}"));
    for action in manifest["actions"].as_array().unwrap() {
        let schema = Schema::parse(&action["inputs"]).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(schema.validate(&action["example"], ""), [], "{action}");
    }
    assert_eq!(to_manifest(description, choice).unwrap().to_string(), manifest.to_string());
    (manifest, app)
}

fn render(app: &App, action: &str, inputs: &Value) -> RenderedRequest {
    let credential = json!({"base_url": "http://127.0.0.1:4010/v1"});
    let context = Context::of_action(Arc::new(inputs.clone()), Arc::new(credential));
    let request = app.action(action).unwrap().request.as_ref().unwrap();
    request.render(&context).unwrap_or_else(|error| panic!("{error}"))
}

/// The request in one line: method, URL, query, headers, body.
fn written(request: &RenderedRequest) -> String {
    let pairs = |pairs: &[(String, String)], by: &str| {
        pairs.iter().map(|(name, value)| format!(" {name}{by}{value}")).collect::<String>()
    };
    let body = match &request.body {
        None => String::new(),
        Some(RenderedBody::Json(value)) => format!(" json {value}"),
        Some(RenderedBody::Form(form)) => format!(" form{}", pairs(form, "=")),
        Some(RenderedBody::Text(text)) => format!(" text {text}"),
        Some(RenderedBody::Bytes(bytes)) => format!(" bytes {bytes:?}"),
    };
    let (query, headers) = (pairs(&request.query, "="), pairs(&request.headers, ": "));
    format!("{} {}{query}{headers}{body}", request.method, request.url)
}

fn with_body(media: &str, content: Value) -> Value {
    json!({"requestBody": {"required": true, "content": {media: content}}})
}

/// An operation that cannot be taken over: where, the word, and that the summary says so too.
fn check_unsupported(
    method: &str,
    path: &str,
    operation: Value,
    components: Value,
    expected: &str,
) {
    let mut description = described(method, path, operation);
    description["components"] = components;
    let faults = to_manifest(&description, &all("library")).expect_err("refused");
    let shown = |fault: &Fault| format!("{} {}", fault.pointer, fault.code);
    assert_eq!(faults.iter().map(shown).collect::<Vec<_>>(), [expected], "{description}");
    let summaries = operations(&description).unwrap();
    assert_eq!(summaries[0].supported.as_ref().map_err(shown), Err(expected.to_owned()));
}

#[test]
fn what_cannot_be_done_is_told_with_its_place() {
    let get = |parameter: Value| json!({"parameters": [parameter]});
    let needed = |place: &str, style: &str, kind: &str| json!({"name": "p", "in": place, "required": true, "style": style, "schema": {"type": kind}});
    let none = || json!({});
    let odd = "/paths/~1b/get/parameters/0 unsupported_parameter";
    check_unsupported("get", "/b", get(needed("cookie", "form", "string")), none(), odd);
    check_unsupported("get", "/b", get(needed("query", "form", "object")), none(), odd);
    check_unsupported("get", "/b", get(needed("header", "simple", "object")), none(), odd);
    check_unsupported("get", "/b", get(needed("body", "simple", "string")), none(), odd);
    check_unsupported(
        "get",
        "/b/{p}",
        get(needed("path", "matrix", "string")),
        none(),
        "/paths/~1b~1{p}/get/parameters/0 unsupported_parameter",
    );
    check_unsupported(
        "get",
        "/b",
        get(json!({"in": "query"})),
        none(),
        "/paths/~1b/get/parameters/0 missing",
    );
    check_unsupported("trace", "/b", none(), none(), "/paths/~1b/trace unsupported_method");
    check_unsupported("get", "/b%20x", none(), none(), "/paths/~1b%20x/get unsupported_path");
    check_unsupported("get", "/b/{x", none(), none(), "/paths/~1b~1{x/get unsupported_path");
    check_unsupported("get", "/b/x}", none(), none(), "/paths/~1b~1x}/get unsupported_path");
    check_unsupported(
        "post",
        "/b",
        with_body("multipart/form-data", json!({})),
        none(),
        "/paths/~1b/post/requestBody/content/multipart~1form-data unsupported_body",
    );
    check_unsupported(
        "post",
        "/b",
        with_body("application/x-www-form-urlencoded", json!({"schema": {"type": "array"}})),
        none(),
        "/paths/~1b/post/requestBody/content/application~1x-www-form-urlencoded unsupported_body",
    );
    check_unsupported(
        "get",
        "/b",
        get(json!({"$ref": "other.yaml#/P"})),
        none(),
        "/paths/~1b/get/parameters/0/$ref external_reference",
    );
    check_unsupported(
        "get",
        "/b",
        get(json!({"$ref": "#/components/parameters/P"})),
        json!({"parameters": {"P": {"$ref": "#/components/parameters/P"}}}),
        "/paths/~1b/get/parameters/0 circular_reference",
    );
    check_unsupported(
        "post",
        "/b",
        with_body("application/json", json!({"schema": {"$ref": "#/components/schemas/S"}})),
        json!({"schemas": {"S": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/No"}}}}}),
        "/components/schemas/S/properties/a/$ref unresolved_reference",
    );
    let schemes = json!({"securitySchemes": {
        "c": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "a": {"type": "http", "scheme": "bearer"}, "b": {"type": "http", "scheme": "basic"},
    }});
    let security = |security: Value| json!({ "security": security });
    check_unsupported(
        "get",
        "/b",
        security(json!([{"c": []}])),
        schemes.clone(),
        "/components/securitySchemes/c unsupported_security",
    );
    check_unsupported(
        "get",
        "/b",
        security(json!([{"a": [], "b": []}])),
        schemes.clone(),
        "/paths/~1b/get/security/0 unsupported_security",
    );
    check_unsupported(
        "get",
        "/b",
        security(json!([{"x": []}])),
        schemes,
        "/paths/~1b/get/security/0/x unresolved_reference",
    );
}

#[test]
fn only_descriptions_of_version_3_are_read() {
    let check = |description: Value, expected: &str| {
        let faults = operations(&description).expect_err("refused");
        assert_eq!(format!("{} {}", faults[0].pointer, faults[0].code), expected);
        assert_eq!(to_manifest(&description, &all("x")).expect_err("refused"), faults);
    };
    check(json!({"swagger": "2.0", "paths": {}}), "/swagger unsupported_version");
    check(json!({"openapi": "4.0.0", "paths": {}}), "/openapi unsupported_version");
    check(json!({"asyncapi": "3.0.0"}), "/openapi unsupported_version");
    check(json!({"openapi": 2.5, "paths": {}}), "/openapi unsupported_version");
    check(json!({"openapi": 3.1, "paths": {}}), "/paths missing");
    check(json!([]), "/openapi unsupported_version");
    check(json!({"openapi": "3.1.0"}), "/paths missing");
    check(json!({"openapi": "3.1.0", "paths": {}}), "/paths missing");
    check(json!({"openapi": "3.1.0", "paths": {"/a": {"get": 7}, "/b": 7}}), "/paths missing");
}

fn several() -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": "T"}, "servers": [{"url": "https://a.example"}],
        "paths": {
            "/a": {"get": {"operationId": "listThings", "tags": ["things"], "summary": "All\nthings"},
                   "parameters": [{"name": "shared", "in": "query", "schema": {"type": "string"}}],
                   "summary": "x"},
            "/b": {"$ref": "#/components/pathItems/B"},
            "/c": {"post": {"operationId": "list-things",
                            "requestBody": {"content": {"multipart/form-data": {}}}}},
            "x-note": {"get": {}},
        },
        "components": {"pathItems": {"B": {"delete": {}}}},
    })
}

#[test]
fn operations_are_listed_and_chosen() {
    let description = several();
    let summaries = operations(&description).unwrap();
    let shown = |one: &OperationSummary| {
        let supported = one.supported.is_ok();
        format!("{} {} {} {:?} {} {supported}", one.id, one.method, one.path, one.tags, one.summary)
    };
    assert_eq!(
        summaries.iter().map(shown).collect::<Vec<_>>(),
        [
            "list_things GET /a [\"things\"] All things true",
            "delete_b DELETE /b [] DELETE /b true",
            "list_things_2 POST /c [] list-things false",
        ]
    );
    let check = |ids: Option<&[&str]>, expected: Result<&[&str], &[&str]>| {
        let ids = ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let choice = Choice { operations: ids, ..all("t") };
        let found = to_manifest(&description, &choice);
        let found = found.map(|manifest| {
            let actions = manifest["actions"].as_array().unwrap().iter();
            actions.map(|action| action["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        let found = found.map_err(|faults| {
            faults
                .iter()
                .map(|fault| format!("{} {}", fault.pointer, fault.code))
                .collect::<Vec<_>>()
        });
        let expected = expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(found, expected.map_err(|all| all.iter().map(|f| (*f).to_owned()).collect()));
    };
    check(None, Ok(&["list_things", "delete_b"]));
    check(Some(&["delete_b"]), Ok(&["delete_b"]));
    check(Some(&["delete_b", "listThings", "list_things"]), Ok(&["list_things", "delete_b"]));
    check(Some(&["canary", "delete_b"]), Err(&["/paths unknown_operation"]));
    check(Some(&[]), Err(&["/paths missing"]));
    check(
        Some(&["list_things", "list_things_2"]),
        Err(&["/paths/~1c/post/requestBody/content/multipart~1form-data unsupported_body"]),
    );
    let (manifest, app) = imported(&description, &Choice { name: Some("Mine".into()), ..all("t") });
    assert_eq!((&manifest["name"], &manifest["id"]), (&json!("Mine"), &json!("t")));
    let (reads, changes) = (app.action("list_things").unwrap(), app.action("delete_b").unwrap());
    assert!(reads.reads && !changes.reads);
}

#[test]
fn work_is_bounded() {
    // Written out, these are 40 to the tenth parts.
    let node = |at: usize| {
        let next = json!({"$ref": format!("#/components/schemas/S{}", at + 1)});
        (format!("S{at}"), json!({"allOf": vec![next; 40]}))
    };
    let mut wide = several();
    wide["components"] = json!({"schemas": Value::Object((0..10).map(node).collect())});
    wide["components"]["schemas"]["S10"] =
        json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let schema = json!({"$ref": "#/components/schemas/S0"});
    for schema in [schema.clone(), json!({"type": "object", "properties": {"s": schema}})] {
        let body = with_body("application/json", json!({ "schema": schema }));
        wide["paths"] = json!({"/a": {"post": body}});
        imported(&wide, &all("t"));
    }
    let same = |at: usize| (format!("/p{at}"), json!({"get": {"operationId": "same"}}));
    wide["paths"] = Value::Object((0..5000).map(same).collect());
    assert_eq!(operations(&wide).unwrap().last().map(|one| one.id.as_str()), Some("same_5000"));
    wide["paths"]["/more"] = json!({"get": {}});
    assert_eq!(operations(&wide).expect_err("too many")[0].code, "too_large");
}

#[test]
fn sizes_are_bounded() {
    let operation = |at: usize| (format!("/p{at}"), json!({"get": {}}));
    let mut many = several();
    many["paths"] = Value::Object((0..=MAX_OPERATIONS).map(operation).collect());
    let faults = to_manifest(&many, &all("t")).expect_err("too many");
    assert_eq!(faults[0].code, "too_many_operations");
    assert_eq!(operations(&many).unwrap().len(), MAX_OPERATIONS + 1);

    // Each of these would be twice as large as the one before it.
    let node = |at: usize| {
        let next = json!({"$ref": format!("#/components/schemas/S{}", at + 1)});
        (format!("S{at}"), json!({"type": "object", "properties": {"a": next, "b": next}}))
    };
    let mut large = several();
    large["components"] = json!({"schemas": Value::Object((0..30).map(node).collect())});
    large["components"]["schemas"]["S30"] = json!({"type": "string"});
    let body =
        with_body("application/json", json!({"schema": {"$ref": "#/components/schemas/S0"}}));
    let operation = |at: usize| (format!("/p{at}"), json!({ "post": body }));
    large["paths"] = Value::Object((0..40).map(operation).collect());
    let (manifest, _) = imported(&large, &all("t"));
    assert!(manifest.to_string().len() <= MAX_MANIFEST_BYTES);

    // Nothing can be left out of these.
    let long = |at: usize| {
        let parameter =
            |of: usize| json!({"name": format!("{at}_{of}_{}", "x".repeat(80)), "in": "query"});
        let parameters: Vec<_> = (0..100).map(parameter).collect();
        (format!("/p{at}"), json!({"get": {"parameters": parameters}}))
    };
    large["paths"] = Value::Object((0..60).map(long).collect());
    assert_eq!(to_manifest(&large, &all("t")).expect_err("too large")[0].code, "too_large");
}
