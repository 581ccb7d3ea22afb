//! What actions send: parameters and bodies.

use super::*;

/// What an operation sends for these inputs, which fit its schema.
fn check_sent(method: &str, path: &str, operation: Value, inputs: Value, expected: &str) {
    let (manifest, app) = imported(&described(method, path, operation), &all("library"));
    let action = &manifest["actions"][0];
    let schema = Schema::parse(&action["inputs"]).unwrap();
    assert_eq!(schema.validate(&inputs, ""), [], "{}", action["inputs"]);
    let sent = render(&app, action["id"].as_str().unwrap(), &inputs);
    assert_eq!(written(&sent), expected, "{action}");
}

fn parameter(place: &str, schema: Value, more: Value) -> Value {
    let mut parameter = json!({"name": "p", "in": place, "schema": schema});
    parameter.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"parameters": [parameter]})
}

#[test]
fn parameters_stand_where_they_are_described() {
    let check = |path: &str, parameter: Value, value: Value, expected: &str| {
        let expected = format!("GET https://api.library.example/v1{expected}");
        check_sent("get", path, parameter, json!({ "p": value }), &expected);
    };
    let (text, list) =
        (json!({"type": "string"}), json!({"type": "array", "items": {"type": "string"}}));
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
    let none = || json!({});
    check("/b/{p}/x", parameter("path", text.clone(), none()), json!("a/b c"), "/b/a%2Fb%20c/x");
    check("/b/{p}#same", parameter("path", text.clone(), none()), json!("x"), "/b/x");
    check("/b/{p}:run", parameter("path", text.clone(), none()), json!("x"), "/b/x:run");
    check("/b/{p}", parameter("path", list.clone(), none()), json!(["a", "b"]), "/b/a%2Cb");
    check("/b/{p}", json!({}), json!("undeclared"), "/b/undeclared");
    check("/b", parameter("query", text.clone(), none()), json!("a b"), "/b p=a b");
    check("/b", parameter("query", json!({"type": "boolean"}), none()), json!(true), "/b p=true");
    check("/b", parameter("query", list.clone(), none()), json!(["a", "b"]), "/b p=a p=b");
    check(
        "/b",
        parameter("query", list.clone(), json!({"explode": false})),
        json!(["a", "b"]),
        "/b p=a,b",
    );
    let pipes = json!({"style": "pipeDelimited", "explode": false});
    check("/b", parameter("query", list.clone(), pipes), json!(["a", "b"]), "/b p=a|b");
    let spaces = json!({"style": "spaceDelimited"});
    check("/b", parameter("query", list.clone(), spaces), json!(["a", "b"]), "/b p=a b");
    let deep = json!({"style": "deepObject", "explode": true});
    check("/b", parameter("query", object.clone(), deep.clone()), json!({"b": 1}), "/b p[b]=1");
    check("/b", parameter("query", list.clone(), deep), json!(["x", "y"]), "/b p[]=x p[]=y");
    check(
        "/b",
        parameter("query", object.clone(), none()),
        json!({"a": "x", "b": 1}),
        "/b a=x b=1",
    );
    check("/b", parameter("header", text, none()), json!("x"), "/b p: x");
    check(
        "/b",
        parameter("header", list, json!({"required": true})),
        json!(["a", "b"]),
        "/b p: a,b",
    );
    let content = json!({"parameters": [
        {"name": "p", "in": "query", "content": {"application/json": {"schema": object}}},
    ]});
    check("/b", content, json!({"a": "x"}), "/b p={\"a\":\"x\"}");
}

#[test]
fn what_is_not_given_is_not_sent() {
    let operation = json!({
        "parameters": [
            {"name": "q", "in": "query", "schema": {"type": "string"}},
            {"name": "ids", "in": "query", "explode": false, "schema": {"type": "array"}},
            {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
            {"name": "Api-Version", "in": "header", "required": true,
             "schema": {"type": "string", "default": "2026-01"}},
            {"name": "Accept", "in": "header", "schema": {"type": "string"}},
            {"name": "session", "in": "cookie", "schema": {"type": "string"}},
        ],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "required": ["title"],
            "properties": {"title": {"type": "string"}, "pages": {"type": "integer"}},
        }}}},
    });
    let url = "POST https://api.library.example/v1/books";
    check_sent(
        "post",
        "/books",
        operation.clone(),
        json!({"title": "T"}),
        &format!("{url} Api-Version: 2026-01 json {{\"title\":\"T\"}}"),
    );
    check_sent(
        "post",
        "/books",
        operation.clone(),
        json!({"title": "T", "pages": 7, "q": "x", "ids": [1, 2], "X-Trace": "t", "Api-Version": "v"}),
        &format!(
            "{url} q=x ids=1,2 X-Trace: t Api-Version: v json {{\"title\":\"T\",\"pages\":7}}"
        ),
    );
    let (manifest, _) = imported(&described("post", "/books", operation), &all("library"));
    let action = &manifest["actions"][0];
    assert_eq!(action["inputs"]["required"], json!(["title"]));
    assert_eq!(action["description"], "Not taken over: session.");
    assert_eq!((&action["id"], &action["name"]), (&json!("post_books"), &json!("POST /books")));
}

#[test]
fn bodies_are_sent_as_they_are_described() {
    let check = |media: &str, content: Value, inputs: Value, expected: &str| {
        let expected = format!("POST https://api.library.example/v1/b{expected}");
        check_sent("post", "/b", with_body(media, content), inputs, &expected);
    };
    let object = json!({"type": "object", "properties": {
        "a": {"type": "string"}, "odd-name": {"type": "integer"}, "o": {"type": "object"},
        "list": {"type": "array", "items": {"type": "string"}},
    }});
    let schema = json!({"schema": object});
    check("application/json", schema.clone(), json!({"odd-name": 1}), " json {\"odd-name\":1}");
    check(
        "application/json; charset=utf-8",
        schema.clone(),
        json!({"a": "x"}),
        " json {\"a\":\"x\"}",
    );
    check(
        "application/merge-patch+json",
        schema.clone(),
        json!({"a": "x"}),
        " Content-Type: application/merge-patch+json json {\"a\":\"x\"}",
    );
    check(
        "application/json",
        json!({"schema": {"type": "array"}}),
        json!({"body": [1]}),
        " json [1]",
    );
    check("application/json", json!({}), json!({"body": {"x": 1}}), " json {\"x\":1}");
    let either = json!({"schema": {"oneOf": [{"type": "object"}, {"type": "string"}]}});
    check("application/json", either, json!({"body": "x"}), " json \"x\"");
    let map = json!({"schema": {"type": "object", "additionalProperties": {"type": "string"}}});
    check("application/json", map, json!({"body": {"k": "v"}}), " json {\"k\":\"v\"}");
    let form = "application/x-www-form-urlencoded";
    check(
        form,
        schema,
        json!({"a": "x", "o": {"k": 1}, "list": ["p", "q"]}),
        " form a=x o={\"k\":1} list=p list=q",
    );
    let deep = json!({"style": "deepObject", "explode": true});
    let encoded = json!({"schema": object, "encoding": {"o": deep, "list": deep}});
    check(
        form,
        encoded,
        json!({"o": {"k": 1}, "list": ["p", "q"]}),
        " form o[k]=1 list[]=p list[]=q",
    );
    check("text/plain", json!({}), json!({"body": "hello"}), " text hello");
    check(
        "application/xml",
        json!({}),
        json!({"body": "<a/>"}),
        " Content-Type: application/xml text <a/>",
    );
    check(
        "application/octet-stream",
        json!({}),
        json!({"body": "AQI="}),
        " Content-Type: application/octet-stream bytes [1, 2]",
    );
    let optional = json!({"requestBody": {"required": false, "content": {"application/json": {}}}});
    check_sent("post", "/b", optional, json!({}), "POST https://api.library.example/v1/b json {}");
}

#[test]
fn names_that_clash_get_their_own_input() {
    let operation = json!({
        "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "id", "in": "query", "schema": {"type": "string"}},
            {"name": "{{ odd }}", "in": "query", "schema": {"type": "string"}},
        ],
        "requestBody": {"content": {"application/json": {"schema": {
            "type": "object", "properties": {"id": {"type": "string"}},
        }}}},
    });
    check_sent(
        "put",
        "/b/{id}",
        operation,
        json!({"id": "1", "query_id": "2", "___odd___": "3", "body": {"id": "4"}}),
        "PUT https://api.library.example/v1/b/1 id=2 {{ odd }}=3 json {\"id\":\"4\"}",
    );
    let form = json!({
        "parameters": [{"name": "body", "in": "query", "schema": {"type": "string"}}],
        "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {
            "type": "object", "required": ["body"], "properties": {"body": {"type": "string"}},
        }}}},
    });
    check_sent(
        "put",
        "/b",
        form,
        json!({"body": "q", "request_body": {"body": "f"}}),
        "PUT https://api.library.example/v1/b body=q form body=f",
    );
}
