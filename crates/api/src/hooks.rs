//! HTTP triggers: bytes and path token in, a run accepted, its id or its result out.

use crate::body::{self, MAX_BODY};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use keyward_engine::{CompiledWorkflow, Ended, Event};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::id::RunId;
use keyward_model::json;
use keyward_model::run::{Origin, RunStatus};
use keyward_model::saved_workflow::Workflow;
use keyward_model::workflow::{Respond, Trigger};
use keyward_vault::TokenKind;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// Every trigger answer says which run it was.
const RUN_ID: HeaderName = HeaderName::from_static("keyward-run-id");

/// `ANY /hooks/{token}`
pub(crate) async fn receive(State(api): State<Api>, request: Request) -> Response {
    match accept(&api, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn accept(api: &Api, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (token, path) = split(parts.uri.path()).ok_or_else(Problem::not_found)?;
    let workflow = find(api, token).await?;
    let compiled = api.engine().compiled(&workflow, workflow.version).await?;
    let respond = check_method(&compiled, &parts.method)?;
    let body = body::collect(body, MAX_BODY).await?;
    let trigger = trigger(&parts.method, &parts.uri, &parts.headers, path, &body)?;
    let event = Event {
        origin: Origin::Hook,
        starter: Actor {
            kind: ActorKind::Trigger,
            id: workflow.id.to_string(),
            name: workflow.name.clone(),
        },
        member: workflow.owner,
        no_store: asks_no_store(&parts.headers),
        trigger,
        retry_of: None,
        audit: None,
        workflow,
    };
    let accepted = api.engine().accept(event).await?;
    let run = accepted.run;
    let mut response = match respond {
        Respond::Accepted => {
            (StatusCode::ACCEPTED, axum::Json(json!({ "run_id": run }))).into_response()
        }
        Respond::Result => match accepted.ended.await {
            Ok(ended) => result(run, &ended),
            Err(_) => Problem::new("internal", "the run broke off; it is taken up again")
                .with("run_id", run.to_string())
                .into_response(),
        },
    };
    if let Ok(value) = HeaderValue::from_str(&run.to_string()) {
        response.headers_mut().insert(RUN_ID, value);
    }
    Ok(response)
}

/// The token of `/hooks/{token}`, and the path after it.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/hooks/")?;
    Some(match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    })
}

/// Unknown, inactive and forged triggers look the same.
async fn find(api: &Api, token: &str) -> Result<Workflow, Problem> {
    let hash = api.vault().token_hash(TokenKind::Trigger, token);
    let found = api.store().read(move |tx| tx.workflow_by_hook(&hash)).await?;
    let found = found.ok_or_else(Problem::not_found)?;
    let workspace = found.parts().0.workspace;
    let workflow = api.vault().verify(workspace, found).await.map_err(|_| Problem::not_found())?;
    match workflow.active && workflow.trigger_hash == hash {
        true => Ok(workflow),
        false => Err(Problem::not_found()),
    }
}

fn check_method(compiled: &CompiledWorkflow, method: &Method) -> Result<Respond, Problem> {
    let Trigger::Http { method: expected, respond, .. } = &compiled.definition.trigger else {
        return Err(Problem::not_found());
    };
    match expected.as_ref().is_none_or(|expected| expected.as_str() == method.as_str()) {
        true => Ok(*respond),
        false => {
            let detail = "this trigger takes another method";
            Err(Problem::new("method_not_allowed", detail))
        }
    }
}

fn asks_no_store(headers: &HeaderMap) -> bool {
    let asks = |name: &str| headers.get(name).is_some_and(|value| value == "1");
    asks("x-keyward-no-store") || asks("x-pd-nostore")
}

/// `trigger` as steps see it.
fn trigger(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    path: &str,
    body: &Bytes,
) -> Result<Value, Problem> {
    Ok(json!({
        "body": read_body(headers, body)?,
        "headers": joined(headers),
        "query": pairs(uri.query().unwrap_or_default().as_bytes()),
        "method": method.as_str(),
        "path": path,
    }))
}

fn read_body(headers: &HeaderMap, body: &Bytes) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = body::media_type(headers).unwrap_or_default();
    if body::is_json(&kind) {
        return Ok(json::parse(body).map_err(json::Faults::from)?);
    }
    // Who forgets to say that it is JSON sends a form; as one, the secrets in it would stand in a name.
    let is_form = kind == "application/x-www-form-urlencoded" && !looks_like_json(body);
    if is_form {
        return Ok(pairs(body));
    }
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| Problem::new("invalid_request", "the body is not UTF-8 text"))?;
    Ok(Value::from(text))
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Headers by lower-case name, several of one name joined with a comma (RFC 9110 §5.3).
fn joined(headers: &HeaderMap) -> Value {
    let mut all = Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        all.insert(name.as_str().to_owned(), values.join(", ").into());
    }
    all.into()
}

/// Form pairs as an object; a name that comes twice has a list.
fn pairs(encoded: &[u8]) -> Value {
    let mut all = Map::new();
    for (name, value) in url::form_urlencoded::parse(encoded) {
        let value = Value::from(value.into_owned());
        match all.get_mut(name.as_ref()) {
            None => drop(all.insert(name.into_owned(), value)),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    all.into()
}

/// The last executed step's output, or the answer that it describes, or the failure.
fn result(run: RunId, ended: &Ended) -> Response {
    match (&ended.failed, ended.status) {
        (Some((step, code, message)), RunStatus::Failed) => {
            Problem::new("run_failed", format!("step \"{step}\" failed: {}", code.as_str()))
                .with("run_id", run.to_string())
                .with("step", step.as_str())
                .with("error", json!({ "code": code.as_str(), "message": message }))
                .into_response()
        }
        (_, RunStatus::Succeeded) => {
            let text = ended.output.as_deref().unwrap_or("null");
            let shown = crate::runs::show_seals_in_json(text, &ended.seals);
            described(&shown).unwrap_or_else(|| json_text(StatusCode::OK, shown))
        }
        (_, status) => Problem::new("run_failed", format!("the run is {}", status.as_str()))
            .with("run_id", run.to_string())
            .into_response(),
    }
}

fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// What frames an answer on its connection; the server alone says it (RFC 9110 §7.6.1).
const FRAMING: [&str; 9] = [
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "keyward-run-id",
];

/// `{"$response":{"status","headers","body"}}`; `None` where the output is of another form.
fn described(text: &str) -> Option<Response> {
    if !text.starts_with("{\"$response\"") {
        return None;
    }
    let output: Value = serde_json::from_str(text).ok()?;
    let response = output.get("$response")?.as_object()?;
    let status = response.get("status").map_or(Some(200), Value::as_u64)?;
    // What is below 200 is no final answer, and from 600 on no HTTP (RFC 9110 §15).
    let status = u16::try_from(status).ok().filter(|status| (200..600).contains(status))?;
    let status = StatusCode::from_u16(status).ok()?;
    let has_no_body = matches!(status.as_u16(), 204 | 205 | 304);
    let mut answer = match response.get("body").filter(|_| !has_no_body) {
        None | Some(Value::Null) => status.into_response(),
        Some(Value::String(text)) => (status, text.clone()).into_response(),
        Some(other) => json_text(status, other.to_string()),
    };
    for (name, value) in response.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        if FRAMING.contains(&name.as_str()) {
            continue;
        }
        let values = header_values(value);
        if !values.is_empty() {
            answer.headers_mut().remove(&name);
        }
        for value in values {
            answer.headers_mut().append(&name, value);
        }
    }
    Some(answer)
}

/// A header's value, or those of each line of it, such as of `Set-Cookie`.
fn header_values(value: &Value) -> Vec<HeaderValue> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(lines) => return lines.iter().flat_map(header_values).collect(),
        Value::Null | Value::Object(_) => return Vec::new(),
    };
    HeaderValue::from_bytes(text.as_bytes()).into_iter().collect()
}
