//! `GET /api/v1/workspaces/{workspace}/runs/{id}/events`: server-sent events (WHATWG HTML §9.2).

use super::view::{Seals, show_seals_in_json};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{HeaderMap, Method};
use keyward_engine::{Live, LiveEvent};
use keyward_model::policy::Ability;
use keyward_model::run::{Run, Step};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// How often a run that another node drives is looked at.
const POLL: Duration = Duration::from_millis(500);

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/runs/{id}/events",
        "followRun",
        "Follow a run: log, step and run events, from the start or after Last-Event-ID.",
        Access::Member(Ability::ReadRuns),
        handle,
    )
    .answer_as(200, "text/event-stream")
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    scope.may(Ability::ReadRuns)?;
    let (run, steps) = super::find(&api, &scope, &id).await?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let from = last.map_or(Some(0), |id| id.parse::<usize>().ok()?.checked_add(1));
    let from = from.ok_or_else(|| {
        Problem::new("invalid_request", "Last-Event-ID is not one that this stream gave out")
    })?;
    let events = match api.engine().live().get(run.id) {
        Some(live) => follow_live(live, from).boxed(),
        None => follow_stored(api, scope, run, steps, from).boxed(),
    };
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::default()))
}

fn event(position: usize, event: &LiveEvent) -> Event {
    Event::default().id(position.to_string()).event(event.kind).data(&*event.data)
}

fn follow_live(live: Arc<Live>, from: usize) -> impl Stream<Item = Event> {
    stream::unfold((live, from), |(live, position)| async move {
        let events = live.after(position).await?;
        let next = position + events.len();
        let batch: Vec<Event> =
            events.iter().enumerate().map(|(at, one)| event(position + at, one)).collect();
        Some((stream::iter(batch), (live, next)))
    })
    .flatten()
}

/// The events of a stored run, in the order in which they happened; polled until it has ended.
fn follow_stored(
    api: Api,
    scope: InWorkspace,
    run: Run,
    steps: Vec<Step>,
    from: usize,
) -> impl Stream<Item = Event> {
    let state = Some((api, scope, Some((run, steps)), from));
    stream::unfold(state, |state| async move {
        let (api, scope, known, position) = state?;
        let (run, steps) = match known {
            Some(known) => known,
            None => return None,
        };
        let all = stored_events(&run, &steps);
        let batch: Vec<Event> =
            all.iter().enumerate().skip(position).map(|(at, one)| event(at, one)).collect();
        let position = position.max(all.len());
        if run.status.is_final() {
            return Some((stream::iter(batch), None));
        }
        tokio::time::sleep(POLL).await;
        let known = super::find(&api, &scope, &run.id.to_string()).await.ok();
        Some((stream::iter(batch), Some((api, scope, known, position))))
    })
    .flatten()
}

fn stored_events(run: &Run, steps: &[Step]) -> Vec<LiveEvent> {
    let mut events = Vec::new();
    let mut push =
        |kind, data: Value| events.push(LiveEvent { kind, data: data.to_string().into() });
    for step in steps {
        let logs: Vec<Value> = match run.no_store {
            true => Vec::new(),
            false => parse(step).as_array().cloned().unwrap_or_default(),
        };
        let skipped = step.status.as_str() == "skipped";
        for attempt in 1..=step.attempt {
            if !skipped {
                push("step", summary(step, attempt, "running", None));
            }
            let of_attempt = |line: &&Value| line.get("attempt") == Some(&Value::from(attempt));
            for line in logs.iter().filter(of_attempt) {
                let mut line = line.clone();
                if let Some(members) = line.as_object_mut() {
                    members.insert("step".into(), step.step.clone().into());
                }
                push("log", line);
            }
            let is_last = attempt == step.attempt;
            let status = if is_last { step.status.as_str() } else { "waiting" };
            if status != "running" {
                push("step", summary(step, attempt, status, step.finished_at.filter(|_| is_last)));
            }
        }
    }
    if run.status.is_final() {
        push("run", json!({ "run_id": run.id, "status": run.status.as_str() }));
    }
    events
}

fn parse(step: &Step) -> Value {
    let seals: Seals = serde_json::from_str(&step.seals).unwrap_or_default();
    serde_json::from_str(&show_seals_in_json(&step.logs, &seals)).unwrap_or(Value::Null)
}

fn summary(
    step: &Step,
    attempt: i64,
    status: &str,
    finished_at: Option<keyward_model::clock::Timestamp>,
) -> Value {
    let error = step.error.as_ref().filter(|_| matches!(status, "failed" | "waiting"));
    json!({
        "id": step.step, "kind": step.kind, "status": status, "attempt": attempt,
        "started_at": step.started_at, "finished_at": finished_at,
        "error": error.map(|error| json!({ "code": error.code.as_str() })),
    })
}
