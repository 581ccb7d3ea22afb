//! Values held against schemas, and what is no schema.

use super::*;
use serde_json::json;

fn shown(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

/// Each value beside the faults it has, as `pointer code`.
fn check(schema: &Value, cases: &[(Value, &[&str])]) {
    let compiled = Schema::parse(schema).expect("a schema");
    assert_eq!(compiled.document(), schema);
    for (value, expected) in cases {
        let faults = compiled.validate(value, "/at");
        assert_eq!(shown(&faults), *expected, "{value} against {schema}");
        for fault in faults {
            assert!(!fault.detail.contains("canary"), "{fault:?}");
        }
    }
}

fn check_refused(schema: &Value, expected: &[&str]) {
    let faults = Schema::parse(schema).expect_err("no schema");
    assert_eq!(shown(&faults), expected, "{schema}");
}

const WRONG: &[&str] = &["/at wrong_type"];
const INVALID: &[&str] = &["/at invalid_value"];

#[test]
fn types() {
    check(&json!({}), &[(json!(null), &[]), (json!({"a": [1]}), &[])]);
    check(&json!(true), &[(json!(1), &[])]);
    check(&json!(false), &[(json!("canary"), INVALID)]);
    check(
        &json!({"type": "string"}),
        &[(json!("x"), &[]), (json!(7), WRONG), (json!(null), WRONG)],
    );
    check(
        &json!({"type": "integer"}),
        &[(json!(1.0), &[]), (json!(1e300), &[]), (json!(1.5), WRONG), (json!("1"), WRONG)],
    );
    check(
        &json!({"type": ["number", "null"]}),
        &[(json!(1.5), &[]), (json!(null), &[]), (json!(true), WRONG)],
    );
    check(&json!({"type": "boolean"}), &[(json!(false), &[]), (json!("canary"), WRONG)]);
    check(&json!({"type": "object", "nullable": true}), &[(json!(null), &[]), (json!([]), WRONG)]);
}

#[test]
fn texts() {
    let length = json!({"minLength": 2, "maxLength": 3});
    check(&length, &[(json!("éé"), &[]), (json!("é"), INVALID), (json!("canary"), INVALID)]);
    check(&length, &[(json!(7), &[])]);
    check(
        &json!({"pattern": "^[A-Z]\\d+$"}),
        &[
            (json!("A1"), &[]),
            (json!("canary"), INVALID),
            (json!("A".repeat(70_000)), &["/at too_long"]),
        ],
    );
    let formats = [
        ("email", "ada@example.com", "ada@"),
        ("email", "\"odd one\"@example.com", "ada at example.com"),
        ("uri", "https://example.com/x", "example.com/x"),
        ("date-time", "2026-01-31T12:00:00+01:00", "2026-01-31"),
        ("date", "2026-01-31", "2026-02-31"),
        ("uuid", "0190a5a4-5d4b-7000-8000-000000000000", "0190a5a45d4b70008000000000000000"),
    ];
    for (format, good, bad) in formats {
        check(&json!({"format": format}), &[(json!(good), &[]), (json!(bad), INVALID)]);
    }
    check(&json!({"format": "phone"}), &[(json!("canary"), &[])]);
}

#[test]
fn numbers() {
    check(
        &json!({"minimum": 1, "maximum": 2.5}),
        &[(json!(1), &[]), (json!(2.5), &[]), (json!(0.5), INVALID), (json!(3), INVALID)],
    );
    let exclusive = json!({"exclusiveMinimum": 1, "exclusiveMaximum": 3});
    let old =
        json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 3, "exclusiveMaximum": true});
    for schema in [exclusive, old] {
        check(&schema, &[(json!(2), &[]), (json!(1.0), INVALID), (json!(3), INVALID)]);
    }
    check(&json!({"minimum": 1, "exclusiveMinimum": false}), &[(json!(1), &[])]);
    check(&json!({"multipleOf": 0.1}), &[(json!(0.3), &[]), (json!(0.35), INVALID)]);
    check(&json!({"multipleOf": 5}), &[(json!(10.0), &[]), (json!(12), INVALID), (json!(0), &[])]);
    let large = json!({"maximum": 9_007_199_254_740_993_u64});
    check(&large, &[(json!(9_007_199_254_740_994_u64), INVALID)]);
}

#[test]
fn arrays() {
    let schema = json!({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2});
    check(&schema, &[(json!([1]), &[]), (json!([]), INVALID), (json!([1, 2, 3]), INVALID)]);
    check(&schema, &[(json!([1, "canary"]), &["/at/1 wrong_type"])]);
    check(
        &json!({"prefixItems": [{"type": "string"}], "items": false}),
        &[
            (json!(["x"]), &[]),
            (json!([1]), &["/at/0 wrong_type"]),
            (json!(["x", 1]), &["/at/1 invalid_value"]),
        ],
    );
    check(
        &json!({"uniqueItems": true}),
        &[
            (json!([1, 2, "1"]), &[]),
            (json!([1, 1.0]), INVALID),
            (json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]), INVALID),
        ],
    );
}

#[test]
fn objects() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": false,
    });
    check(
        &schema,
        &[
            (json!({"a": "x", "b": 1}), &[]),
            (
                json!({"b": "canary", "c": 1}),
                &["/at/a missing", "/at/b wrong_type", "/at/c unknown_member"],
            ),
            (json!({"a": "x", "a canary": 1}), &["/at unknown_member"]),
        ],
    );
    check(
        &json!({"additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1}),
        &[(json!({"q": "x"}), &[]), (json!({"q": 1}), &["/at/q wrong_type"]), (json!({}), INVALID)],
    );
}

#[test]
fn values() {
    check(
        &json!({"enum": ["open", 1, null]}),
        &[(json!("open"), &[]), (json!(1.0), &[]), (json!(null), &[]), (json!("canary"), INVALID)],
    );
    check(
        &json!({"const": {"a": 1, "b": [2]}}),
        &[(json!({"b": [2.0], "a": 1}), &[]), (json!({"a": 1}), INVALID)],
    );
    check(&json!({"enum": ["a"], "nullable": true}), &[(json!(null), &[])]);
    let schema = Schema::parse(&json!({"enum": ["open", "shut"]})).expect("a schema");
    let faults = schema.validate(&json!("canary"), "");
    assert_eq!(faults[0].detail, "must be one of: \"open\", \"shut\"");
}

#[test]
fn combinations() {
    check(
        &json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        &[(json!({"a": 1, "b": 1}), &[]), (json!({}), &["/at/a missing", "/at/b missing"])],
    );
    let either = json!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 5}]});
    check(
        &either,
        &[(json!("x"), &[]), (json!(7), &[]), (json!(1), INVALID), (json!([]), INVALID)],
    );
    check(
        &json!({"anyOf": [{"type": "null"}, {"type": "object", "required": ["a"]}]}),
        &[(json!(null), &[]), (json!({}), &["/at/a missing"])],
    );
    check(
        &json!({"oneOf": [{"minimum": 1}, {"maximum": 5}]}),
        &[(json!(0), &[]), (json!(9), &[]), (json!(3), INVALID)],
    );
    check(&json!({"not": {"type": "string"}}), &[(json!(1), &[]), (json!("canary"), INVALID)]);
}

#[test]
fn references() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/node"}, "self": {"$ref": "#"}},
            "additionalProperties": false,
        }},
    });
    check(
        &tree,
        &[
            (json!({"next": {"next": {}}, "self": {}}), &[]),
            (json!({"next": {"next": 1}}), &["/at/next/next wrong_type"]),
        ],
    );
    let odd = json!({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "string"}}});
    check(&odd, &[(json!(1), WRONG)]);
    let chain: serde_json::Map<_, _> = (0..2000)
        .map(|at| (format!("d{at}"), json!({"$ref": format!("#/$defs/d{}", at + 1)})))
        .collect();
    let mut chain = Value::Object(chain);
    chain["d2000"] = json!({"type": "string"});
    check(&json!({"$ref": "#/$defs/d1990", "$defs": chain}), &[(json!(1), WRONG)]);
    check(&json!({"$ref": "#/$defs/d0", "$defs": chain}), &[(json!("x"), &["/at too_complex"])]);
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    check_refused(&json!(7), &[" wrong_type"]);
    check_refused(
        &json!({"type": "text", "required": "a", "minLength": -1, "properties": {"a": {"requird": []}}}),
        &[
            "/type invalid_value",
            "/required wrong_type",
            "/minLength wrong_type",
            "/properties/a/requird unknown_keyword",
        ],
    );
    check_refused(&json!({"enum": [], "anyOf": []}), &["/enum wrong_type", "/anyOf wrong_type"]);
    check_refused(&json!({"multipleOf": 0}), &["/multipleOf invalid_value"]);
    check_refused(&json!({"pattern": "(?=a)"}), &["/pattern invalid_pattern"]);
    check_refused(&json!({"pattern": "((a{900}){900}){900}"}), &["/pattern invalid_pattern"]);
    check_refused(
        &json!({"items": {"$ref": "other.json#/a"}}),
        &["/items/$ref external_reference"],
    );
    check_refused(&json!({"items": {"$ref": "#/$defs/a"}}), &["/items/$ref unresolved_reference"]);
    check_refused(&json!({"$ref": "#"}), &[" circular_reference"]);
    check_refused(
        &json!({"$ref": "#/$defs/a", "$defs": {
            "a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}},
        }}),
        &[" circular_reference"],
    );
    let deep = (0..100).fold(json!({}), |inner, _| json!({"items": inner}));
    assert_eq!(Schema::parse(&deep).expect_err("too deep")[0].code, "too_large");
}

#[test]
fn unknown_keywords_can_be_passed_over() {
    let schema = json!({"if": {}, "pattern": "(?=a)", "x-note": 1, "type": "string", "title": "T"});
    let lenient = Schema::parse_with(&schema, Keywords::Lenient).expect("a schema");
    assert!(lenient.validate(&json!("x"), "").is_empty());
    check_refused(&schema, &["/if unknown_keyword", "/pattern invalid_pattern"]);
}

#[test]
fn work_is_bounded() {
    // Each of these doubles what the one before it costs.
    let mut defs: serde_json::Map<_, _> = (0..40)
        .map(|at| {
            let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
            (format!("d{at}"), json!({"allOf": [next, next]}))
        })
        .collect();
    defs.insert("d40".to_owned(), json!({}));
    check(&json!({"$ref": "#/$defs/d0", "$defs": defs}), &[(json!(1), &["/at too_complex"])]);
}

#[test]
fn holes_fit_everything_and_literals_are_checked() {
    let schema = json!({
        "type": "object",
        "properties": {
            "count": {"type": "integer"},
            "kind": {"enum": ["a", "b"]},
            "ids": {"type": "array", "uniqueItems": true, "items": {"type": "string", "format": "uuid"}},
            "to": {"oneOf": [
                {"type": "object", "properties": {"mail": {"const": "m"}}, "required": ["mail"]},
                {"type": "object", "properties": {"phone": {}}, "required": ["mail"]},
            ]},
            "not": {"not": {"const": ["x"]}},
            "pair": {"const": {"a": 1, "b": 2}},
        },
        "required": ["count", "kind"],
        "additionalProperties": false,
    });
    let schema = Schema::parse(&schema).expect("a schema");
    let hole = |value: &Value| value.as_str().is_some_and(|text| text.contains("{{"));
    let check = |value: Value, expected: &[&str]| {
        assert_eq!(shown(&schema.check_partial(&value, "", &hole)), expected, "{value}");
    };
    check(json!("{{ trigger.body }}"), &[]);
    check(json!({"count": "{{ a }}", "kind": "x-{{ a }}"}), &[]);
    check(json!({"count": "1", "kind": "c"}), &["/count wrong_type", "/kind invalid_value"]);
    check(json!({"kind": "{{ a }}"}), &["/count missing"]);
    check(json!({"count": 1, "kind": "a", "more": "{{ a }}"}), &["/more unknown_member"]);
    let with = |name: &str, value: Value| json!({"count": 1, "kind": "a", name: value});
    check(with("ids", json!(["{{ a }}", "{{ a }}", "x"])), &["/ids/2 invalid_value"]);
    check(with("to", json!({"mail": "{{ a }}"})), &[]);
    check(with("to", json!({"mail": "m"})), &["/to invalid_value"]);
    check(with("not", json!(["{{ a }}"])), &[]);
    check(with("pair", json!({"a": "{{ a }}", "b": 2})), &[]);
    assert_eq!(
        shown(&schema.validate(&with("count", json!("{{ a }}")), "")),
        ["/count wrong_type"]
    );
}
