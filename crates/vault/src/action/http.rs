//! Actions that are HTTP requests: rendered, sent, paged through, and read.

use super::Doing;
use crate::broker::{Answer, Outgoing};
use crate::step::{StepFailure, StepVault};
use keyward_model::catalogue::{Action, CallError, Request, answer};
use keyward_model::error::StepErrorCode;
use keyward_model::template::Context;
use keyward_model::workflow::RenderedRequest;
use serde_json::{Map, Value};
use std::sync::Arc;

/// How many pages of a list one action reads.
const MAX_PAGES: usize = 100;
/// How large a list may become, in bytes of its answers.
const MAX_LIST_BYTES: usize = 5 << 20;

impl StepVault {
    pub(crate) async fn act_by_http(&self, doing: &mut Doing<'_>) -> Result<Value, StepFailure> {
        let session = self.sign_in(doing.app, &mut doing.authentication, doing.deadline).await?;
        let first = self.act_or_fall_back(doing).await;
        match (&first, session) {
            // The session may have been ended early: one more, and one more try.
            (Err(failed), Some(session)) if failed.rejected => {
                self.renew(doing.app, &mut doing.authentication, &session, doing.deadline).await?;
                self.act_or_fall_back(doing).await.map_err(|failed| failed.failure)
            }
            _ => first.map_err(|failed| failed.failure),
        }
    }

    /// The action, or the one that is named for where it fails; which of the two works is remembered.
    async fn act_or_fall_back(&self, doing: &mut Doing<'_>) -> Result<Value, Failed> {
        let (app, action) = (doing.app, doing.action);
        let Some(fallback) = &action.fallback else { return self.call(doing, action).await };
        let other = app.action(&fallback.action).unwrap_or(action);
        let place = doing.inputs.get(&fallback.remember).cloned().unwrap_or_default();
        let name = format!("{}/{}/{place}", doing.authentication.id, action.id);
        let remembered = self.vault().fallbacks();
        // What was remembered may have been right for one input alone, or be so no more.
        let is_known = remembered.contains(&name);
        let (first, second) = if is_known { (other, action) } else { (action, other) };
        let failed = match self.call(doing, first).await {
            Err(failed) if fallback.statuses.contains(&failed.status) => failed,
            done => return done,
        };
        match self.call(doing, second).await {
            Ok(output) => {
                remembered.set(name, !is_known);
                Ok(output)
            }
            Err(_) => Err(failed),
        }
    }

    async fn call(&self, doing: &mut Doing<'_>, action: &Action) -> Result<Value, Failed> {
        let Some(request) = &action.request else { return Err(Failed::of(no_request())) };
        let mut context = doing.context();
        let mut rendered = render(request, &context)?;
        let (mut items, mut bytes) = (Vec::new(), 0);
        for _ in 0..MAX_PAGES {
            let mut outgoing = Outgoing::of(rendered.clone());
            outgoing.add_idempotency_key(doing.idempotency_key);
            doing.authentication.attach(None, &mut outgoing)?;
            let answer = self.send_plainly(outgoing, doing.deadline).await?;
            let status = answer.status;
            bytes += answer.body.len();
            context.set_answer(read_answer(&answer));
            doing.lease = action.lease.as_ref().and_then(|lease| lease.of(&context));
            let failed = |error| self.call_failure(doing, status, &answer, error);
            if !action.is_paged() {
                return action.output(&context).map_err(failed);
            }
            let page = action.page(&context, &rendered).map_err(failed)?;
            items.extend(page.items);
            match page.next {
                None => return Ok(Value::Array(items)),
                Some(next) if !same_origin(&rendered, &next) => {
                    let message = "the next page of the list is at another host";
                    let failure = StepFailure::new(StepErrorCode::ConnectionFailed, message);
                    return Err(Failed::of(failure));
                }
                // What the service echoes of a secret goes on as a sealed value, through all checks.
                Some(next) => {
                    let url = self.masker().reseal(next.url.as_bytes());
                    let url = String::from_utf8_lossy(&url).into_owned();
                    rendered = RenderedRequest { url, ..next };
                }
            }
            if bytes > MAX_LIST_BYTES {
                let message = "the list is larger than 5 MiB: ask for less of it";
                let failure = StepFailure::new(StepErrorCode::OutputTooLarge, message);
                return Err(Failed::of(failure));
            }
        }
        let message = format!("the list has more than {MAX_PAGES} pages: ask for less of it");
        Err(Failed::of(StepFailure::new(StepErrorCode::OutputTooLarge, message)))
    }

    fn call_failure(
        &self,
        doing: &Doing<'_>,
        status: u16,
        answer: &Answer,
        error: CallError,
    ) -> Failed {
        let name = &doing.app.manifest.name;
        match error {
            CallError::Refused { said, rejected } => {
                if let Some(holder) = &doing.authentication.holder {
                    self.note_answer(&[holder], rejected);
                }
                let message = refused(name, status, said.as_deref(), answer);
                let failure = StepFailure::new(StepErrorCode::HttpStatus, message);
                Failed { failure, status, rejected }
            }
            CallError::Page => {
                let message = format!(
                    "{name} answered with status {status}, but with a page of HTML in the place of \
                     data"
                );
                let failure = StepFailure::new(StepErrorCode::ConnectionFailed, message);
                Failed { failure, status, rejected: false }
            }
            CallError::Unexpected(reason) => {
                let message = format!(
                    "{name} answered with status {status}, but in another form than it promises: \
                     {reason}"
                );
                let failure = StepFailure::new(StepErrorCode::ConnectionFailed, message);
                Failed { failure, status, rejected: false }
            }
        }
    }
}

impl StepVault {
    /// Asks for a lease to be prolonged; gives for how many seconds it is.
    pub(crate) async fn renew_lease(
        &self,
        doing: &mut Doing<'_>,
        id: &str,
    ) -> Result<u64, StepFailure> {
        let Some(lease) = &doing.action.lease else { return Err(no_request()) };
        self.sign_in(doing.app, &mut doing.authentication, doing.deadline).await?;
        let inputs = Arc::new(serde_json::json!({ "lease_id": id }));
        let mut context = Context::of_action(inputs, doing.authentication.context(&doing.scheme));
        let mut outgoing = Outgoing::of(render(&lease.renew, &context)?);
        doing.authentication.attach(None, &mut outgoing)?;
        let answer = self.send_through(outgoing, doing.deadline).await?;
        context.set_answer(read_answer(&answer));
        match lease.of(&context).filter(|_| answer.status < 400) {
            Some((_, seconds)) => Ok(seconds),
            None => Err(StepFailure::new(StepErrorCode::HttpStatus, "the lease was not renewed")),
        }
    }
}

/// What a refusal is told as: the service's own words where its app knows where they stand. They are
/// masked like all that a step gives off.
fn refused(name: &str, status: u16, said: Option<&str>, answer: &Answer) -> String {
    let mut message = match said {
        Some(said) => format!("{name} answered with status {status}: {said}"),
        None => format!("{name} answered with status {status}"),
    };
    let wait = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    let wait = wait.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse::<u32>().ok());
    if let Some(seconds) = wait.filter(|_| matches!(status, 429 | 503)) {
        message.push_str(&format!("; it asks to wait {seconds} s"));
    }
    message
}

/// A failed call, with what decides whether another way is tried.
pub(super) struct Failed {
    pub(super) failure: StepFailure,
    pub(super) status: u16,
    /// Whether the service refused the credential.
    pub(super) rejected: bool,
}

impl Failed {
    fn of(failure: StepFailure) -> Self {
        Self { failure, status: 0, rejected: false }
    }
}

impl From<StepFailure> for Failed {
    fn from(failure: StepFailure) -> Self {
        Self::of(failure)
    }
}

impl Doing<'_> {
    pub(super) fn context(&self) -> Context {
        Context::of_action(self.inputs.clone(), self.authentication.context(&self.scheme))
    }
}

pub(super) fn render(request: &Request, context: &Context) -> Result<RenderedRequest, StepFailure> {
    request
        .render(context)
        .map_err(|error| StepFailure::new(StepErrorCode::ValidationFailed, error.to_string()))
}

/// A page's successor goes where the page came from.
fn same_origin(sent: &RenderedRequest, next: &RenderedRequest) -> bool {
    let origin = |url: &str| url::Url::parse(url).map(|url| url.origin()).ok();
    origin(&sent.url).is_some() && origin(&sent.url) == origin(&next.url)
}

/// An answer as manifests' templates see it: what is JSON parsed, all else as text.
pub(crate) fn read_answer(answered: &Answer) -> Arc<Value> {
    let mut headers = Map::new();
    for (name, value) in &answered.headers {
        let text = String::from_utf8_lossy(value).into_owned();
        headers.insert(name.to_ascii_lowercase(), text.into());
    }
    let text = || Value::String(String::from_utf8_lossy(&answered.body).into_owned());
    let body = serde_json::from_slice(&answered.body).unwrap_or_else(|_| text());
    answer(answered.status, headers, body)
}

fn no_request() -> StepFailure {
    StepFailure::new(StepErrorCode::Internal, "the action's manifest has no request")
}
