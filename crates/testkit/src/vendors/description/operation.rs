//! Finding an operation in a description, and what it refers to.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::echo::Received;

/// A description of an API.
pub(super) struct Api<'d>(pub(super) &'d Value);

/// The operation that a request is for.
pub(super) struct Found<'d> {
    /// Its definition.
    pub(super) operation: &'d Value,
    /// Its parameters and those of its path, references followed.
    pub(super) parameters: Vec<&'d Value>,
    /// The parameters in the path, decoded.
    pub(super) in_path: Vec<(&'d str, String)>,
}

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

impl<'d> Api<'d> {
    /// The operation of a request, by its host, path and method.
    pub(super) fn find(&self, request: &Received) -> Result<Found<'d>, String> {
        let (method, path) = (request.method.to_ascii_lowercase(), request.path());
        let mut known_path = false;
        let mut best: Option<Found<'d>> = None;
        for (template, item) in self.0["paths"].as_object().into_iter().flatten() {
            let item = self.follow(item);
            for base in self.bases(item, &method, request.host()) {
                let Some(in_path) = matched(base, template, path) else { continue };
                known_path |= METHODS.iter().any(|method| item[method].is_object());
                if !item[method.as_str()].is_object() {
                    continue;
                }
                // `/users/me` is meant where there is `/users/{id}`, too.
                if best.as_ref().is_none_or(|best| in_path.len() < best.in_path.len()) {
                    let operation = &item[method.as_str()];
                    let parameters = self.parameters(item, operation);
                    best = Some(Found { operation, parameters, in_path });
                }
            }
        }
        let place = format!("{}{path}", request.host());
        best.ok_or_else(|| match known_path {
            true => format!("{place} is not described for {}", request.method),
            false => format!("{place} is not described"),
        })
    }

    /// What a `$ref` leads to, or the value itself.
    pub(super) fn follow(&self, value: &'d Value) -> &'d Value {
        let mut value = value;
        // References to references are rare, and circles of them a mistake.
        for _ in 0..10 {
            let Some(reference) = value["$ref"].as_str() else { return value };
            let target = reference.strip_prefix('#').and_then(|target| self.0.pointer(target));
            value = target.unwrap_or(&Value::Null);
        }
        value
    }

    /// The paths before the described ones, of all servers with that host.
    fn bases(&self, item: &'d Value, method: &str, host: &str) -> Vec<&'d str> {
        if self.0["swagger"].is_string() {
            let described = self.0["host"].as_str().is_none_or(|known| known == host);
            let base = self.0["basePath"].as_str().unwrap_or_default().trim_end_matches('/');
            return if described { vec![base] } else { Vec::new() };
        }
        let lists = [&item[method]["servers"], &item["servers"], &self.0["servers"]];
        let servers = lists.into_iter().find_map(|list| list.as_array());
        let urls = servers.into_iter().flatten().filter_map(|server| server["url"].as_str());
        urls.filter_map(|url| {
            let (_, rest) = url.split_once("://").unwrap_or(("", url));
            let (known, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let same = known.is_empty() || pieces(known, host).is_some();
            same.then(|| base.trim_end_matches('/'))
        })
        .collect()
    }

    fn parameters(&self, item: &'d Value, operation: &'d Value) -> Vec<&'d Value> {
        let mut all: Vec<&Value> = Vec::new();
        for list in [&item["parameters"], &operation["parameters"]] {
            for parameter in list.as_array().into_iter().flatten() {
                let parameter = self.follow(parameter);
                let same = |known: &&Value| {
                    known["name"] == parameter["name"] && known["in"] == parameter["in"]
                };
                all.retain(|known| !same(known));
                all.push(parameter);
            }
        }
        all
    }

    /// A schema of the description as a document of its own, which holds all that it refers to.
    pub(super) fn document(&self, schema: &Value) -> Value {
        let mut document = self.0.as_object().cloned().unwrap_or_default();
        document.insert("x-checked".to_owned(), schema.clone());
        document.insert("$ref".to_owned(), json!("#/x-checked"));
        Value::Object(document)
    }

    /// The schema of a parameter's value; none where there is nothing to check.
    pub(super) fn schema_of(&self, parameter: &'d Value) -> Option<Value> {
        if parameter["schema"].is_object() {
            return Some(parameter["schema"].clone());
        }
        // Swagger writes a schema's keywords into the parameter itself.
        let own = |(name, _): &(&String, &Value)| {
            !["name", "in", "required", "description", "collectionFormat", "allowEmptyValue"]
                .contains(&name.as_str())
        };
        let members = parameter.as_object()?.iter().filter(own);
        let schema: Map<_, _> =
            members.map(|(name, value)| (name.clone(), value.clone())).collect();
        let checked = self.0["swagger"].is_string() && schema.get("type") != Some(&json!("file"));
        checked.then_some(Value::Object(schema))
    }
}

/// The parameters of a path that fits a template.
fn matched<'d>(base: &str, template: &'d str, path: &str) -> Option<Vec<(&'d str, String)>> {
    let (template, rest) = (template.strip_prefix('/')?, path.strip_prefix(base)?);
    let (mut templates, mut segments) = (template.split('/'), rest.strip_prefix('/')?.split('/'));
    let mut found = Vec::new();
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return Some(found),
            (Some(template), Some(segment)) => found.extend(pieces(template, segment)?),
            _ => return None,
        }
    }
}

/// The parameter of a piece such as `{id}` or `{id}.json`; of one without a parameter nothing, where
/// it is the same.
fn pieces<'d>(template: &'d str, text: &str) -> Option<Option<(&'d str, String)>> {
    let Some((before, rest)) = template.split_once('{') else {
        return (template == text).then_some(None);
    };
    let (name, after) = rest.split_once('}')?;
    let value = text.strip_prefix(before)?.strip_suffix(after)?;
    let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
    (!value.is_empty()).then_some(Some((name, decoded)))
}
