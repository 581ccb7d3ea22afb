//! The `http` step: one request from templates, with a credential attached as its type says.

use super::{StepInput, StepResult, code};
use keyward_model::error::StepErrorCode;
use keyward_model::template::Context;
use keyward_model::workflow::{CredentialInput, HttpStep, RenderedBody};
use keyward_vault::{Answer, Outgoing, StepFailure};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The longest that a request may take where the definition says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Executes one attempt.
pub(crate) async fn execute(input: &StepInput, step: &HttpStep, context: &Context) -> StepResult {
    let prepared = match prepare(step, context) {
        Ok(prepared) => prepared,
        Err(failure) => return input.fail(&failure),
    };
    let mut outgoing = prepared.outgoing;
    let key = input.idempotency_key.clone();
    add_idempotency_key(&outgoing.method, &mut outgoing.headers, key);
    let attach = step.credential.as_ref().and_then(CredentialInput::key).map(|key| key.as_str());
    let answer = input.vault.send(outgoing, attach, input.timeout).await;
    let mut result = match answer {
        Ok(answer) => answered(input, &answer),
        Err(failure) => input.fail(&failure),
    };
    // Masked now that what the request needed is known: data may hold a value too.
    let shown = input.run_vault.masker().json(&prepared.shown);
    result.seals.extend(input.vault.seals_in(shown.as_str()));
    result.input = Some(shown);
    result
}

fn answered(input: &StepInput, answer: &Answer) -> StepResult {
    let output = input.run_vault.masker().json(&output(answer));
    let seals = code::seals(input, Some(&output), &[]);
    if answer.status < 400 {
        return StepResult { outcome: Ok(output), input: None, logs: Vec::new(), seals };
    }
    let message = format!("the service answered with status {}", answer.status);
    let failure = StepFailure::new(StepErrorCode::HttpStatus, message);
    input.fail(&failure)
}

/// `{"status","headers","body"}`; a body that says it is JSON is parsed.
fn output(answer: &Answer) -> Value {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let text = String::from_utf8_lossy(value).into_owned();
        let name = name.to_ascii_lowercase();
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {text}"),
            None => text,
        };
        headers.insert(name, joined.into());
    }
    let is_json = headers
        .get("content-type")
        .and_then(Value::as_str)
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().to_ascii_lowercase().ends_with("json"));
    let text = || Value::String(String::from_utf8_lossy(&answer.body).into_owned());
    let body = match is_json {
        true => serde_json::from_slice(&answer.body).unwrap_or_else(|_| text()),
        false => text(),
    };
    json!({ "status": answer.status, "headers": headers, "body": body })
}

/// Adds the header that lets a service tell a repetition; a step's own wins.
pub(crate) fn add_idempotency_key(method: &str, headers: &mut Vec<(String, Vec<u8>)>, key: String) {
    let safe = ["GET", "HEAD"].iter().any(|safe| method.eq_ignore_ascii_case(safe));
    let given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
    if !safe && !given {
        headers.push(("Idempotency-Key".into(), key.into_bytes()));
    }
}

struct Prepared {
    outgoing: Outgoing,
    /// What the run page shows as the step's input.
    shown: Value,
}

fn prepare(step: &HttpStep, context: &Context) -> Result<Prepared, StepFailure> {
    let request = step
        .request
        .render(context)
        .map_err(|error| StepFailure::new(StepErrorCode::TemplateError, error.to_string()))?;
    let url = with_query(&request.url, &request.query);
    let shown_headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut shown = json!({
        "method": request.method.as_str(), "url": url, "headers": shown_headers,
    });
    let (body, kind) = match request.body {
        None => (Vec::new(), None),
        Some(RenderedBody::Json(value)) => {
            let body = value.to_string();
            show(&mut shown, "json", value);
            (body.into(), Some("application/json"))
        }
        Some(RenderedBody::Text(text)) => {
            show(&mut shown, "text", text.clone().into());
            (text.into(), Some("text/plain; charset=utf-8"))
        }
        Some(RenderedBody::Form(pairs)) => {
            show(&mut shown, "form", json!(pairs));
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            (form.finish().into(), Some("application/x-www-form-urlencoded"))
        }
    };
    let mut headers: Vec<(String, Vec<u8>)> =
        request.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    let has_kind = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(kind) = kind.filter(|_| !has_kind) {
        headers.push(("Content-Type".into(), kind.into()));
    }
    let method = request.method.as_str().to_owned();
    let outgoing = Outgoing { method, url, headers, body: body.into(), follow: true };
    Ok(Prepared { outgoing, shown })
}

fn show(shown: &mut Value, name: &str, value: Value) {
    if let Some(members) = shown.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// The URL with the step's query parameters after its own. An unreadable URL is left for the broker.
fn with_query(url: &str, query: &[(String, String)]) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if !query.is_empty() => {
            parsed.query_pairs_mut().extend_pairs(query);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}
