//! `custom`: a template of headers, query parameters and JSON members with `{{ field }}` holes.

use super::{AttachError, Fields, basic, set_header, set_query};
use crate::broker::{Outgoing, Sign};
use keyward_model::catalogue::SigV4;
use serde_json::{Map, Value};

pub(super) fn attach(fields: &Fields<'_>, request: &mut Outgoing) -> Result<(), AttachError> {
    let template = fields.details.template.as_ref().ok_or(AttachError::NoTemplate)?;
    for (name, text) in entries(template, "headers") {
        if let Some(text) = filled(fields, text)? {
            set_header(request, name, text);
        }
    }
    for (name, text) in entries(template, "query") {
        if let Some(text) = filled(fields, text)? {
            set_query(request, name, &text)?;
        }
    }
    if let Some(basic) = template.get("basic") {
        let part = |name| basic.get(name).map_or(Ok(None), |text| filled(fields, text));
        let (username, password) = (part("username")?, part("password")?);
        let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
        basic::set(request, &username, &password);
    }
    if let Some(sigv4) = template.get("sigv4") {
        request.sign = Some(sign(fields, sigv4)?);
        // Services read a plus in a query in two ways, and a signature stands for one of them.
        if let Some((before, query)) = request.url.split_once('?') {
            request.url = format!("{before}?{}", query.replace('+', "%20"));
        }
    }
    if let Some(pem) = fields.plain("ca_pem").filter(|_| fields.details.app.is_some()) {
        request.roots = Some(pem.as_bytes().into());
    }
    match template.get("json").and_then(Value::as_object) {
        Some(members) if !members.is_empty() => add_members(fields, members, request),
        _ => Ok(()),
    }
}

/// A text with its holes filled. What an app's form leaves open is left out with what names it.
fn filled(fields: &Fields<'_>, text: &Value) -> Result<Option<String>, AttachError> {
    match fill(fields, text.as_str().unwrap_or_default()) {
        Err(AttachError::UnknownField) if fields.details.app.is_some() => Ok(None),
        filled => filled.map(Some),
    }
}

fn sign(fields: &Fields<'_>, sigv4: &Value) -> Result<Sign, AttachError> {
    let rule: SigV4 = serde_json::from_value(sigv4.clone()).map_err(|_| AttachError::NoTemplate)?;
    let field = |name: &str| fields.text(name).ok_or(AttachError::MissingField);
    Ok(Sign {
        service: rule.service,
        region: fill(fields, &rule.region)?,
        access_key_id: field(&rule.access_key_id)?,
        secret_access_key: field(&rule.secret_access_key)?,
        session_token: fields.text(&rule.session_token),
    })
}

fn entries<'a>(template: &'a Value, part: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    template.get(part).and_then(Value::as_object).into_iter().flatten()
}

fn add_members(
    fields: &Fields<'_>,
    members: &Map<String, Value>,
    request: &mut Outgoing,
) -> Result<(), AttachError> {
    let mut body = match request.body.is_empty() {
        true => Value::Object(Map::new()),
        false => serde_json::from_slice(&request.body).map_err(|_| AttachError::BodyNotObject)?,
    };
    if !body.is_object() {
        return Err(AttachError::BodyNotObject);
    }
    merge(fields, &mut body, &Value::Object(members.clone()))?;
    request.body = body.to_string().into();
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        set_header(request, "Content-Type", "application/json".into());
    }
    Ok(())
}

/// Puts the template's members into the body, objects member by member, all else replaced.
fn merge(fields: &Fields<'_>, into: &mut Value, from: &Value) -> Result<(), AttachError> {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(fields, into.entry(name.as_str()).or_insert(Value::Null), value)?;
            }
        }
        (into, Value::Object(from)) => {
            *into = Value::Object(Map::new());
            merge(fields, into, &Value::Object(from.clone()))?;
        }
        (into, Value::String(text)) => *into = Value::String(fill(fields, text)?),
        (into, other) => *into = other.clone(),
    }
    Ok(())
}

/// Fills the `{{ field }}` holes of a text.
pub(crate) fn fill(fields: &Fields<'_>, text: &str) -> Result<String, AttachError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(AttachError::UnknownField)?;
        out.push_str(before);
        out.push_str(&fields.text(name.trim()).ok_or(AttachError::UnknownField)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}
