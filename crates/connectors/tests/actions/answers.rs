//! What actions make of answers: samples in `answers/<app>.json`, after the vendors' references.
//!
//! Each action has a list of `{"answer": {"status", "headers", "body"}, "gives": ...}`; `gives` holds
//! the output, or the items and the URL and query of the next page, or what was refused.

use crate::{Sent, expected};
use keyward_model::catalogue::{Action, App, CallError, answer};
use keyward_model::template::Context;
use keyward_model::workflow::{RenderedBody, RenderedRequest};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Reads every sample of an app as its action would; an action without samples fails where the app
/// has some.
pub(crate) fn check(app: &App, sent: &[Sent]) {
    let Some(samples) = expected::read("answers", app.id()) else { return };
    let mut found = Map::new();
    for written in &app.manifest.actions {
        let at = format!("{}.{}", app.id(), written.id);
        let given = samples[&written.id].as_array();
        let given = given.unwrap_or_else(|| panic!("{at}: no sample in answers/{}.json", app.id()));
        let action = app.action(&written.id).unwrap();
        let sent = sent.iter().find(|sent| sent.name == written.id).unwrap();
        let read = given.iter().map(|sample| {
            let gives = gives(action, &written.example, &sent.request.rendered, &sample["answer"]);
            json!({"answer": sample["answer"], "gives": gives})
        });
        found.insert(written.id.clone(), read.collect());
    }
    expected::compare("answers", app.id(), &found);
}

fn gives(
    action: &Action,
    example: &Map<String, Value>,
    sent: &RenderedRequest,
    sample: &Value,
) -> Value {
    let status = sample["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(200);
    let headers = sample["headers"].as_object().cloned().unwrap_or_default();
    let inputs = Arc::new(Value::Object(example.clone()));
    let mut context = Context::of_action(inputs, Arc::new(json!({})));
    context.set_answer(answer(status, headers, sample["body"].clone()));
    let read = match action.is_paged() {
        false => action.output(&context),
        true => action.page(&context, sent).map(|page| {
            let next = page.next.as_ref().map(told);
            json!({"items": page.items, "next": next})
        }),
    };
    match read {
        Ok(output) => output,
        Err(CallError::Refused { said, rejected }) => {
            json!({"refused": said, "rejected": rejected})
        }
        Err(CallError::Page) => json!({"unexpected": "a page of HTML"}),
        Err(CallError::Unexpected(error)) => json!({"unexpected": error.to_string()}),
    }
}

fn told(next: &RenderedRequest) -> Value {
    let query: Vec<_> = next.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = match &next.body {
        Some(RenderedBody::Json(body)) => body.clone(),
        _ => Value::Null,
    };
    json!({"url": next.url, "query": query, "body": body})
}
