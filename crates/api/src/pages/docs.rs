//! The API's documentation as a page, rendered from its OpenAPI document.

use super::html::escape;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Where everything of a tenant lies.
const SCOPED: &str = "/api/v1/workspaces/{workspace}/";

/// The page's content.
pub(super) fn render(document: &Value) -> String {
    let mut out = String::from(
        "<h1>API</h1>\n<p>JSON over HTTP. Send an API token as \
         <code>Authorization: Bearer kwa_…</code>; errors are \
         <code>application/problem+json</code>. A leading <code>…</code> stands for \
         <code>/api/v1/workspaces/{workspace}</code>, by id or slug.</p>\n\
         <p>For programs: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>, and the \
         JSON Schemas of a <a href=\"/api/workflow.schema.json\">workflow</a> and of an \
         <a href=\"/api/app.schema.json\">app's manifest</a>.</p>\n",
    );
    let groups = groups(document);
    out.push_str("<nav>");
    for (name, _) in &groups {
        out.push_str(&format!("<a href=\"#{0}\">{0}</a> ", escape(name)));
    }
    out.push_str("<a href=\"#types\">types</a> <a href=\"#problems\">problems</a></nav>\n");
    for (name, operations) in &groups {
        out.push_str(&format!("<h2 id=\"{0}\">{0}</h2>\n", escape(name)));
        for operation in operations {
            out.push_str(&operation.render());
        }
    }
    out.push_str("<h2 id=\"types\">types</h2>\n");
    for (name, schema) in members(document, "/components/schemas") {
        out.push_str(&format!("<h3 id=\"type-{0}\">{0}</h3>\n", escape(name)));
        out.push_str(&description(schema));
        out.push_str(&properties(schema));
    }
    out.push_str("<h2 id=\"problems\">problems</h2>\n<ul class=\"codes\">\n");
    let codes = document.pointer("/components/schemas/Problem/properties/code/enum");
    for code in codes.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        out.push_str(&format!(
            "<li><a href=\"/problems/{0}\"><code>{0}</code></a></li>\n",
            escape(code)
        ));
    }
    out.push_str("</ul>\n");
    out
}

struct Shown<'a> {
    method: &'a str,
    path: &'a str,
    operation: &'a Value,
}

/// Operations by the first word of their path, in the document's order.
fn groups(document: &Value) -> Vec<(&str, Vec<Shown<'_>>)> {
    let mut groups: Vec<(&str, Vec<Shown<'_>>)> = Vec::new();
    for (path, methods) in members(document, "/paths") {
        let rest = path.strip_prefix(SCOPED).or_else(|| path.strip_prefix("/api/v1/"));
        let name = rest.unwrap_or(path).split('/').next().unwrap_or_default();
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let shown = Shown { method, path, operation };
            match groups.iter_mut().find(|(known, _)| *known == name) {
                Some((_, operations)) => operations.push(shown),
                None => groups.push((name, vec![shown])),
            }
        }
    }
    groups
}

impl Shown<'_> {
    fn render(&self) -> String {
        let text =
            |pointer| self.operation.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let id = escape(text("/operationId"));
        let path = escape(self.path).replace(&escape(SCOPED), "<i>…</i>/");
        let mut out = format!(
            "<section id=\"{id}\">\n<h3><b class=\"method {0}\">{0}</b> <code title=\"{1}\">{path}</code></h3>\n<p>{2}</p>\n",
            escape(self.method),
            escape(self.path),
            escape(text("/summary")),
        );
        out.push_str(&self.parameters());
        if let Some(body) = schema_of(self.operation.get("requestBody")) {
            out.push_str(&format!("<p class=\"io\">Body {}</p>\n", type_of(body)));
        }
        out.push_str(&self.answers());
        out.push_str("</section>\n");
        out
    }

    fn parameters(&self) -> String {
        let all = self.operation.get("parameters").and_then(Value::as_array);
        let rows: String = all
            .into_iter()
            .flatten()
            .filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"))
            .map(|parameter| {
                let text = |name| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
                row(text("name"), "", &code_spans(text("description")))
            })
            .collect();
        if rows.is_empty() { rows } else { format!("<dl>\n{rows}</dl>\n") }
    }

    fn answers(&self) -> String {
        let (mut done, mut problems) = (String::new(), BTreeSet::new());
        for (status, answer) in members(self.operation, "/responses") {
            if !status.starts_with('2') {
                problems.insert(status.as_str());
                continue;
            }
            let shown = schema_of(Some(answer)).map(type_of).unwrap_or_default();
            done.push_str(&format!("Answer <code>{}</code> {shown}", escape(status)));
        }
        let problems = problems.into_iter().collect::<Vec<_>>().join(" ");
        format!(
            "<p class=\"io\">{done} <span class=\"quiet\">problems {}</span></p>\n",
            escape(&problems)
        )
    }
}

fn members<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// The schema of a body or an answer, whatever its media type.
fn schema_of(described: Option<&Value>) -> Option<&Value> {
    described?.get("content")?.as_object()?.values().next()?.get("schema")
}

/// A schema in one line: a link to its type, or its JSON type.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escape(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#type-{name}\">{name}</a>");
    }
    let either = ["anyOf", "oneOf"].iter().find_map(|name| schema.get(*name)?.as_array());
    if let Some(either) = either {
        return either.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let shown = |value: &Value| format!("<code>{}</code>", escape(&value.to_string()));
        return values.iter().map(shown).collect::<Vec<_>>().join(" or ");
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escape(&value.to_string()));
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "array" => {
            format!("list of {}", schema.get("items").map_or_else(|| "anything".into(), type_of))
        }
        Some(Value::String(kind)) => escape(kind),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            escape(&kinds.collect::<Vec<_>>().join(" or "))
        }
        _ => "anything".into(),
    }
}

fn properties(schema: &Value) -> String {
    let required = schema.get("required").and_then(Value::as_array);
    let rows: String = members(schema, "/properties")
        .map(|(name, property)| {
            let needed = required.is_some_and(|names| names.iter().any(|known| known == name));
            let kind = type_of(property) + if needed { "" } else { ", optional" };
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            row(name, &kind, &code_spans(text))
        })
        .collect();
    match rows.is_empty() {
        true => format!("<p>{}</p>\n", type_of(schema)),
        false => format!("<dl>\n{rows}</dl>\n"),
    }
}

fn row(name: &str, kind: &str, text: &str) -> String {
    let kind = if kind.is_empty() {
        String::new()
    } else {
        format!(" <span class=\"quiet\">{kind}</span>")
    };
    format!("<dt><code>{}</code>{kind}</dt><dd>{text}</dd>\n", escape(name))
}

fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    text.map_or_else(String::new, |text| format!("<p>{}</p>\n", code_spans(text)))
}

/// Text with its `code` set as code.
fn code_spans(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            1 => format!("<code>{}</code>", escape(part)),
            _ => escape(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_named_linked_or_spelled_out() {
        let check =
            |schema: Value, expected: &str| assert_eq!(type_of(&schema), expected, "{schema}");
        check(json!({ "$ref": "#/components/schemas/Role" }), "<a href=\"#type-Role\">Role</a>");
        check(json!({ "type": ["string", "null"] }), "string or null");
        check(json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] }), "integer or null");
        check(json!({ "type": "array", "items": { "type": "string" } }), "list of string");
        check(json!({ "enum": ["a", 1] }), "<code>&quot;a&quot;</code> or <code>1</code>");
        check(json!(true), "anything");
    }

    #[test]
    fn every_operation_and_type_of_the_document_stands_on_the_page() {
        let document = crate::openapi::document();
        let html = render(&document);
        let mut operations = 0;
        for (path, methods) in members(&document, "/paths") {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let id = operation["operationId"].as_str().expect("an id");
                assert!(html.contains(&format!("<section id=\"{id}\">")), "{method} {path}");
                operations += 1;
            }
        }
        assert!(operations > 10);
        for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(html.contains(&format!("id=\"{link}\"")), "a link to #{link} leads nowhere");
        }
    }

    #[test]
    fn texts_of_the_document_stay_text() {
        let document = json!({
            "paths": { "/api/v1/x/{id}": { "get": {
                "operationId": "x", "summary": "<b>`x`</b>", "responses": {},
            } } },
            "components": { "schemas": {} },
        });
        let html = render(&document);
        assert!(html.contains("&lt;b&gt;"), "{html}");
        assert!(html.contains("<h2 id=\"x\">"), "{html}");
    }
}
