//! Tests a credential as its app says.

use super::http::{read_answer, render};
use super::{Act, Doing};
use crate::authentication::Using;
use crate::broker::Outgoing;
use crate::step::{StepFailure, StepVault};
use crate::test::Tested;
use keyward_model::catalogue::{Protocol, TestCall};
use keyward_model::error::StepErrorCode;
use keyward_model::sealing::Sealing;
use serde_json::{Value, json};
use std::time::Duration;

impl StepVault {
    /// Asks the service whether it takes the value.
    pub(crate) async fn test_by_app(
        &self,
        key: &str,
        timeout: Duration,
    ) -> Result<Tested, StepFailure> {
        let app = self.app_of(key).await?;
        let (action, inputs) = probe(app.manifest.protocol);
        let first = app.manifest.actions.first().map_or("", |action| action.id.as_str());
        let (action, nothing) =
            (if action.is_empty() { first } else { action }, Sealing::default());
        let mut doing = self.prepare_unchecked(Act {
            app: &app,
            action,
            inputs,
            using: Using::Stored(key),
            sealing: &nothing,
            fresh: true,
            idempotency_key: "",
            timeout,
        })?;
        match app.manifest.protocol {
            Protocol::Http => {
                // A session of its own, since what is tested is what it is made of.
                let own = format!(".{}", self.context().run);
                doing.authentication.version.push_str(&own);
                self.sign_in(doing.app, &mut doing.authentication, doing.deadline).await?;
                let test = doing.scheme.test.ok_or_else(untested)?;
                self.test_by_http(&doing, test).await
            }
            Protocol::Smtp => {
                self.check_mail_server(&doing).await?;
                Ok(Tested { status: None, ok: true })
            }
            Protocol::Postgres | Protocol::Mysql | Protocol::Sqlite => {
                self.query(&doing).await?;
                Ok(Tested { status: None, ok: true })
            }
        }
    }

    async fn test_by_http(
        &self,
        doing: &Doing<'_>,
        test: &TestCall,
    ) -> Result<Tested, StepFailure> {
        let request = test.request.as_ref().ok_or_else(untested)?;
        let mut context = doing.context();
        let mut outgoing = Outgoing::of(render(request, &context)?);
        doing.authentication.attach(None, &mut outgoing)?;
        let answer = self.send_through(outgoing, doing.deadline).await?;
        context.set_answer(read_answer(&answer));
        let ok = answer.status >= 400 || test.worked(&context);
        Ok(Tested { status: Some(answer.status), ok })
    }
}

/// What asks a service for nothing but an answer.
fn probe(protocol: Protocol) -> (&'static str, Value) {
    match protocol {
        Protocol::Http | Protocol::Smtp => ("", json!({})),
        Protocol::Postgres | Protocol::Mysql | Protocol::Sqlite => {
            ("query", json!({ "sql": "select 1" }))
        }
    }
}

fn untested() -> StepFailure {
    StepFailure::new(StepErrorCode::ValidationFailed, "the app says no way to test its credentials")
}
