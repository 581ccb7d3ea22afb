//! Holding a request against its operation.

use keyward_model::json_schema::{Keywords, Schema};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::operation::{Api, Found};
use crate::echo::Received;

const FORM: &str = "application/x-www-form-urlencoded";

/// All that is wrong with it.
pub(super) fn faults(api: &Api<'_>, found: &Found<'_>, request: &Received) -> Vec<String> {
    let query = pairs(request.query());
    let mut faults = parameters(api, found, request, &query);
    faults.extend(unknown(api, found, &query));
    faults.extend(body(api, found, request));
    faults.extend(authentication(api, found, request, &query));
    faults
}

fn parameters(
    api: &Api<'_>,
    found: &Found<'_>,
    request: &Received,
    query: &[(String, String)],
) -> Vec<String> {
    let mut faults = Vec::new();
    for parameter in &found.parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        let values: Vec<&str> = match place {
            "path" => {
                let own = found.in_path.iter().filter(|(known, _)| *known == name);
                own.map(|(_, value)| value.as_str()).collect()
            }
            "query" => {
                let own = query.iter().filter(|(known, _)| known == name);
                own.map(|(_, value)| value.as_str()).collect()
            }
            "header" => request.header(name).into_iter().collect(),
            _ => continue,
        };
        // Members of an object may be written as `name[member]`.
        let deep = place == "query" && query.iter().any(|(known, _)| is_member(known, name));
        if values.is_empty() {
            if parameter["required"] == true && !deep {
                faults.push(format!("{place} parameter {name} is missing"));
            }
        } else if let Some(schema) = api.schema_of(parameter) {
            let value = written(&schema, api, &values);
            let found = against(api, &schema, value);
            faults.extend(found.iter().map(|fault| format!("{place} parameter {name}{fault}")));
        }
    }
    faults
}

/// The value that texts stand for: a list where the schema says so.
fn written(schema: &Value, api: &Api<'_>, values: &[&str]) -> Value {
    let list = {
        let document = api.document(schema);
        let followed = schema["$ref"].as_str().and_then(|to| document.pointer(to.get(1..)?));
        followed.unwrap_or(schema)["type"] == "array"
    };
    match values {
        [one] if !list => json!(one),
        [one] => json!(one.split(',').collect::<Vec<_>>()),
        many => json!(many),
    }
}

/// Parameters in the query that nobody described.
fn unknown(api: &Api<'_>, found: &Found<'_>, query: &[(String, String)]) -> Vec<String> {
    let described = |name: &str| {
        let mut own = found.parameters.iter().filter(|parameter| parameter["in"] == "query");
        own.any(|parameter| {
            let known = parameter["name"].as_str().unwrap_or_default();
            known == name || is_member(name, known)
        })
    };
    let is_key = |name: &str| {
        let mut schemes = schemes(api).into_iter().flat_map(Map::values);
        schemes.any(|scheme| scheme["in"] == "query" && scheme["name"] == name)
    };
    let names = query.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| !described(name) && !is_key(name))
        .map(|name| format!("query parameter {name} is not described"))
        .collect()
}

fn is_member(written: &str, name: &str) -> bool {
    written.strip_prefix(name).is_some_and(|rest| rest.starts_with('['))
}

fn body(api: &Api<'_>, found: &Found<'_>, request: &Received) -> Vec<String> {
    let Some(described) = Body::of(api, found) else {
        let sent = !request.body.is_empty();
        return if sent {
            vec!["there is a body, but none is described".to_owned()]
        } else {
            vec![]
        };
    };
    if request.body.is_empty() {
        return if described.required { vec!["the body is missing".to_owned()] } else { vec![] };
    }
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fits = |described: &str| {
        let wide = described.strip_suffix('*').filter(|wide| wide.ends_with('/'));
        described == "*/*" || described == kind || wide.is_some_and(|wide| kind.starts_with(wide))
    };
    let Some((_, schema)) = described.kinds.iter().find(|(described, _)| fits(described)) else {
        return vec![format!("a body of type `{kind}` is not described")];
    };
    let Some(schema) = schema else { return Vec::new() };
    let value = if kind == FORM {
        nested(&pairs(&request.text()))
    } else if kind.ends_with("json") {
        match serde_json::from_slice(&request.body) {
            Ok(value) => value,
            Err(_) => return vec!["the body is no JSON".to_owned()],
        }
    } else {
        // Other kinds have no members to look at.
        return Vec::new();
    };
    let found = match kind == FORM {
        true => against(api, schema, value),
        false => exactly(api, schema, &value).into_iter().map(|(_, fault)| fault).collect(),
    };
    found.iter().map(|fault| format!("body{fault}")).collect()
}

/// The body that an operation takes.
struct Body {
    required: bool,
    /// Types of content, in lower case, each with its schema where it has one.
    kinds: Vec<(String, Option<Value>)>,
}

impl Body {
    fn of(api: &Api<'_>, found: &Found<'_>) -> Option<Self> {
        if api.0["swagger"].is_string() {
            return Self::of_swagger(api, found);
        }
        let body = api.follow(&found.operation["requestBody"]);
        let kinds = body["content"]
            .as_object()?
            .iter()
            .map(|(kind, content)| (kind.to_ascii_lowercase(), content.get("schema").cloned()));
        Some(Self { required: body["required"] == true, kinds: kinds.collect() })
    }

    fn of_swagger(api: &Api<'_>, found: &Found<'_>) -> Option<Self> {
        let lists = [&found.operation["consumes"], &api.0["consumes"]];
        let consumes = lists.into_iter().find_map(|list| list.as_array());
        let kinds = |otherwise: &str| match consumes {
            Some(kinds) => {
                kinds.iter().filter_map(|kind| Some(kind.as_str()?.to_owned())).collect()
            }
            None => vec![otherwise.to_owned()],
        };
        let of_kind = |place: &str| -> Vec<&Value> {
            found.parameters.iter().copied().filter(|known| known["in"] == place).collect()
        };
        let with = |kinds: Vec<String>, schema: &Value, required| {
            let kinds = kinds.into_iter().map(|kind| (kind, Some(schema.clone()))).collect();
            Some(Self { required, kinds })
        };
        if let Some(body) = of_kind("body").first() {
            return with(kinds("application/json"), &body["schema"], body["required"] == true);
        }
        let fields = of_kind("formData");
        let name = |field: &Value| field["name"].as_str().unwrap_or_default().to_owned();
        let needed = fields.iter().filter(|field| field["required"] == true);
        let required: Vec<String> = needed.map(|field| name(field)).collect();
        let properties: Map<_, _> = fields
            .iter()
            .map(|field| (name(field), api.schema_of(field).unwrap_or_else(|| json!({}))))
            .collect();
        let schema = json!({ "properties": properties, "required": required });
        if fields.is_empty() { None } else { with(kinds(FORM), &schema, !required.is_empty()) }
    }
}

fn schemes<'d>(api: &Api<'d>) -> Option<&'d Map<String, Value>> {
    let schemes = [&api.0["components"]["securitySchemes"], &api.0["securityDefinitions"]];
    schemes.into_iter().find_map(|schemes| schemes.as_object())
}

fn authentication(
    api: &Api<'_>,
    found: &Found<'_>,
    request: &Received,
    query: &[(String, String)],
) -> Option<String> {
    let asked = [&found.operation["security"], &api.0["security"]];
    let asked = asked.into_iter().find_map(|list| list.as_array())?;
    let authorization = |word: &str| {
        let (said, value) = request.header("authorization")?.split_once(' ')?;
        (said.eq_ignore_ascii_case(word) && !value.is_empty()).then_some(())
    };
    let shown = |name: &String| {
        let scheme = api.follow(schemes(api).and_then(|all| all.get(name)).unwrap_or(&Value::Null));
        let text = |name: &str| scheme[name].as_str().unwrap_or_default();
        match (text("type"), text("in")) {
            ("http", _) => authorization(text("scheme")).is_some(),
            ("basic", _) => authorization("basic").is_some(),
            ("apiKey", "header") => request.header(text("name")).is_some_and(|key| !key.is_empty()),
            ("apiKey", "query") => query.iter().any(|(known, _)| known == text("name")),
            ("oauth2" | "openIdConnect", _) => authorization("bearer").is_some(),
            _ => false,
        }
    };
    let one = |wanted: &Value| wanted.as_object().is_some_and(|all| all.keys().all(shown));
    let fine = asked.is_empty() || asked.iter().any(one);
    (!fine).then(|| "it does not authenticate itself as described".to_owned())
}

/// What is wrong with a value that was written as texts, which stand for numbers and the like, too.
fn against(api: &Api<'_>, schema: &Value, mut value: Value) -> Vec<String> {
    for (pointer, _) in exactly(api, schema, &value) {
        if let Some(part) = value.pointer_mut(&pointer) {
            read(part);
        }
    }
    exactly(api, schema, &value).into_iter().map(|(_, fault)| fault).collect()
}

fn read(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Ok(read @ (Value::Bool(_) | Value::Number(_))) = serde_json::from_str(text) {
                *value = read;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(read),
        Value::Object(members) => members.values_mut().for_each(read),
        _ => {}
    }
}

/// Where and why a value does not fit.
fn exactly(api: &Api<'_>, schema: &Value, value: &Value) -> Vec<(String, String)> {
    match Schema::parse_with(&api.document(schema), Keywords::Lenient) {
        Ok(schema) => {
            let faults = schema.validate(value, "").into_iter();
            faults
                .map(|fault| {
                    let said = format!("{}: {}", fault.pointer, fault.detail);
                    (fault.pointer, said)
                })
                .collect()
        }
        Err(faults) => faults
            .into_iter()
            .map(|fault| (String::new(), format!(": its schema cannot be read: {fault:?}")))
            .collect(),
    }
}

/// Names and values of a query or a form, decoded.
fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The value of a form: `a[b]=1` is a member of a member, `a[]=1`, `a[0]=1` and `a=1&a=2` are lists.
fn nested(pairs: &[(String, String)]) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, value) in pairs {
        let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
        let mut path = vec![first];
        path.extend(rest.split(['[', ']']).skip(1).step_by(2));
        put(&mut root, &path, value);
    }
    root
}

fn put(place: &mut Value, path: &[&str], text: &str) {
    let Some((name, rest)) = path.split_first() else {
        match place {
            Value::Null => *place = json!(text),
            Value::Array(items) => items.push(json!(text)),
            one => *one = json!([one.take(), text]),
        }
        return;
    };
    if name.is_empty() || name.bytes().all(|digit| digit.is_ascii_digit()) {
        if place.is_null() {
            *place = json!([]);
        }
        let Value::Array(items) = place else { return };
        let at = name.parse().unwrap_or(items.len());
        if at >= items.len() {
            items.push(Value::Null);
        }
        if let Some(item) = items.get_mut(at) {
            put(item, rest, text);
        }
        return;
    }
    if place.is_null() {
        *place = json!({});
    }
    if let Value::Object(members) = place {
        put(members.entry(*name).or_insert(Value::Null), rest, text);
    }
}
