//! Requests that fit a description, and such that do not in one way each.

use serde_json::{Value, json};

use super::check;
use crate::echo::Received;

fn request(line: &str, headers: &[(&str, &str)], body: &str) -> Received {
    let (method, target) = line.split_once(' ').expect("method and target");
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Received {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(own).collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn openapi() -> Value {
    json!({
        "openapi": "3.0.3",
        "servers": [{ "url": "https://{team}.example.com/v1" }, { "url": "https://example.org" }],
        "security": [{ "key": [] }, { "token": [] }],
        "paths": {
            "/users/{id}.json": {
                "parameters": [{ "$ref": "#/components/parameters/id" }],
                "get": { "parameters": [
                    { "name": "limit", "in": "query", "required": true,
                      "schema": { "type": "integer", "maximum": 10 } },
                    { "name": "with", "in": "query",
                      "schema": { "type": "array", "items": { "enum": ["a", "b"] } } },
                    { "name": "X-Version", "in": "header", "required": true,
                      "schema": { "type": "string" } },
                ] },
            },
            "/users/me.json": { "get": { "security": [] } },
            "/users": { "post": { "requestBody": { "required": true, "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/user" } },
                "application/x-www-form-urlencoded": {
                    "schema": { "$ref": "#/components/schemas/user" } },
            } } } },
        },
        "components": {
            "parameters": { "id": { "name": "id", "in": "path", "required": true,
                "schema": { "type": "integer" } } },
            "schemas": { "user": {
                "type": "object", "required": ["name"], "additionalProperties": false,
                "properties": {
                    "name": { "type": "string" }, "age": { "type": "integer" },
                    "tags": { "type": "array", "items": { "type": "string" } },
                    "address": { "type": "object", "properties": { "no": { "type": "number" } } },
                },
            } },
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "query", "name": "api_key" },
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn requests_of_openapi_3() {
    let api = openapi();
    let host = ("Host", "a.example.com");
    let signed = ("Authorization", "Bearer x");
    let version = ("x-version", "1");
    let check = |line: &str, headers: &[(&str, &str)], body: &str, expected: &[&str]| {
        assert_eq!(check(&api, &request(line, headers, body)), expected, "{line} {body}");
    };
    let get = |line: &str, expected: &[&str]| check(line, &[host, signed, version], "", expected);
    get("GET /v1/users/7.json?limit=10", &[]);
    get("GET /v1/users/7.json?limit=10&with=a&with=b", &[]);
    get("GET /v1/users/7.json?limit=10&with=a,b", &[]);
    get("GET /v1/users/me.json", &[]);
    get("GET /v1/users/7", &["a.example.com/v1/users/7 is not described"]);
    get("GET /users/7.json", &["a.example.com/users/7.json is not described"]);
    get("PUT /v1/users", &["a.example.com/v1/users is not described for PUT"]);
    get("GET /v1/users/7.json", &["query parameter limit is missing"]);
    get("GET /v1/users/x.json?limit=1", &["path parameter id: must be a whole number"]);
    get("GET /v1/users/7.json?limit=x", &["query parameter limit: must be a whole number"]);
    get("GET /v1/users/7.json?limit=1&page=2", &["query parameter page is not described"]);
    let line = "GET /v1/users/7.json?limit=1";
    check(line, &[host, signed], "", &["header parameter X-Version is missing"]);
    let unsigned = "it does not authenticate itself as described";
    check(line, &[host, version], "", &[unsigned]);
    check(line, &[host, version, ("Authorization", "Basic x")], "", &[unsigned]);
    check("GET /v1/users/7.json?limit=1&api_key=x", &[host, version], "", &[]);
    check("GET /v1/users/me.json", &[host], "", &[]);
    check(line, &[("Host", "example.net")], "", &["example.net/v1/users/7.json is not described"]);
    check(line, &[host, signed, version], "x", &["there is a body, but none is described"]);

    let post = |kind, body: &str, expected: &[&str]| {
        check("POST /users", &[("Host", "example.org"), signed, kind], body, expected);
    };
    post(JSON, r#"{"name": "a", "age": 1, "tags": ["x"], "address": {"no": 1}}"#, &[]);
    post(JSON, "", &["the body is missing"]);
    post(JSON, "{", &["the body is no JSON"]);
    post(("Content-Type", "text/plain"), "a", &["a body of type `text/plain` is not described"]);
    post(FORM, "name=a+b&age=1&tags[]=1&tags[]=x&address[no]=1.5", &[]);
    for (kind, body, begins) in [
        (JSON, r#"{"age": 1}"#, "body"),
        (JSON, r#"{"name": 1}"#, "body/name: "),
        (JSON, r#"{"name": "a", "age": "1"}"#, "body/age: "),
        (JSON, r#"{"name": "a", "nick": "b"}"#, "body/nick: "),
        (FORM, "name=a&age=x", "body/age: "),
        (FORM, "name=a&tags[x]=1", "body/tags: "),
    ] {
        let sent = request("POST /users", &[("Host", "example.org"), signed, kind], body);
        let faults = super::check(&api, &sent);
        assert!(faults.len() == 1 && faults[0].starts_with(begins), "{body}: {faults:?}");
    }
}

#[test]
fn requests_of_swagger_2() {
    let api = json!({
        "swagger": "2.0", "host": "api.example.com", "basePath": "/v2", "consumes": ["application/json"],
        "security": [{ "basic": [] }],
        "securityDefinitions": { "basic": { "type": "basic" } },
        "paths": {
            "/notes": {
                "post": { "parameters": [
                    { "name": "note", "in": "body", "required": true,
                      "schema": { "$ref": "#/definitions/note" } },
                ] },
                "get": { "parameters": [
                    { "name": "sort", "in": "query", "type": "string", "enum": ["up", "down"] },
                ] },
            },
            "/files": { "post": {
                "consumes": ["application/x-www-form-urlencoded"],
                "parameters": [
                    { "name": "size", "in": "formData", "type": "integer", "required": true },
                ],
            } },
        },
        "definitions": { "note": { "type": "object", "required": ["text"],
            "properties": { "text": { "type": "string" } } } },
    });
    let headers = |kind| [("Host", "api.example.com"), ("Authorization", "Basic eDp5"), kind];
    let faults = |line: &str, kind, body: &str| check(&api, &request(line, &headers(kind), body));
    assert_eq!(faults("POST /v2/notes", JSON, r#"{"text": "a"}"#), [""; 0]);
    assert_eq!(faults("GET /v2/notes?sort=up", JSON, ""), [""; 0]);
    assert_eq!(faults("POST /v2/files", FORM, "size=7"), [""; 0]);
    assert_eq!(faults("POST /v2/files", JSON, "{}").len(), 1);
    let begins = |found: Vec<String>, begin: &str| {
        assert!(found.len() == 1 && found[0].starts_with(begin), "{found:?}");
    };
    begins(faults("POST /v2/notes", JSON, r#"{"text": 1}"#), "body/text: ");
    begins(faults("GET /v2/notes?sort=left", JSON, ""), "query parameter sort: ");
    begins(faults("POST /v2/files", FORM, "size=x"), "body/size: ");
    begins(faults("POST /v2/files", FORM, "other=1"), "body");
    begins(faults("POST /notes", JSON, "{}"), "api.example.com/notes is not described");
}

#[test]
fn requests_of_vendors_own_descriptions() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/tests/openapi");
    let faults = |vendor: &str, host: &str, line: &str, body: &str| {
        let text = std::fs::read_to_string(format!("{folder}/{vendor}.json"));
        let api = serde_json::from_str(&text.expect("a description")).expect("JSON");
        let headers = [("Host", host), ("Authorization", "Bearer x"), JSON];
        check(&api, &request(line, &headers, body))
    };
    let github = |line: &str, body: &str| faults("github", "api.github.com", line, body);
    let issues = "/repos/octo/hello/issues";
    assert_eq!(github(&format!("GET {issues}?state=open&per_page=10"), ""), [""; 0]);
    let post = format!("POST {issues}");
    assert_eq!(github(&post, r#"{"title": "a", "labels": ["b", {"name": "c"}]}"#), [""; 0]);
    assert_eq!(github(&format!("POST {issues}/7/comments"), r#"{"body": "a"}"#), [""; 0]);
    assert_eq!(github(&format!("GET {issues}?state=some"), "").len(), 1);
    assert_eq!(github(&post, r#"{"labels": ["b"]}"#).len(), 1);
    assert_eq!(github(&post, r#"{"title": "a", "labels": "b"}"#).len(), 1);
    assert_eq!(github(&format!("POST {issues}/x/comments"), r#"{"body": "a"}"#).len(), 1);

    let slack = |line: &str, body: &str| faults("slack", "slack.com", line, body);
    let post = "POST /api/chat.postMessage";
    assert_eq!(slack(post, r#"{"channel": "C1", "text": "a"}"#), [""; 0]);
    assert_eq!(slack("GET /api/conversations.list?limit=2", ""), [""; 0]);
    assert_eq!(slack(post, r#"{"text": "a"}"#).len(), 1);

    let mail = r#"{"personalizations": [{"to": [{"email": "a@example.com"}]}],
        "from": {"email": "b@example.com"}, "subject": "c",
        "content": [{"type": "text/plain", "value": "d"}]}"#;
    let sendgrid = |body: &str| faults("sendgrid", "api.sendgrid.com", "POST /v3/mail/send", body);
    assert_eq!(sendgrid(mail), [""; 0]);
    assert_eq!(sendgrid(&mail.replace("\"to\"", "\"too\"")).len(), 1);
}
