//! Requests held against a vendor's own description: `openapi/<app>.json`, or a file of that name in
//! the folder that `KEYWARD_DESCRIPTIONS` names, for descriptions that may not be copied here.

use crate::attach::Attached;
use crate::expected;
use keyward_model::catalogue::rendered_body;
use keyward_testkit::echo::Received;
use keyward_testkit::vendors;
use serde_json::Value;
use std::collections::BTreeMap;
use url::{Position, Url};

/// A vendor's description of its interface.
pub(crate) struct Description(Value);

impl Description {
    /// The app's, where there is one.
    pub(crate) fn of(app: &str) -> Option<Self> {
        elsewhere(app).or_else(|| expected::read("openapi", app)).map(Self)
    }

    /// The one that is kept here, so that a page can name it.
    pub(crate) fn kept(app: &str) -> Option<Self> {
        expected::read("openapi", app).map(Self)
    }

    /// Everything in which a request is not as described; `None` where its operation is not.
    pub(crate) fn faults(&self, sent: &Attached) -> Option<Vec<String>> {
        let url = Url::parse(&sent.url).expect("a URL");
        let host = url.host_str().expect("a host");
        let mut headers: Vec<_> = sent.headers.clone().into_iter().collect();
        headers.push(("Host".into(), host.to_owned()));
        let body = sent.body.as_ref().map(|body| rendered_body(body).0);
        let received = Received {
            method: sent.method.clone(),
            target: url[Position::BeforePath..].to_owned(),
            headers,
            body: body.unwrap_or_default(),
        };
        let mut faults = vendors::check(&self.0, &received);
        let unknown = format!("{host}{} is not described", url.path());
        if faults.iter().any(|fault| fault.starts_with(&unknown)) {
            return None;
        }
        let schema = self.body(&sent.method, url.path());
        let json = serde_json::from_slice(&received.body);
        if let (Some(schema), Ok(body)) = (schema, json) {
            self.misspelled(&body, schema, "body", &mut faults);
        }
        Some(faults)
    }

    /// The schema of the JSON that an operation takes.
    fn body(&self, method: &str, path: &str) -> Option<&Value> {
        // Whatever stands before the template is the server's own path.
        let fits = |template: &str| {
            let parts: Vec<&str> = path.split('/').collect();
            let templates: Vec<&str> = template.split('/').skip(1).collect();
            let from = parts.len().checked_sub(templates.len());
            let same = |(one, other): (&&str, &&str)| one == other || one.contains('{');
            from.is_some_and(|from| templates.iter().zip(&parts[from..]).all(same))
        };
        let items = self.0["paths"].as_object()?.iter();
        let fitting = items.filter(|(template, _)| fits(template));
        let described = fitting
            .filter_map(|(template, item)| Some((template, item.get(method.to_lowercase())?)));
        let holes = |template: &str| template.matches('{').count();
        let (_, operation) = described.min_by_key(|(template, _)| holes(template))?;
        let body = self.resolved(operation.get("requestBody")?);
        body["content"]["application/json"].get("schema")
    }

    /// Members of objects that no part of the schema names, where it names any: vendors' schemas
    /// seldom forbid what they do not know, and so a misspelled member would pass.
    fn misspelled(&self, value: &Value, schema: &Value, at: &str, faults: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                let schema = &self.resolved(schema)["items"];
                items.iter().for_each(|item| self.misspelled(item, schema, at, faults));
            }
            Value::Object(members) => {
                let known = self.members(schema);
                for (name, member) in members.iter().filter(|_| !known.is_empty()) {
                    match known.get(name.as_str()) {
                        Some(schema) => {
                            self.misspelled(member, schema, &format!("{at}/{name}"), faults);
                        }
                        None if known.contains_key("*") => {}
                        None => faults.push(format!("{at}/{name} is unknown")),
                    }
                }
            }
            _ => {}
        }
    }

    /// The members that a schema's parts name; `*` where it takes others.
    fn members<'d>(&'d self, schema: &'d Value) -> BTreeMap<&'d str, &'d Value> {
        let schema = self.resolved(schema);
        let mut known = BTreeMap::new();
        let named = schema["properties"].as_object();
        known.extend(named.into_iter().flatten().map(|(name, value)| (name.as_str(), value)));
        if schema["additionalProperties"] == true || schema["additionalProperties"].is_object() {
            known.insert("*", &schema["additionalProperties"]);
        }
        for part in ["allOf", "anyOf", "oneOf"] {
            for part in schema[part].as_array().into_iter().flatten() {
                for (name, value) in self.members(part) {
                    known.entry(name).or_insert(value);
                }
            }
        }
        known
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        let reference = value.get("$ref").and_then(Value::as_str);
        let Some(reference) = reference else { return value };
        let target = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
        self.resolved(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }
}

fn elsewhere(app: &str) -> Option<Value> {
    let folder = std::env::var_os("KEYWARD_DESCRIPTIONS")?;
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join(format!("{app}.json")));
    Some(serde_json::from_str(&text.ok()?).expect("a JSON description"))
}
