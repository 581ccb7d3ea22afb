//! Requests held against a vendor's OpenAPI 3 description: `openapi/<app>.json`, or a file of that name
//! in the folder that `KEYWARD_DESCRIPTIONS` names, for descriptions that may not be copied here.

use crate::attach::Attached;
use crate::expected;
use keyward_model::json_schema::{Keywords, Schema};
use keyward_model::workflow::RenderedBody;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use url::Url;

/// A vendor's description of its interface.
pub(crate) struct Description(Value);

/// Where a request's operation is described: the path's template and the values in it.
struct Operation<'d> {
    item: &'d Value,
    operation: &'d Value,
    in_path: Vec<(String, String)>,
}

impl Description {
    /// The app's, where there is one.
    pub(crate) fn of(app: &str) -> Option<Self> {
        expected::read("openapi", app).or_else(|| elsewhere(app)).map(Self)
    }

    /// The one that is kept here, so that a page can name it.
    pub(crate) fn kept(app: &str) -> Option<Self> {
        expected::read("openapi", app).map(Self)
    }

    /// Everything in which a request is not as described; `None` where its operation is not.
    pub(crate) fn faults(&self, sent: &Attached) -> Option<Vec<String>> {
        let url = Url::parse(&sent.url).expect("a URL");
        let found = self.find(&sent.method, &url)?;
        let mut faults = Vec::new();
        let listed = [&found.item["parameters"], &found.operation["parameters"]];
        let listed = listed.into_iter().filter_map(Value::as_array).flatten();
        let parameters: Vec<&Value> = listed.map(|parameter| self.resolved(parameter)).collect();
        let mut values: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
        let mut give = |place, name: &str, value: &str| {
            values.entry((place, name.to_owned())).or_default().push(value.to_owned());
        };
        found.in_path.iter().for_each(|(name, value)| give("path", name, value));
        url.query_pairs().for_each(|(name, value)| give("query", &name, &value));
        sent.headers.iter().for_each(|(name, value)| give("header", &name.to_lowercase(), value));
        for parameter in &parameters {
            faults.extend(self.parameter(parameter, &values));
        }
        for (place, name) in values.keys().filter(|(place, _)| *place == "query") {
            if !self.is_known(&parameters, name) {
                faults.push(format!("{place} parameter {name} is unknown"));
            }
        }
        faults.extend(self.body(&found.operation["requestBody"], sent));
        Some(faults)
    }

    fn find(&self, method: &str, url: &Url) -> Option<Operation<'_>> {
        let server = self.0["servers"][0]["url"].as_str().unwrap_or_default();
        let authority = server.split_once("://").map_or(server, |(_, rest)| rest);
        let base = authority.find('/').map_or("", |at| &authority[at..]).trim_end_matches('/');
        let path = url.path().strip_prefix(base)?;
        let items = self.0["paths"].as_object()?;
        let fitting = items.iter().filter_map(|(template, item)| {
            let operation = item.get(method.to_lowercase())?;
            let in_path = segments(template, path)?;
            Some(Operation { item, operation, in_path })
        });
        fitting.min_by_key(|operation| operation.in_path.len())
    }

    fn parameter(
        &self,
        parameter: &Value,
        values: &BTreeMap<(&str, String), Vec<String>>,
    ) -> Option<String> {
        let (name, place) = (parameter["name"].as_str()?, parameter["in"].as_str()?);
        let key = if place == "header" { name.to_lowercase() } else { name.to_owned() };
        let of_its_own = ["authorization", "accept", "content-type"].contains(&key.as_str());
        if place == "header" && of_its_own || place == "cookie" {
            return None;
        }
        let given = values.iter().find(|((at, found), _)| *at == place && *found == key);
        let Some((_, given)) = given else {
            let missing = parameter["required"] == true;
            return missing.then(|| format!("{place} parameter {name} is missing"));
        };
        let schema = self.schema(parameter.get("schema")?);
        let text = given.first().map(String::as_str).unwrap_or_default();
        let mut readings = vec![json!(text), json!(given), list(given.iter().map(String::as_str))];
        readings.extend(serde_json::from_str::<Value>(text));
        readings.push(list(text.split(',')));
        let fits = readings.iter().any(|value| schema.validate(value, "").is_empty());
        (!fits).then(|| format!("{place} parameter {name} cannot be {text}"))
    }

    fn is_known(&self, parameters: &[&Value], name: &str) -> bool {
        let base = name.split('[').next().unwrap_or(name);
        let named = |p: &&Value| {
            p["in"] == "query"
                && (p["name"] == name || p["name"] == base && p["style"] == "deepObject")
        };
        let schemes = self.0["components"]["securitySchemes"].as_object();
        let mut keys = schemes.into_iter().flat_map(Map::values);
        parameters.iter().any(named) || keys.any(|s| s["in"] == "query" && s["name"] == name)
    }

    fn body(&self, described: &Value, sent: &Attached) -> Vec<String> {
        let described = self.resolved(described);
        let Some(body) = &sent.body else {
            let missing = described["required"] == true;
            return missing.then(|| "the body is missing".to_owned()).into_iter().collect();
        };
        let kind = sent.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let kind = kind.map_or("", |(_, kind)| kind.split(';').next().unwrap_or(kind));
        let Some(schema) = described["content"].get(kind).map(|content| &content["schema"]) else {
            return vec![format!("a body of type {kind} is not described")];
        };
        let value = match body {
            RenderedBody::Json(value) => value.clone(),
            RenderedBody::Form(pairs) => self.typed(nested(pairs), schema),
            RenderedBody::Text(_) | RenderedBody::Bytes(_) => return Vec::new(),
        };
        let faults = self.schema(schema).validate(&value, "");
        let mut faults: Vec<String> =
            faults.iter().map(|fault| format!("body{}: {}", fault.pointer, fault.detail)).collect();
        self.misspelled(&value, schema, "body", &mut faults);
        faults
    }

    /// Members of objects that no part of the schema names, where it names any.
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

    /// A form's texts as the types that the schema asks for.
    fn typed(&self, value: Value, schema: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let known = self.members(schema);
                let typed = members.into_iter().map(|(name, value)| {
                    let schema = known.get(name.as_str()).or_else(|| known.get("*"));
                    let value = schema.map_or(value.clone(), |schema| self.typed(value, schema));
                    (name, value)
                });
                Value::Object(typed.collect())
            }
            Value::Array(items) => {
                let schema = &self.resolved(schema)["items"];
                items.into_iter().map(|item| self.typed(item, schema)).collect()
            }
            Value::String(text) if !self.schema(schema).validate(&json!(text), "").is_empty() => {
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
            other => other,
        }
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        let reference = value.get("$ref").and_then(Value::as_str);
        let Some(reference) = reference else { return value };
        let target = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
        self.resolved(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }

    fn schema(&self, schema: &Value) -> Schema {
        let document = match schema {
            Value::Object(members) => {
                let mut document = members.clone();
                document.insert("components".into(), self.0["components"].clone());
                Value::Object(document)
            }
            other => other.clone(),
        };
        let compiled = Schema::parse_with(&document, Keywords::Lenient);
        compiled.unwrap_or_else(|faults| panic!("the description: {faults:?}"))
    }
}

fn elsewhere(app: &str) -> Option<Value> {
    let folder = std::env::var_os("KEYWARD_DESCRIPTIONS")?;
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join(format!("{app}.json")));
    Some(serde_json::from_str(&text.ok()?).expect("a JSON description"))
}

/// The values that a path has for a template's holes; the last hole may take several segments.
fn segments(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut values = Vec::new();
    let mut rest = path.split('/');
    let mut parts = template.split('/').peekable();
    while let Some(part) = parts.next() {
        let found = rest.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) if parts.peek().is_none() => {
                let all: Vec<&str> = std::iter::once(found).chain(rest.by_ref()).collect();
                values.push((name.to_owned(), all.join("/")));
            }
            Some(name) => values.push((name.to_owned(), found.to_owned())),
            None if part == found => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(values)
}

/// Texts as a list of what they are as JSON, where they are that.
fn list<'t>(texts: impl Iterator<Item = &'t str>) -> Value {
    texts.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))).collect()
}

/// A form's `a[b]` and `a[0]` as objects and arrays.
fn nested(pairs: &[(String, String)]) -> Value {
    let mut root = Map::new();
    for (name, text) in pairs {
        let parts: Vec<&str> = name.split(['[', ']']).filter(|part| !part.is_empty()).collect();
        let Some((last, parents)) = parts.split_last() else { continue };
        let mut into = &mut root;
        for parent in parents {
            let member = into.entry(*parent).or_insert_with(|| json!({}));
            into = member.as_object_mut().expect("a member that is no text too");
        }
        match into.get_mut(*last) {
            Some(Value::Array(items)) => items.push(text.clone().into()),
            Some(first) => *first = json!([first, text]),
            None => drop(into.insert((*last).to_owned(), text.clone().into())),
        }
    }
    arrays(Value::Object(root))
}

fn arrays(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let numbered = !members.is_empty() && members.keys().all(|name| name.parse::<u32>().is_ok());
    let members = members.into_iter().map(|(name, value)| (name, arrays(value)));
    match numbered {
        true => members.map(|(_, value)| value).collect(),
        false => Value::Object(members.collect()),
    }
}
