//! A connection test: one request with one version of a credential, sent as a step would send it.
//! What comes out is told in words of the server's own; nothing of an answer is, save its status.

use crate::authentication::Using;
use crate::broker::{Answer, Outgoing};
use crate::run::Standing;
use crate::step::{StepFailure, StepVault};
use crate::vault::{Vault, VaultError};
use keyward_model::actor::Actor;
use keyward_model::credential::{Credential, TestRequest};
use keyward_model::error::StepErrorCode;
use keyward_model::lifecycle::TestOutcome;
use keyward_model::permission::Allowed;
use keyward_model::policy::{Grant, Refusal, StepContext};
use keyward_model::settings::Settings;
use std::time::Duration;

/// For so long a service may take to answer, redirects included.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A request in which the value has no place tests nothing.
const NO_VALUE: Refusal =
    Refusal { code: StepErrorCode::ValidationFailed, reason: "no_value_in_request" };

impl Vault {
    /// Tests a credential, which may stand for a staged version, through the same checks and records
    /// as a step's use: by `request`, or by what its app says. Recorded in any case, once for each
    /// origin.
    pub async fn test_credential(
        &self,
        allowed: &Allowed,
        caller: Actor,
        credential: Credential,
        settings: &Settings,
        request: Option<TestRequest>,
    ) -> Result<TestOutcome, VaultError> {
        let context = StepContext {
            workspace: credential.workspace,
            // It belongs to no run, and no audit event names these.
            workflow: self.fresh(),
            run: self.fresh(),
            step: "test".into(),
            starter: caller,
        };
        let key = credential.key.clone();
        let Some(grant) = Grant::of_test(allowed, context.clone(), credential, settings) else {
            return Ok(self.outcome(None, "missing_credential: there is nothing to test".into()));
        };
        let run = self.run(&context, Standing::default()).await?;
        let step = StepVault::fixed(run, context, grant);
        let tested = match request {
            Some(request) => step.test_by(request, &key).await,
            None => step.test_by_app(&key, TIMEOUT).await,
        };
        if !step.is_recorded() {
            let refusal = tested.as_ref().err().map_or(NO_VALUE, refusal_of);
            step.record_refused(&key, refusal).await;
            if tested.is_ok() {
                let detail =
                    "no_value: the request has no place for the value, so it tests nothing";
                return Ok(self.outcome(None, detail.into()));
            }
        }
        Ok(match tested {
            Ok(Tested { status: Some(status), ok: true }) => {
                self.outcome(Some(status), answered(status))
            }
            Ok(Tested { status: None, ok: true }) => {
                TestOutcome { ok: true, ..self.outcome(None, "the service took the value".into()) }
            }
            Ok(Tested { status, ok: false }) => TestOutcome {
                ok: false,
                ..self.outcome(status, "the service refused the value".into())
            },
            Err(failure) => self.outcome(None, failed(failure.code, step.last_refusal())),
        })
    }

    fn outcome(&self, status: Option<u16>, detail: String) -> TestOutcome {
        let ok = status.is_some_and(|status| status < 400);
        TestOutcome { ok, status, detail, tested_at: self.now() }
    }
}

/// What a service said to a test.
pub(crate) struct Tested {
    /// Its status, where it speaks HTTP.
    pub(crate) status: Option<u16>,
    /// Whether it took the value; of a plain request, its status says so.
    pub(crate) ok: bool,
}

impl StepVault {
    async fn test_by(&self, request: TestRequest, key: &str) -> Result<Tested, StepFailure> {
        let outgoing = Outgoing {
            method: request.method,
            url: request.url,
            follow: true,
            ..Outgoing::default()
        };
        let Answer { status, .. } = self.send(outgoing, Some(Using::Stored(key)), TIMEOUT).await?;
        Ok(Tested { status: Some(status), ok: true })
    }
}

fn refusal_of(failure: &StepFailure) -> Refusal {
    Refusal { code: failure.code, reason: failure.code.as_str() }
}

fn answered(status: u16) -> String {
    match status {
        0..=399 => format!("the service took the value: it answered with status {status}"),
        401 | 403 => format!("the service refused the value with status {status}"),
        _ => format!("the service answered with status {status}"),
    }
}

/// A failure in fixed words: a message could repeat what a service wrote into a redirect.
fn failed(code: StepErrorCode, refused: Option<Refusal>) -> String {
    let words = match code {
        StepErrorCode::CredentialNotAllowedHere | StepErrorCode::CredentialUnusable => {
            let refused = refused.filter(|refusal| refusal.code == code);
            refused.map_or("the value may not be sent there", |refusal| refusal.in_words())
        }
        StepErrorCode::DestinationBlocked => "the server sends no requests to this destination",
        StepErrorCode::ConnectionFailed => "no connection, or it broke before the answer was there",
        StepErrorCode::Timeout => "the service did not answer in time",
        StepErrorCode::OutputTooLarge => "the answer is too large to be taken",
        StepErrorCode::AuditUnavailable => "it could not be recorded, so nothing was sent",
        StepErrorCode::ValidationFailed => "the request cannot be made as it is defined",
        StepErrorCode::StoreUnavailable => "the secret store that it is linked to gave no value",
        StepErrorCode::HttpStatus => "the service refused the sign-in",
        _ => "the test failed",
    };
    format!("{}: {words}", code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_in_fixed_words() {
        let check = |code, reason: Option<&'static str>, expected: &str| {
            let refused = reason.map(|reason| Refusal { code, reason });
            assert_eq!(failed(code, refused), expected);
        };
        use StepErrorCode::{ConnectionFailed, CredentialNotAllowedHere, CredentialUnusable};
        let host = "credential_not_allowed_here: it may not go to this host and port";
        check(CredentialNotAllowedHere, Some("host"), host);
        let unsaid = "credential_not_allowed_here: the value may not be sent there";
        check(CredentialNotAllowedHere, None, unsaid);
        check(CredentialUnusable, Some("expired"), "credential_unusable: its date has passed");
        let broken = "connection_failed: no connection, or it broke before the answer was there";
        check(ConnectionFailed, Some("host"), broken);
        let store = "store_unavailable: the secret store that it is linked to gave no value";
        check(StepErrorCode::StoreUnavailable, None, store);
        check(StepErrorCode::HttpStatus, None, "http_status: the service refused the sign-in");
        assert_eq!(answered(204), "the service took the value: it answered with status 204");
        assert_eq!(answered(401), "the service refused the value with status 401");
        assert_eq!(answered(503), "the service answered with status 503");
    }
}
