//! A body for each operation that takes one: right in form, so that what is answered is about the
//! caller and the thing.

use serde_json::{Value, json};

/// The body of an operation; null where it takes none.
pub fn body(operation: &str) -> Value {
    let definition = || {
        json!({
            "name": "Matrix", "trigger": { "kind": "manual" },
            "steps": [{ "id": "s", "kind": "code", "source": "return 1;" }],
        })
    };
    let value = || json!({ "fields": { "value": "matrix-value-0123456789" } });
    match operation {
        "POST /credentials" => json!({
            "key": "MATRIX", "type": "api_key", "scope": { "kind": "workspace" },
            "fields": { "value": "matrix-value-0123456789" },
        }),
        "POST /credentials/import" => {
            json!({ "format": "env", "content": "A=b", "confirm": false })
        }
        "PATCH /credentials/{id}" => json!({ "description": "matrix" }),
        "PUT /credentials/{id}/value" | "POST /credentials/{id}/versions" => value(),
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
        "PATCH /settings" => json!({ "grace_days": 7 }),
        _ => Value::Null,
    }
}
