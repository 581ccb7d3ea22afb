//! The `code` step: a script in the sandbox, whose requests and questions are answered here.

use super::{Failed, LogLine, StepInput, StepResult};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use keyward_model::clock::Timestamp;
use keyward_model::error::StepErrorCode;
use keyward_model::mask::Masked;
use keyward_sandbox::{
    Ask, CredentialHandle, Derivation as Asked, Event, Failure, FetchRequest, FetchResponse, Level,
    Limits, Outcome, Redirect, Sandbox, SandboxError, ScriptError, Session, Start,
};
use keyward_vault::{Answer, Derivation, Outgoing, StepFailure, Using};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What the script sees beside its credentials, as JSON text.
pub(crate) struct Globals {
    pub(crate) javascript: Arc<str>,
    pub(crate) trigger: Arc<str>,
    pub(crate) steps: Arc<str>,
    pub(crate) run: Arc<str>,
}

/// Executes one attempt.
pub(crate) async fn execute(sandbox: &Sandbox, input: &StepInput, globals: Globals) -> StepResult {
    let limits =
        Limits { wall_time: input.timeout, log_bytes: input.log_left, ..Limits::default() };
    let start = Start {
        javascript: globals.javascript,
        trigger: globals.trigger,
        steps: globals.steps,
        run: globals.run,
        item: None,
        credentials: input.vault.handles().into_iter().map(handle).collect(),
    };
    let session = match sandbox.run(start, limits).await {
        Ok(session) => session,
        Err(error) => return input.fail(&sandbox_failure(&error)),
    };
    let (outcome, logs) = converse(session, input).await;
    finish(input, outcome, logs).await
}

/// Answers the script until it ends. Requests run side by side; a question blocks the script anyway.
async fn converse(mut session: Session, input: &StepInput) -> (Outcome, Vec<RawLine>) {
    let mut logs = Vec::new();
    let mut fetches = FuturesUnordered::new();
    let mut sent = 0u32;
    loop {
        tokio::select! {
            biased;
            event = session.next() => match event {
                Event::Log { level, text } => logs.push(log(input, level, text)),
                Event::Fetch { id, request } => {
                    sent += 1;
                    let idempotency_key = format!("{}-{sent}", input.idempotency_key);
                    fetches.push(fetch(input, id, request, idempotency_key));
                }
                Event::Abort { .. } => {}
                Event::Ask { id, ask } => session.answer_ask(id, answer(input, ask).await),
                Event::Finished(outcome) => return (outcome, logs),
            },
            Some((id, response)) = fetches.next(), if !fetches.is_empty() => {
                session.answer_fetch(id, response);
            }
        }
    }
}

async fn fetch(
    input: &StepInput,
    id: u32,
    request: FetchRequest,
    idempotency_key: String,
) -> (u32, Result<FetchResponse, ScriptError>) {
    let headers: Vec<(String, Vec<u8>)> =
        request.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    let mut outgoing = Outgoing {
        method: request.method,
        url: request.url,
        headers,
        body: request.body,
        follow: request.redirect == Redirect::Follow,
        ..Outgoing::default()
    };
    outgoing.add_idempotency_key(&idempotency_key);
    let using = request.credential.as_deref().map(Using::Stored);
    let answer = input.vault.send(outgoing, using, input.timeout).await;
    let answer = answer.map_err(|failure| script_error(input, &failure)).and_then(|answer| {
        let redirects = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        match redirects && request.redirect == Redirect::Error {
            true => Err(redirect_refused()),
            false => Ok(response(answer)),
        }
    });
    (id, answer)
}

fn response(answer: Answer) -> FetchResponse {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    FetchResponse {
        status: answer.status,
        status_text: http::StatusCode::from_u16(answer.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default()
            .to_owned(),
        url: answer.url,
        headers: answer.headers.into_iter().map(|(name, value)| (name, text(value))).collect(),
        body: answer.body,
        redirected: answer.redirected,
    }
}

fn redirect_refused() -> ScriptError {
    ScriptError {
        code: "connection_failed".into(),
        message: "the service redirects, which this request refuses".into(),
        key: None,
    }
}

async fn answer(input: &StepInput, ask: Ask) -> Result<String, ScriptError> {
    let vault = &input.vault;
    let answered = match ask {
        Ask::Expose { key, field } => vault.expose(&key, field.as_deref()).await,
        Ask::Derive { key, derivation } => {
            let (field, derivation) = derivation_of(derivation, input.clock.now());
            vault.derive(&key, field.as_deref(), derivation).await
        }
        Ask::VerifyHmac { key, field, message, signature, algorithm, encoding } => {
            let signature = (signature.as_str(), algorithm.as_str(), encoding.as_str());
            let verified = vault.verify_hmac(&key, field.as_deref(), &message, signature).await;
            return verified.map(|valid| valid.to_string()).map_err(|failure| plain(&failure));
        }
    };
    // The frame that carries an exposed value is the one place outside the vault that holds it.
    answered.map(|value| value.into_frame().to_string()).map_err(|failure| plain(&failure))
}

fn derivation_of(asked: Asked, issued_at: Timestamp) -> (Option<String>, Derivation) {
    match asked {
        Asked::Basic => (None, Derivation::Basic),
        Asked::Base64 { field } => (field, Derivation::Base64),
        Asked::Hmac { field, message, algorithm, encoding } => {
            (field, Derivation::Hmac { message: message.to_vec(), algorithm, encoding })
        }
        Asked::Jwt { field, claims, header, algorithm, expires_in } => {
            let expires_in = u64::from(expires_in);
            (field, Derivation::Jwt { claims, algorithm, header, issued_at, expires_in })
        }
    }
}

fn script_error(input: &StepInput, failure: &StepFailure) -> ScriptError {
    let message = input.run_vault.masker().text(&failure.message).as_str().to_owned();
    ScriptError { message, ..plain(failure) }
}

fn plain(failure: &StepFailure) -> ScriptError {
    ScriptError {
        code: failure.code.as_str().into(),
        message: failure.message.clone(),
        key: failure.key.clone(),
    }
}

/// A line as the script gave it off; masked together with the others when the step ends.
struct RawLine {
    at: Timestamp,
    level: &'static str,
    text: Zeroizing<String>,
}

fn log(input: &StepInput, level: Level, text: String) -> RawLine {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let line = RawLine { at: input.clock.now(), level, text: Zeroizing::new(text) };
    // Code that has read a value could print it in pieces; its lines are shown when they are whole.
    if !holds_back(input) {
        show(input, &masked(input, &line, input.run_vault.masker().text(&line.text)));
    }
    line
}

fn masked(input: &StepInput, line: &RawLine, message: Masked) -> LogLine {
    LogLine { at: line.at, level: line.level, message, attempt: input.attempt }
}

fn show(input: &StepInput, line: &LogLine) {
    let Some(live) = &input.live else { return };
    let mut event = line.to_json();
    if let Some(members) = event.as_object_mut() {
        members.insert("step".into(), input.step.clone().into());
        members.insert("message".into(), input.named(line.message.as_str()).into());
    }
    live.push("log", event.to_string());
}

/// Masks the lines together: a value in pieces on several lines is hidden too.
fn mask_lines(input: &StepInput, lines: &[RawLine]) -> Vec<LogLine> {
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let messages = input.run_vault.masker().lines(&texts);
    lines.iter().zip(messages).map(|(line, message)| masked(input, line, message)).collect()
}

async fn finish(input: &StepInput, outcome: Outcome, lines: Vec<RawLine>) -> StepResult {
    let outcome = match outcome {
        Outcome::Output(text) => mask_output(input, &text),
        Outcome::Failed(failure) => {
            if let Some(key) =
                failure.key.as_deref().filter(|_| failure.code == "missing_credential")
            {
                input.vault.record_undeclared(key).await;
            }
            Err(Failed { code: code_of(&failure), message: input.told(&failure.message) })
        }
    };
    let (outcome, lines) = match outcome {
        // The secret that it was to give may stand in what it said, and is not known now.
        Err(Failed { code, .. }) if input.sealing.computed => {
            let message = Masked::from_static(UNTOLD);
            (Err(Failed { code, message }), Vec::new())
        }
        outcome => (outcome, lines),
    };
    // Now that the masker knows what the output held.
    let logs = mask_lines(input, &lines);
    if holds_back(input) {
        logs.iter().for_each(|line| show(input, line));
    }
    let seals = seals(input, outcome.as_ref().ok(), &logs);
    StepResult { outcome, input: None, logs, seals }
}

/// In the place of the words of code that fetches or computes a secret and failed.
const UNTOLD: &str = "the step failed before the secret that it gives was known; its error and logs \
                      may hold it, and are not kept";

/// Whether lines are shown only when the step has ended: code that has read a value, or that gives
/// one, could print it before it is known, or in pieces.
fn holds_back(input: &StepInput) -> bool {
    input.vault.has_exposed() || !input.sealing.rules.is_empty()
}

fn mask_output(input: &StepInput, text: &str) -> Result<Masked, Failed> {
    let masker = input.run_vault.masker();
    let mut value = serde_json::from_str(text).map_err(|_| Failed {
        code: StepErrorCode::ScriptError,
        message: Masked::from_static("the script's output is not JSON"),
    })?;
    input.receive(&mut value).map_err(|failure| input.failed(&failure))?;
    Ok(masker.json(&value))
}

/// The placeholders that the output and logs show.
pub(crate) fn seals(
    input: &StepInput,
    output: Option<&Masked>,
    logs: &[LogLine],
) -> BTreeMap<String, String> {
    let texts = output.into_iter().chain(logs.iter().map(|line| &line.message));
    texts.flat_map(|text| super::seals_in(input, text.as_str())).collect()
}

fn code_of(failure: &Failure) -> StepErrorCode {
    StepErrorCode::parse(failure.code).unwrap_or(StepErrorCode::ScriptError)
}

fn handle(handle: keyward_vault::Handle) -> CredentialHandle {
    CredentialHandle {
        key: handle.key,
        fields: handle.fields,
        main: handle.main,
        readable: handle.readable,
        info: handle.info,
    }
}

fn sandbox_failure(error: &SandboxError) -> StepFailure {
    let code = match error {
        SandboxError::InputTooLarge => StepErrorCode::ValidationFailed,
        _ => StepErrorCode::Internal,
    };
    StepFailure::new(code, error.to_string())
}

/// The largest log of a step, in bytes, over all of its attempts.
pub(crate) const LOG_BYTES: usize = 1 << 20;
/// What a line counts beside its text.
pub(crate) const LOG_LINE: usize = 8;
/// The longest that a code step may take where its definition says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
