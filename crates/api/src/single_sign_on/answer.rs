//! Why nobody was signed in, in fixed words: a page for browsers, a problem for others. Nothing that
//! the provider said is among them.

use super::SingleSignOn;
use crate::pages;
use crate::problem::Problem;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use keyward_store::StoreError;
use keyward_vault::{SignOnError, VaultError};

/// Why nobody was signed in.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The conversation with the provider.
    Provider(SignOnError),
    /// The mapping gives the person no role.
    NoRole,
    /// The person's address belongs to another account.
    Taken,
    /// Our own side.
    Own(Problem),
}

impl From<SignOnError> for Refusal {
    fn from(error: SignOnError) -> Self {
        match error {
            SignOnError::Vault(error) => Self::Own(error.into()),
            error => Self::Provider(error),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Own(error.into())
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        Self::Own(error.into())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Own(problem)
    }
}

impl Refusal {
    fn problem(self) -> Problem {
        let new = Problem::new;
        match self {
            Self::Provider(SignOnError::State) => new(
                "invalid_request",
                "this sign-in is over, was begun in another browser, or has taken longer than ten \
                 minutes; begin again",
            ),
            Self::Provider(SignOnError::Denied) => {
                new("forbidden", "the provider has not signed you in")
            }
            Self::Provider(SignOnError::Egress(_)) => {
                new("unavailable", "the provider cannot be reached; the server's log says more")
            }
            Self::Provider(_) => new(
                "forbidden",
                "what the provider answered was not accepted; the server's log says more",
            ),
            Self::NoRole => new(
                "forbidden",
                "the provider knows you, but gives you no role here; ask whoever runs this server",
            ),
            Self::Taken => new(
                "forbidden",
                "your e-mail address belongs to another account here; ask whoever runs this server",
            ),
            Self::Own(problem) => problem,
        }
    }
}

/// The answer to a browser, or to another client.
pub(super) fn refuse(sign_on: &SingleSignOn, headers: &HeaderMap, refusal: Refusal) -> Response {
    if let Refusal::Provider(error) = &refusal {
        tracing::warn!(reason = error.reason(), %error, "a single sign-on failed");
    }
    let problem = refusal.problem();
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/html")) {
        return problem.into_response();
    }
    pages::not_signed_in(&sign_on.name, &problem)
}
