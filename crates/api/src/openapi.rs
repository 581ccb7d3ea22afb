//! The OpenAPI 3.1 document, made from the list of operations and the types of their bodies.

use crate::operation::{Access, Operation};
use crate::router::operations;
use axum::Json;
use keyward_model::error::PROBLEM_CODES;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The document as it is served and committed.
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let mut paths = Map::new();
    for operation in operations() {
        let method = operation.method.as_str().to_ascii_lowercase();
        let described = describe(&operation, &mut generator);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(method, described);
        }
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Workflows with credentials that nobody can see.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-keyward" },
            },
        },
    })
}

pub(crate) async fn serve() -> Json<Value> {
    Json(document())
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": responses(operation, generator),
        "security": if operation.access == Access::Public { json!([]) } else { json!([{"token": []}, {"session": []}]) },
    });
    if let (Some((media_type, schema)), Some(members)) =
        (&operation.body, described.as_object_mut())
    {
        let content = json!({ *media_type: { "schema": schema(generator) } });
        members.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let names = operation.path.split('/').filter_map(|part| part.strip_prefix('{'));
    let in_path = names.map(|name| {
        let name = name.trim_end_matches('}');
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = operation.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    });
    in_path.chain(in_query).collect()
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let (status, media_type, schema) = &operation.answer;
    let mut responses = Map::new();
    let content = match schema {
        Some(schema) => json!({ *media_type: { "schema": schema(generator) } }),
        None if *status == 204 => json!({}),
        None => json!({ *media_type: {} }),
    };
    responses.insert(status.to_string(), json!({ "description": "done", "content": content }));
    for code in problem_codes(operation) {
        let Some((_, status, title)) = PROBLEM_CODES.iter().find(|(known, ..)| *known == code)
        else {
            continue;
        };
        let problem = json!({
            "description": title,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        responses.entry(status.to_string()).or_insert(problem);
    }
    responses.into()
}

/// The codes of an operation: its own, and those of all operations like it.
fn problem_codes(operation: &Operation) -> Vec<&'static str> {
    let mut codes = operation.problems.to_vec();
    codes.extend(["invalid_request", "validation_failed", "internal", "unavailable"]);
    if operation.access != Access::Public {
        codes.push("unauthenticated");
    }
    if matches!(operation.access, Access::Member(_) | Access::Credential(_)) {
        codes.extend(["forbidden", "not_found"]);
    }
    if operation.body.is_some() {
        codes.extend(["invalid_json", "payload_too_large", "unsupported_media_type"]);
    }
    codes
}

fn problem_schema() -> Value {
    let codes: Vec<_> = PROBLEM_CODES.iter().map(|(code, ..)| *code).collect();
    json!({
        "type": "object",
        "description": "RFC 9457 problem; `code` is documented at /problems/<code>.",
        "required": ["type", "title", "status", "detail", "code", "errors"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "enum": codes },
            "errors": { "type": "array", "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": { "type": "string" },
                    "code": { "type": "string" },
                    "detail": { "type": "string" },
                },
            } },
        },
    })
}
