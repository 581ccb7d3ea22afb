//! The `http` step: one request from templates, with a credential attached as its type says.

use super::{StepInput, StepResult, code};
use keyward_model::error::StepErrorCode;
use keyward_model::sealing;
use keyward_model::template::Context;
use keyward_model::workflow::{
    CredentialInput, ExternalField, HttpStep, RenderedBody, RenderedRequest,
};
use keyward_vault::{Answer, ExternalValues, Outgoing, StepFailure, Using};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The longest that a request may take where the definition says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Executes one attempt.
pub(crate) async fn execute(input: &StepInput, step: &HttpStep, context: &Context) -> StepResult {
    let request = match step.request.render(context) {
        Ok(request) => request,
        Err(error) => {
            let failure = StepFailure::new(StepErrorCode::TemplateError, error.to_string());
            return input.fail(&failure);
        }
    };
    let mut outgoing = Outgoing::of(request.clone());
    let shown = shown(request, &outgoing.url);
    outgoing.add_idempotency_key(&input.idempotency_key);
    let scheme = step.credential.as_ref().and_then(|credential| match credential {
        CredentialInput::External(external) => sealing::http_scheme(external),
        CredentialInput::Stored(_) => None,
    });
    let using = step.credential.as_ref().map(|credential| using(credential, scheme, context));
    let answer = input.vault.send(outgoing, using, input.timeout).await;
    let mut result = match answer {
        Ok(answer) => answered(input, &answer),
        Err(failure) => input.fail(&failure),
    };
    // Masked now that what the request needed is known: data may hold a value too.
    let shown = input.run_vault.masker().json(&shown);
    result.seals.extend(super::seals_in(input, shown.as_str()));
    result.input = Some(shown);
    result
}

/// What a step is authenticated with, external fields as the run's data has them now.
pub(crate) fn using<'a>(
    credential: &'a CredentialInput,
    scheme: Option<&'a str>,
    context: &Context,
) -> Using<'a> {
    let external = match credential {
        CredentialInput::Stored(key) => return Using::Stored(key.as_str()),
        CredentialInput::External(external) => external,
    };
    let field = |(name, field): &'a (String, ExternalField)| {
        let value = match field {
            ExternalField::Path(path) => context.lookup(path).cloned(),
            ExternalField::Literal(text) => Some(Value::from(text.as_str())),
        };
        (name.as_str(), value)
    };
    let fields = external.fields.iter().map(field).collect();
    Using::External(ExternalValues { scheme: scheme.or(external.scheme.as_deref()), fields })
}

fn answered(input: &StepInput, answer: &Answer) -> StepResult {
    let mut output = output(answer);
    if let Err(failure) = input.receive(&mut output) {
        return input.fail(&failure);
    }
    let output = input.run_vault.masker().json(&output);
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

/// What the run page shows as the step's input.
fn shown(request: RenderedRequest, url: &str) -> Value {
    let headers: Map<String, Value> =
        request.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut shown = Map::new();
    shown.insert("method".into(), request.method.as_str().into());
    shown.insert("url".into(), url.into());
    shown.insert("headers".into(), headers.into());
    match request.body {
        None | Some(RenderedBody::Bytes(_)) => None,
        Some(RenderedBody::Json(value)) => shown.insert("json".into(), value),
        Some(RenderedBody::Text(text)) => shown.insert("text".into(), text.into()),
        Some(RenderedBody::Form(pairs)) => shown.insert("form".into(), json!(pairs)),
    };
    Value::Object(shown)
}
