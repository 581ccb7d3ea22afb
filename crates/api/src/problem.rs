//! Errors as RFC 9457 problems: the only place with status codes. No text holds a value that was sent.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keyward_engine::{EngineError, RetryError, SaveError};
use keyward_model::error::PROBLEM_CODES;
use keyward_model::json::{Fault, Faults, SyntaxReason};
use keyward_store::StoreError;
use keyward_vault::VaultError;
use serde_json::{Map, Value, json};

/// A problem (RFC 9457) with a stable code.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    detail: String,
    errors: Vec<Fault>,
    more: Option<Box<Map<String, Value>>>,
    /// After how many seconds it is worth to ask again.
    retry_after: Option<i64>,
}

impl Problem {
    /// A problem of one of the listed codes.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), more: None, retry_after: None }
    }

    /// The one answer for whatever is not there or must not be seen.
    pub fn not_found() -> Self {
        Self::new("not_found", "there is nothing here, or you may not see it")
    }

    /// The caller's role does not allow it.
    pub fn forbidden() -> Self {
        Self::new("forbidden", "your role does not allow this")
    }

    /// Too many attempts; the next is heard after so many milliseconds.
    pub fn rate_limited(millis: i64) -> Self {
        let detail = "too many attempts have failed; wait before you try again";
        Self::new("rate_limited", detail).after_millis(millis)
    }

    /// The same problem, with after how many milliseconds it is worth to ask again.
    pub fn after_millis(self, millis: i64) -> Self {
        Self { retry_after: Some(millis.saturating_add(999) / 1000), ..self }
    }

    /// The request breaks rules, each with its place.
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            _ => format!("{} members break a rule", errors.len()),
        };
        Self { errors, ..Self::new("validation_failed", detail) }
    }

    /// One member breaks a rule.
    pub fn fault(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Fault::new(pointer, code, detail)])
    }

    /// The same problem under a more telling code.
    pub fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// Adds a member of its own to the problem.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it says to people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status_and_title().0
    }

    fn status_and_title(&self) -> (StatusCode, &'static str) {
        let found = PROBLEM_CODES.iter().find(|(code, ..)| *code == self.code);
        let (status, title) =
            found.map_or((500, "Internal error"), |(_, status, title)| (*status, *title));
        (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), title)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, title) = self.status_and_title();
        let mut body = json!({
            "type": format!("/problems/{}", self.code),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "errors": self.errors.iter().map(|fault| json!({
                "pointer": fault.pointer, "code": fault.code, "detail": fault.detail,
            })).collect::<Vec<_>>(),
        });
        if let (Some(members), Some(more)) = (body.as_object_mut(), self.more) {
            members.extend(*more);
        }
        let mut response = (status, body.to_string()).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Faults> for Problem {
    fn from(faults: Faults) -> Self {
        match faults {
            Faults::Json(fault) if fault.reason == SyntaxReason::NotUtf8 => {
                Self::new("invalid_request", fault.to_string())
            }
            Faults::Json(fault) => Self::new("invalid_json", fault.to_string()),
            Faults::Rules(faults) => Self::invalid(faults),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { what: "revision" } => {
                Self::new("conflict", "it was changed in the meantime; read it again and repeat")
            }
            StoreError::Conflict { what } => {
                Self::new("conflict", format!("another one has this {what} already"))
            }
            StoreError::BadCursor => Self::fault(
                "/cursor",
                "invalid_value",
                "the cursor is not one that a list gave out",
            ),
            StoreError::Unavailable(_) | StoreError::AuditUnavailable => {
                tracing::error!(%error, "the database does not answer");
                Self::new("unavailable", "the database does not answer; nothing was changed")
            }
            error => internal(&error),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            // What was sent holds them.
            VaultError::TooMany => Self::new("invalid_request", error.to_string()),
            error => internal(&error),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Vault(error) => error.into(),
            EngineError::Sandbox(error) => Self::new("unavailable", error.to_string()),
            EngineError::ShuttingDown => Self::new("unavailable", "the server is shutting down"),
            error @ EngineError::VersionGone => internal(&error),
        }
    }
}

impl From<SaveError> for Problem {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Faults(faults) => Self::invalid(faults),
            SaveError::Engine(error) => error.into(),
        }
    }
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NotFound => Self::not_found(),
            RetryError::Engine(error) => error.into(),
            error => Self::new("conflict", error.to_string()),
        }
    }
}

fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "internal error");
    Problem::new("internal", "the server failed; its log says more")
}
