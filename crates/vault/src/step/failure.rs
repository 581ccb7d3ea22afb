//! What a step is told when it cannot have what it asked for.

use crate::derive::DeriveError;
use crate::vault::VaultError;
use keyward_model::error::StepErrorCode;

/// Why a step cannot have what it asked for. The message holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StepFailure {
    /// The stable code.
    pub code: StepErrorCode,
    /// For people.
    pub message: String,
    /// The key, where a credential is missing or unusable.
    pub key: Option<String>,
}

impl StepFailure {
    /// A failure without a key.
    pub fn new(code: StepErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), key: None }
    }

    /// Why an output whose secrets cannot be taken out is not kept.
    pub fn not_sealed(error: &VaultError) -> Self {
        let (code, message) = match error {
            VaultError::TooMany => (StepErrorCode::OutputTooLarge, error.to_string()),
            VaultError::EncodedPlaceholder => {
                (StepErrorCode::CredentialNotAllowedHere, error.to_string())
            }
            _ => (StepErrorCode::Internal, "the step's output could not be sealed".to_owned()),
        };
        Self::new(code, message)
    }

    pub(crate) fn of_key(code: StepErrorCode, key: &str, message: String) -> Self {
        Self { code, message, key: Some(key.to_owned()) }
    }
}

pub(super) fn derive_failure(error: &DeriveError) -> StepFailure {
    StepFailure::new(StepErrorCode::ValidationFailed, error.to_string())
}

pub(super) fn unusable(key: &str) -> StepFailure {
    let message = format!("credential \"{key}\" cannot be used; its page says why");
    StepFailure::of_key(StepErrorCode::CredentialUnusable, key, message)
}

pub(super) fn not_allowed(key: &str, reason: &str, to: Option<&str>) -> StepFailure {
    let message = match (reason, to) {
        ("sealed", _) => format!("credential \"{key}\" is sealed: code cannot read it"),
        (reason, Some(to)) => format!("credential \"{key}\" may not go to {to} ({reason})"),
        (reason, None) => format!("credential \"{key}\" may not be used like this ({reason})"),
    };
    StepFailure::of_key(StepErrorCode::CredentialNotAllowedHere, key, message)
}

pub(crate) fn internal() -> StepFailure {
    StepFailure::new(StepErrorCode::Internal, "the server lost track of a sealed value")
}
