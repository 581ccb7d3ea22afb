//! The schemas of inputs, and examples that fit them.

use super::*;

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
    // What must be there and is described nowhere.
    check(
        json!({"type": "object", "required": ["b", "id"], "properties": {
            "a": {"type": "string"}, "id": {"type": "string", "readOnly": true},
        }}),
        json!({}),
        inputs(json!({"a": {"type": "string"}, "b": {}}), &["b"]),
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
    check(
        json!({"type": "string", "pattern": "^[A-Z]{2}[0-9]+$", "minLength": 5}),
        json!("AA000000"),
    );
    check(
        json!({"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b"}]}),
        json!("a"),
    );
    check(
        json!({"allOf": [
            {"type": "object", "required": ["k"], "properties": {"k": {"type": "integer"}}},
            {"description": "Only words."},
        ]}),
        json!({"k": 1}),
    );
    check(json!({"allOf": [{"type": "string"}, {"description": "Only words."}]}), json!("text"));
    // No value is found for the pattern, so that it is left to the service.
    check(json!({"type": "string", "pattern": "^\\p{Lu}$"}), json!("text"));
    check(json!({"type": "string", "pattern": "^\\bx$", "minLength": 5}), json!("textx"));
}
