//! The template of a custom credential: its shape, its holes, and what a header may be called.

use keyward_model::json::{Fault, child};
use serde_json::{Map, Value};

/// The most bytes of a template as JSON text.
const MAX_BYTES: usize = 65_536;

/// Headers that belong to the connection or are computed; asked for, they are not sent.
const NOT_SENT: &[&str] = &[
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding",
];

/// Why a text cannot be the name of a header that carries a value (RFC 9110 §5.1).
pub(crate) fn header_fault(name: &str) -> Option<&'static str> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Some("a header's name has letters, digits and hyphens, no spaces or colons");
    }
    let refused = NOT_SENT.iter().any(|known| name.eq_ignore_ascii_case(known));
    refused.then_some("this header belongs to the connection and is never sent")
}

/// Checks `{"headers":{},"query":{},"json":{}}`; `is_field` tells which holes can be filled.
pub(crate) fn check(template: &Value, is_field: impl Fn(&str) -> bool, faults: &mut Vec<Fault>) {
    let mut check = Check { is_field: &is_field, faults };
    let Some(parts) = template.as_object() else {
        return check.fault("/template", "wrong_type", "must be an object");
    };
    if template.to_string().len() > MAX_BYTES {
        let detail = format!("a template has at most {MAX_BYTES} bytes");
        return check.fault("/template", "too_large", &detail);
    }
    for (name, part) in parts {
        let pointer = child("/template", name);
        match (name.as_str(), part.as_object()) {
            ("headers" | "query" | "json", None) => {
                check.fault(&pointer, "wrong_type", "must be an object");
            }
            ("headers", Some(entries)) => check.texts(&pointer, entries, header_fault),
            ("query", Some(entries)) => check.texts(&pointer, entries, |name| {
                name.is_empty().then_some("a parameter needs a name")
            }),
            ("json", Some(_)) => check.tree(&pointer, part),
            _ => check.fault(&pointer, "unknown_member", "known here: headers, query, json"),
        }
    }
}

struct Check<'a> {
    is_field: &'a dyn Fn(&str) -> bool,
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, pointer: &str, code: &'static str, detail: &str) {
        self.faults.push(Fault::new(pointer, code, detail));
    }

    fn texts(
        &mut self,
        pointer: &str,
        entries: &Map<String, Value>,
        name_fault: impl Fn(&str) -> Option<&'static str>,
    ) {
        for (name, value) in entries {
            let pointer = child(pointer, name);
            if let Some(detail) = name_fault(name) {
                self.fault(&pointer, "invalid_value", detail);
            }
            let Some(text) = value.as_str() else {
                self.fault(&pointer, "wrong_type", "must be a string");
                continue;
            };
            if text.chars().any(char::is_control) {
                self.fault(
                    &pointer,
                    "invalid_value",
                    "must have no line ends or control characters",
                );
            }
            self.holes(&pointer, text);
        }
    }

    fn tree(&mut self, pointer: &str, value: &Value) {
        match value {
            Value::String(text) => self.holes(pointer, text),
            Value::Array(items) => items.iter().enumerate().for_each(|(at, item)| {
                self.tree(&child(pointer, &at.to_string()), item);
            }),
            Value::Object(members) => members.iter().for_each(|(name, member)| {
                self.tree(&child(pointer, name), member);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Each `{{ field }}` must name a field; anything else is literal text.
    fn holes(&mut self, pointer: &str, text: &str) {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                return self.fault(pointer, "template_syntax", "a `{{` has no `}}` after it");
            };
            if !(self.is_field)(name.trim()) {
                let detail = "a `{{ }}` must hold the name of one of the credential's fields";
                self.fault(pointer, "unknown_field", detail);
            }
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(template: &Value, expected: &[(&str, &str)]) {
        let mut faults = Vec::new();
        super::check(template, |name| ["token", "account"].contains(&name), &mut faults);
        let found: Vec<_> = faults.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        assert_eq!(found, expected, "{template}");
    }

    #[test]
    fn templates_that_can_be_filled_pass() {
        check(&json!({}), &[]);
        check(
            &json!({
                "headers": {"X-Sign": "v1 {{ token }} {{account}} }}"},
                "query": {"a b": "{{token}}"},
                "json": {"auth": [{"p": "{{ token }}", "n": 1, "z": null}]},
            }),
            &[],
        );
    }

    #[test]
    fn each_fault_of_a_template_has_its_place() {
        check(&json!([]), &[("/template", "wrong_type")]);
        check(
            &json!({"headers": [], "form": {}, "json": "x"}),
            &[
                ("/template/headers", "wrong_type"),
                ("/template/form", "unknown_member"),
                ("/template/json", "wrong_type"),
            ],
        );
        check(
            &json!({"headers": {"a": 1, "b c": "x", "Host": "{{ token }}", "d": "x\r\ny"}}),
            &[
                ("/template/headers/a", "wrong_type"),
                ("/template/headers", "invalid_value"),
                ("/template/headers/Host", "invalid_value"),
                ("/template/headers/d", "invalid_value"),
            ],
        );
        check(
            &json!({"query": {"": "x", "q": "{{ nobody }} {{ token"}}),
            &[
                ("/template/query", "invalid_value"),
                ("/template/query/q", "unknown_field"),
                ("/template/query/q", "template_syntax"),
            ],
        );
        check(
            &json!({"json": {"a": [{"b": "{{ token | upper }}"}]}}),
            &[("/template/json/a/0/b", "unknown_field")],
        );
        check(&json!({"json": {"a": "x".repeat(65_536)}}), &[("/template", "too_large")]);
    }
}
