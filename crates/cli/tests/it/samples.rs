//! A body for each operation that takes one: right in form, so that what is answered is about the
//! caller and the thing.

use serde_json::{Value, json};

/// The body of an operation, named by its method and its path in the workspace (or its whole path);
/// null where it takes none. `value` stands wherever a secret does.
pub fn body(operation: &str, value: &str) -> Value {
    let definition = || {
        json!({
            "name": "Matrix", "trigger": { "kind": "manual" },
            "steps": [{ "id": "s", "kind": "code", "source": "return 1;" }],
        })
    };
    let fields = || json!({ "fields": { "value": value } });
    match operation {
        "POST /credentials" => json!({
            "key": "MATRIX", "type": "api_key", "scope": { "kind": "workspace" },
            "fields": { "value": value },
        }),
        "POST /credentials/import" => {
            json!({ "format": "env", "content": "A=b", "confirm": false })
        }
        "PATCH /credentials/{id}" => json!({ "description": "matrix" }),
        "PUT /credentials/{id}/value" | "POST /credentials/{id}/versions" => fields(),
        "PUT /credentials/{id}/shares/{member}" => json!({ "level": "use" }),
        "POST /credentials/{id}/transfer" => json!({ "to": "mem_00000000000000000000000000" }),
        "POST /credentials/{id}/suspend" => json!({}),
        "POST /review/keep" => {
            json!({ "credential_id": "cred_00000000000000000000000000", "kind": "unused" })
        }
        "POST /workflows" | "PUT /workflows/{id}" => definition(),
        "POST /workflows/import" => json!({ "definition": definition(), "bindings": {} }),
        "PUT /workflows/{id}/allowlist" => json!({ "enabled": false, "keys": [] }),
        "POST /workflows/{id}/runs" => json!({ "wait": true }),
        "POST /tokens" => json!({ "name": "matrix" }),
        "POST /members" => json!({ "kind": "service", "name": "Matrix", "role": "viewer" }),
        "PATCH /members/{id}" => json!({ "role": "viewer" }),
        "POST /invitations" => json!({ "email": "matrix@example.com", "role": "viewer" }),
        "POST /api/v1/setup" => json!({ "token": "none", "email": "eve@example.com" }),
        "POST /api/v1/workspaces" => json!({ "name": "New" }),
        "POST /api/v1/sessions" => json!({ "email": "nobody@example.com", "password": value }),
        "POST /api/v1/invitations/{token}/accept" => json!({ "name": "Eve", "password": value }),
        "PATCH /api/v1/account" => json!({ "name": "Matrix" }),
        "PUT /api/v1/account/password" => json!({ "current": value, "new": value }),
        "DELETE /api/v1/account/totp" => json!({ "password": value }),
        "POST /api/v1/account/totp/confirm" => json!({ "code": "000000" }),
        "POST /apps" | "PUT /apps/{id}" => manifest("matrix_app", "https://api.example.com"),
        "POST /apps/openapi" => {
            json!({ "description": description(), "id": "matrix_import", "dry_run": true })
        }
        "PATCH /settings" => json!({ "grace_days": 7 }),
        _ => Value::Null,
    }
}

/// An app of one scheme, whose secret goes into `X-Api-Key`, and one action, which gets `/things/<id>`
/// below an https origin.
pub fn manifest(id: &str, origin: &str) -> Value {
    let host = origin.trim_start_matches("https://");
    json!({
        "id": id, "name": "Things", "description": "A service with things.",
        "schemes": [{
            "id": "key", "name": "API key", "type": "api_key",
            "fields": [{ "name": "api_key", "label": "API key", "secret": true }],
            "hosts": [host], "attach": { "headers": { "X-Api-Key": "{{ api_key }}" } },
        }],
        "actions": [{
            "id": "get_thing", "name": "Get a thing", "reads": true,
            "inputs": {
                "type": "object", "properties": { "id": { "type": "string" } },
                "required": ["id"], "additionalProperties": false,
            },
            "request": { "url": format!("{origin}/things/{{{{ inputs.id }}}}") },
            "example": { "id": "1" },
        }],
    })
}

/// An OpenAPI description of a service with one operation that can be taken over, and one that cannot.
pub fn description() -> Value {
    json!({
        "openapi": "3.1.0", "info": { "title": "Things", "version": "1" },
        "servers": [{ "url": "https://api.example.com/v1" }],
        "security": [{ "key": [] }],
        "components": { "securitySchemes": {
            "key": { "type": "apiKey", "in": "header", "name": "X-Api-Key" },
        } },
        "paths": { "/things/{id}": {
            "get": {
                "operationId": "getThing", "summary": "Get a thing",
                "parameters": [{
                    "name": "id", "in": "path", "required": true, "schema": { "type": "string" },
                }],
                "responses": { "200": { "description": "It" } },
            },
            "trace": { "operationId": "traceThing", "responses": {} },
        } },
    })
}
