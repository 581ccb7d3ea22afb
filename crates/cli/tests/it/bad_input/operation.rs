//! Operations as the server describes them.

use serde_json::{Value, json};

/// One operation of `openapi.json`.
#[derive(Clone)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub query: Vec<String>,
    /// The body's schema and the document that its references point into.
    pub body: Option<(Value, Value)>,
    pub is_public: bool,
    /// The statuses that the description promises; empty where nothing is described.
    pub statuses: Vec<u16>,
}

impl Operation {
    /// Every operation of the document; definitions of workflows have a schema of their own.
    pub fn all(document: &Value, definition: &Value) -> Vec<Self> {
        let mut all = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, described) in methods.as_object().expect("methods") {
                let schema = described.pointer("/requestBody/content/application~1json/schema");
                let body = schema.map(|schema| match schema {
                    Value::Bool(true) => (definition.clone(), definition.clone()),
                    schema => (schema.clone(), document.clone()),
                });
                all.push(Self {
                    id: described["operationId"].as_str().expect("an id").to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    query: query(described),
                    body,
                    is_public: described["security"] == json!([]),
                    statuses: statuses(described),
                });
            }
        }
        all
    }

    /// What lies outside of the description.
    pub fn nowhere() -> Self {
        Self {
            id: "none".into(),
            method: "GET".into(),
            path: "/".into(),
            query: Vec::new(),
            body: None,
            is_public: true,
            statuses: Vec::new(),
        }
    }

    /// `DELETE /credentials/{id}`: how samples name it.
    pub fn name(&self) -> String {
        let path = self.path.strip_prefix("/api/v1/workspaces/{workspace}");
        let path = path.filter(|path| !path.is_empty()).unwrap_or(&self.path);
        format!("{} {path}", self.method)
    }

    /// The list that the `{id}` in its path is of.
    pub fn kind(&self) -> Option<&str> {
        let (before, _) = self.path.split_once("/{id}")?;
        before.rsplit('/').next()
    }

    /// Whether its body is a workflow's definition.
    pub fn takes_definition(&self) -> bool {
        matches!(self.id.as_str(), "createWorkflow" | "replaceWorkflow")
    }

    /// How many bytes its body may have.
    pub fn limit(&self) -> usize {
        let takes_manifest = matches!(self.id.as_str(), "createApp" | "replaceApp");
        if takes_manifest || self.takes_definition() { 1_048_576 } else { 6_291_456 }
    }

    /// Whether it does what it does without a body as well.
    pub fn may_be_empty(&self) -> bool {
        self.id == "suspendCredential"
    }

    /// The members that its body declares, with their schemas.
    pub fn members(&self) -> Vec<(String, Value)> {
        let Some((schema, root)) = &self.body else { return Vec::new() };
        let members = resolve(schema, root)["properties"].as_object().cloned();
        members.unwrap_or_default().into_iter().collect()
    }

    /// Whether a member with that schema may hold that value.
    pub fn accepts(&self, schema: &Value, value: &Value) -> bool {
        self.body.as_ref().is_some_and(|(_, root)| accepts(schema, value, root))
    }
}

fn query(described: &Value) -> Vec<String> {
    let parameters = described["parameters"].as_array().into_iter().flatten();
    let query = parameters.filter(|parameter| parameter["in"] == "query");
    query.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

fn statuses(described: &Value) -> Vec<u16> {
    let responses = described["responses"].as_object().expect("responses");
    responses.keys().map(|status| status.parse().expect("a status")).collect()
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let found = root.pointer(reference.trim_start_matches('#'));
            resolve(found.expect("a reference into the document"), root)
        }
        None => schema,
    }
}

/// As much of JSON Schema as the description uses.
fn accepts(schema: &Value, value: &Value, root: &Value) -> bool {
    let schema = resolve(schema, root);
    let any_of = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    if let Some(choices) = any_of {
        return choices.iter().any(|choice| accepts(choice, value, root));
    }
    if let Some(only) = schema.get("const") {
        return only == value;
    }
    if let Some(listed) = schema["enum"].as_array() {
        return listed.contains(value);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return true,
    };
    let has = |name: &str| types.contains(&name);
    match value {
        Value::Null => has("null"),
        Value::Bool(_) => has("boolean"),
        Value::Number(_) => has("number") || has("integer"),
        // A canary has no form that a pattern or format asks for.
        Value::String(_) => {
            has("string") && schema.get("pattern").is_none() && schema.get("format").is_none()
        }
        Value::Array(items) => {
            has("array") && items.iter().all(|item| accepts(&schema["items"], item, root))
        }
        Value::Object(members) => {
            let known = |name: &String| schema["properties"].get(name).is_some();
            let open = schema["additionalProperties"] != Value::Bool(false);
            has("object") && members.keys().all(|name| open || known(name))
        }
    }
}
