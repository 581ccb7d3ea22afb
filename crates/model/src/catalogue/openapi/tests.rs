#![expect(clippy::needless_pass_by_value, reason = "tables of json!() read better without &")]

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

fn with_body(media: &str, content: Value) -> Value {
    json!({"requestBody": {"required": true, "content": {media: content}}})
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

/// The inputs' schema of a JSON body of this schema, with these components.
fn inputs_of(schema: Value, components: Value) -> Value {
    let operation = with_body("application/json", json!({ "schema": schema }));
    let mut description = described("post", "/b", operation);
    description["components"] = json!({ "schemas": components });
    imported(&description, &all("library")).0["actions"][0]["inputs"].clone()
}

#[test]
fn schemas_are_written_out() {
    let check = |schema: Value, components: Value, expected: Value| {
        assert_eq!(inputs_of(schema.clone(), components), expected, "{schema}");
    };
    let inputs = |properties: Value, required: &[&str]| {
        let mut inputs = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            inputs["required"] = json!(required);
        }
        inputs["additionalProperties"] = json!(false);
        inputs
    };
    // What only the service sends, other words, and flags of 3.0.
    check(
        json!({"type": "object", "required": ["id", "n"], "properties": {
            "id": {"type": "string", "readOnly": true},
            "n": {"type": "integer", "minimum": 1, "exclusiveMinimum": true, "nullable": true,
                  "discriminator": {"propertyName": "x"}, "if": {}, "x-y": 1, "example": 5},
            "e": {"type": "string", "enum": ["a"], "nullable": true},
        }}),
        json!({}),
        inputs(
            json!({
                "n": {"type": ["integer", "null"], "exclusiveMinimum": 1, "examples": [5]},
                "e": {"type": ["string", "null"], "enum": ["a", null]},
            }),
            &["n"],
        ),
    );
    // References, parts, forms.
    check(
        json!({"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"b": {
            "$ref": "#/components/schemas/Base", "description": "Said here.",
        }}}]}),
        json!({"Base": {"type": "object", "required": ["a"], "description": "Said there.", "properties": {
            "a": {"oneOf": [{"type": "string", "pattern": "(?!x)"}, {"type": "integer"}]},
        }}}),
        inputs(
            json!({
                "a": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "b": {"type": "object", "required": ["a"], "description": "Said here.", "properties": {
                    "a": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                }},
            }),
            &["a"],
        ),
    );
    // Circles end.
    check(
        json!({"type": "object", "properties": {"node": {"$ref": "#/components/schemas/Node"}}}),
        json!({"Node": {"type": "object", "properties": {
            "next": {"$ref": "#/components/schemas/Node"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        }}}),
        inputs(
            json!({"node": {"type": "object", "properties": {
                "next": {"type": "object"},
                "children": {"type": "array", "items": {"type": "object"}},
            }}}),
            &[],
        ),
    );
}

#[test]
fn examples_fit_their_schema() {
    let check = |schema: Value, expected: Value| {
        let operation = with_body(
            "application/json",
            json!({"schema": {"type": "object", "required": ["v"], "properties": {"v": schema}}}),
        );
        let (manifest, _) = imported(&described("post", "/b", operation), &all("library"));
        assert_eq!(manifest["actions"][0]["example"], json!({ "v": expected }), "{schema}");
    };
    check(json!({"type": "string"}), json!("text"));
    check(json!({"type": "string", "minLength": 6, "maxLength": 7}), json!("textxx"));
    check(json!({"type": "string", "maxLength": 2}), json!("te"));
    check(json!({"type": "string", "format": "email"}), json!("ada@example.com"));
    check(json!({"type": "string", "enum": ["open", "shut"]}), json!("open"));
    check(json!({"type": "string", "example": "mine"}), json!("mine"));
    check(json!({"type": "integer", "example": "no number", "default": 4}), json!(4));
    check(json!({"type": "integer", "minimum": 10, "multipleOf": 4}), json!(12));
    check(json!({"type": "number", "exclusiveMaximum": 0}), json!(-1));
    check(
        json!({"type": "array", "minItems": 2, "items": {"type": "boolean"}}),
        json!([true, true]),
    );
    check(json!({"anyOf": [{"type": "null"}, {"type": "integer"}]}), json!(null));
    check(
        json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "b": {}}}),
        json!({"a": "text"}),
    );
    // No value is found for the pattern, so that it is left to the service.
    check(json!({"type": "string", "pattern": "^[A-Z]{2}$"}), json!("text"));
}

/// A description whose one operation asks for this, with these security schemes.
fn secured(security: Value, schemes: Value) -> Value {
    let mut description = described("get", "/b", json!({ "security": security }));
    description["components"] = json!({ "securitySchemes": schemes });
    description
}

fn check_schemes(description: &Value, expected: &[&str]) {
    let (manifest, _) = imported(description, &all("library"));
    let scheme = |scheme: &Value| {
        let fields = scheme["fields"].as_array().unwrap().iter();
        let fields = fields.map(|field| {
            let mark = if field["secret"] == true { "!" } else { "" };
            format!("{}{mark}", field["name"].as_str().unwrap())
        });
        let (id, kind) = (scheme["id"].as_str().unwrap(), scheme["type"].as_str().unwrap());
        let fields = fields.collect::<Vec<_>>().join(",");
        format!("{id} {kind} {fields} {} {}", scheme["attach"], scheme["hosts"])
    };
    let found: Vec<_> = manifest["schemes"].as_array().unwrap().iter().map(scheme).collect();
    assert_eq!(found, expected, "{description}");
}

#[test]
fn security_schemes_become_schemes() {
    let schemes = json!({
        "headerKey": {"type": "apiKey", "in": "header", "name": "X-Key", "description": "From\nthe page."},
        "queryKey": {"type": "apiKey", "in": "query", "name": "key"},
        "bearer": {"type": "http", "scheme": "Bearer"},
        "basic": {"type": "http", "scheme": "basic"},
        "oauth": {"type": "oauth2", "flows": {}},
        "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example/"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
        "digest": {"type": "http", "scheme": "digest"},
        "tls": {"type": "mutualTLS"},
    });
    let host = "[\"api.library.example\"]";
    let header = format!(
        "header_key api_key api_key! {{\"headers\":{{\"X-Key\":\"{{{{ api_key }}}}\"}}}} {host}"
    );
    let query = format!(
        "query_key api_key api_key! {{\"query\":{{\"key\":\"{{{{ api_key }}}}\"}}}} {host}"
    );
    let bearer = format!(
        "bearer api_key token! {{\"headers\":{{\"Authorization\":\"Bearer {{{{ token }}}}\"}}}} {host}"
    );
    let basic = format!(
        "basic basic username,password! {{\"basic\":{{\"username\":\"{{{{ username }}}}\",\"password\":\"{{{{ password }}}}\"}}}} {host}"
    );
    let oauth = |id: &str| {
        format!(
            "{id} api_key oauth_access_token! {{\"headers\":{{\"Authorization\":\"Bearer {{{{ oauth_access_token }}}}\"}}}} {host}"
        )
    };
    let both = format!(
        "header_key_query_key custom api_key!,query_key_api_key! {{\"headers\":{{\"X-Key\":\"{{{{ api_key }}}}\"}},\"query\":{{\"key\":\"{{{{ query_key_api_key }}}}\"}}}} {host}"
    );
    let none = format!("none custom  null {host}");
    let check = |security: Value, expected: &[&str]| {
        check_schemes(&secured(security, schemes.clone()), expected);
    };
    check(json!([{"headerKey": []}]), &[&header]);
    check(json!([{"queryKey": []}, {"headerKey": []}]), &[&query, &header]);
    check(json!([{"bearer": []}, {"basic": []}]), &[&bearer, &basic]);
    check(json!([{"oauth": ["read"]}, {"oidc": []}]), &[&oauth("oauth"), &oauth("oidc")]);
    check(json!([{"headerKey": [], "queryKey": []}]), &[&both]);
    check(json!([{}, {"bearer": []}]), &[&bearer]);
    check(json!([]), &[&none]);
    check(json!([{}]), &[&none]);
    // What cannot be done is passed over where there is another way.
    check(json!([{"cookie": []}, {"bearer": []}, {"digest": []}, {"tls": []}]), &[&bearer]);
    // The root's counts where the operation says nothing, and all where nobody does.
    let mut description = secured(json!([]), schemes.clone());
    description["paths"]["/b"]["get"] = json!({});
    check_schemes(
        &description,
        &[&header, &query, &bearer, &basic, &oauth("oauth"), &oauth("oidc")],
    );
    description["security"] = json!([{"basic": []}]);
    check_schemes(&description, &[&basic]);
    // What a credential fills is no input.
    let mut description = secured(json!([{"queryKey": []}]), schemes);
    description["paths"]["/b"]["get"]["parameters"] =
        json!([{"name": "key", "in": "query", "required": true, "schema": {"type": "string"}}]);
    let (manifest, _) = imported(&description, &all("library"));
    assert_eq!(manifest["actions"][0]["inputs"]["properties"], json!({}));
    let help = imported(&description, &all("library")).0["schemes"][0]["fields"][0]["help"].clone();
    assert_eq!(help, Value::Null);
}

#[test]
fn servers_are_filled_in() {
    let check = |servers: Value, server_url: Option<&str>, expected: Result<&str, &str>| {
        let mut description = described("get", "/b", json!({}));
        description["servers"] = servers.clone();
        let choice = Choice { server_url: server_url.map(str::to_owned), ..all("library") };
        let found = match to_manifest(&description, &choice) {
            Err(faults) => Err(format!("{} {}", faults[0].pointer, faults[0].code)),
            Ok(_) => {
                let (manifest, app) = imported(&description, &choice);
                let url = render(&app, "get_b", &json!({})).url;
                Ok(format!("{url} {}", manifest["schemes"][0]["hosts"]))
            }
        };
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{servers} {server_url:?}");
    };
    let one = |url: &str| json!([{ "url": url }]);
    let at_a = Ok("https://a.example/b [\"a.example\"]");
    check(one("https://a.example"), None, at_a);
    check(one("https://A.example:443/"), None, at_a);
    check(
        one("https://a.example:8443/x/y/"),
        None,
        Ok("https://a.example:8443/x/y/b [\"a.example:8443\"]"),
    );
    check(json!([{"url": "http://a.example"}, {"url": "https://a.example"}]), None, at_a);
    check(
        json!([{"url": "https://{region}.a.example/{v}", "variables": {
            "region": {"default": "eu"}, "v": {"enum": ["v2", "v1"]},
        }}]),
        None,
        Ok("https://eu.a.example/v2/b [\"eu.a.example\"]"),
    );
    check(
        one("https://a.example"),
        Some("https://b.example/v9"),
        Ok("https://b.example/v9/b [\"b.example\"]"),
    );
    check(one("/v1"), Some("https://b.example"), Ok("https://b.example/v1/b [\"b.example\"]"));
    check(one("/v1"), Some("https://b.example/v9"), Ok("https://b.example/v9/b [\"b.example\"]"));
    check(json!(null), Some("https://b.example"), Ok("https://b.example/b [\"b.example\"]"));
    let plain = Ok("http://127.0.0.1:4010/v1/b [\"{{ base_url }}\"]");
    check(one("https://a.example"), Some("http://127.0.0.1:4010/v1"), plain);

    check(json!(null), None, Err("/servers server_url_needed"));
    check(one("/v1"), None, Err("/servers/0 server_url_needed"));
    check(one("http://a.example"), None, Err("/servers/0 plain_http"));
    check(one("ftp://a.example"), None, Err("/servers/0 invalid_url"));
    check(one("https://user:canary@a.example"), None, Err("/servers/0 invalid_url"));
    check(one("https://a.example/?x=1"), None, Err("/servers/0 invalid_url"));
    check(one("https://{region}.a.example"), None, Err("/servers/0 missing"));
    check(
        json!([{"url": "https://{r}.a.example", "variables": {"r": {}}}]),
        None,
        Err("/servers/0/variables/r missing"),
    );
    check(one("https://a.example"), Some("canary"), Err(" invalid_server_url"));
    check(one("https://a.example"), Some("https://u:canary@b.example"), Err(" invalid_server_url"));
}

#[test]
fn an_operation_may_have_its_own_server() {
    let description = json!({
        "openapi": "3.0.3", "info": {"title": "T"},
        "servers": [{"url": "https://a.example"}],
        "paths": {
            "/a": {"get": {}},
            "/b": {"servers": [{"url": "https://b.example"}], "get": {}},
            "/c": {"get": {"servers": [{"url": "https://c.example/up"}]}},
        },
    });
    let (manifest, app) = imported(&description, &all("t"));
    assert_eq!(manifest["schemes"][0]["hosts"], json!(["a.example", "b.example", "c.example"]));
    assert_eq!(render(&app, "get_c", &json!({})).url, "https://c.example/up/c");
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
    check_unsupported("get", "/b#x", none(), none(), "/paths/~1b#x/get unsupported_path");
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
    check(json!({"openapi": 3.1, "paths": {}}), "/openapi unsupported_version");
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
