//! What attaching a credential makes of a rendered request, with names where the values would stand.

use keyward_model::catalogue::{Attach, rendered_body};
use keyward_model::workflow::{RenderedBody, RenderedRequest};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use url::Url;

/// A request with its credential attached.
pub(crate) struct Attached {
    /// The request as it was rendered.
    pub(crate) rendered: RenderedRequest,
    /// The method.
    pub(crate) method: String,
    /// The URL with its query.
    pub(crate) url: String,
    /// The headers by name.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: Option<RenderedBody>,
}

impl Attached {
    /// As the expected files hold it.
    pub(crate) fn told(&self) -> Value {
        let mut told = json!({
            "method": self.method,
            "url": self.url.replace("%3C", "<").replace("%3E", ">"),
            "headers": self.headers,
        });
        let body = match &self.body {
            None => return told,
            Some(RenderedBody::Json(json)) => json.clone(),
            Some(RenderedBody::Form(pairs)) => {
                json!(
                    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
                )
            }
            Some(RenderedBody::Text(text)) => text.clone().into(),
            Some(RenderedBody::Bytes(bytes)) => format!("{} bytes", bytes.len()).into(),
        };
        told["body"] = body;
        told
    }
}

/// Fills an attach rule's holes; what names a field that is not set is left out.
pub(crate) fn attach(
    attach: &Attach,
    fields: &BTreeMap<String, String>,
    rendered: RenderedRequest,
) -> Attached {
    let mut url = Url::parse(&rendered.url).unwrap_or_else(|e| panic!("{}: {e}", rendered.url));
    let given = |rules: &BTreeMap<String, String>| -> Vec<(String, String)> {
        rules.iter().filter_map(|(name, text)| Some((name.clone(), fill(text, fields)?))).collect()
    };
    let query = [rendered.query.clone(), given(&attach.query)].concat();
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let mut headers: BTreeMap<String, String> = rendered.headers.iter().cloned().collect();
    headers.extend(given(&attach.headers));
    if let Some(basic) = &attach.basic {
        let user = fill(&basic.username, fields).expect("the user's field");
        let password = fill(&basic.password, fields).expect("the password's field");
        headers.insert("Authorization".into(), format!("Basic base64({user}:{password})"));
    }
    if let Some(sigv4) = &attach.sigv4 {
        let region = fill(&sigv4.region, fields).expect("the region's field");
        let key = &fields[&sigv4.access_key_id];
        let signed = format!("AWS4-HMAC-SHA256 of {key} for {} in {region}", sigv4.service);
        headers.insert("Authorization".into(), signed);
    }
    let mut body = rendered.body.clone();
    if !attach.json.is_empty() {
        let mut json = match body {
            None => Map::new(),
            Some(RenderedBody::Json(Value::Object(members))) => members,
            Some(_) => panic!("members are attached to what is no JSON object"),
        };
        merge(&mut json, &attach.json, fields);
        body = Some(RenderedBody::Json(json.into()));
    }
    if let Some(body) = &body
        && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"))
    {
        headers.insert("Content-Type".into(), rendered_body(body).1.into());
    }
    let method = rendered.method.as_str().to_owned();
    Attached { method, url: url.into(), headers, body, rendered }
}

fn merge(
    into: &mut Map<String, Value>,
    from: &Map<String, Value>,
    fields: &BTreeMap<String, String>,
) {
    for (name, value) in from {
        match (value, into.get_mut(name)) {
            (Value::Object(from), Some(Value::Object(into))) => merge(into, from, fields),
            (Value::Object(from), _) => {
                let mut members = Map::new();
                merge(&mut members, from, fields);
                into.insert(name.clone(), members.into());
            }
            (Value::String(text), _) => {
                into.extend(fill(text, fields).map(|text| (name.clone(), text.into())));
            }
            (other, _) => drop(into.insert(name.clone(), other.clone())),
        }
    }
}

fn fill(text: &str, fields: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a whole hole");
        out.push_str(before);
        out.push_str(fields.get(name.trim())?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}
