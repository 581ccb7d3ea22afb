//! Actions that send mail.

use super::Doing;
use crate::sources::smtp::{self, Mail, MailError, Mark, Security, Server};
use crate::step::{StepFailure, StepVault};
use keyward_model::error::StepErrorCode;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

impl StepVault {
    pub(crate) async fn send_mail(&self, doing: &Doing<'_>) -> Result<Value, StepFailure> {
        self.refuse_sealed(&doing.inputs).await?;
        let mail = Mail::from_inputs(&doing.inputs).map_err(|error| mail_failure(&error))?;
        let now = u64::try_from(self.vault().now().millis()).unwrap_or_default();
        let mark = Mark {
            idempotency_key: doing.idempotency_key,
            date: SystemTime::UNIX_EPOCH + Duration::from_millis(now),
        };
        let sent = self.at_mail_server(doing, async |server: &Server<'_>| {
            smtp::send(self.egress(), server, &mail, &mark, doing.deadline).await
        });
        let sent = sent.await?;
        Ok(json!({
            "message_id": sent.message_id,
            "accepted": sent.accepted,
            "response_code": sent.response_code,
        }))
    }

    /// Connects and signs in, without a mail.
    pub(crate) async fn check_mail_server(&self, doing: &Doing<'_>) -> Result<(), StepFailure> {
        self.at_mail_server(doing, async |server: &Server<'_>| {
            smtp::check(self.egress(), server, doing.deadline).await
        })
        .await
    }

    async fn at_mail_server<T>(
        &self,
        doing: &Doing<'_>,
        work: impl AsyncFnOnce(&Server<'_>) -> Result<T, MailError>,
    ) -> Result<T, StepFailure> {
        let security = Security::parse(&doing.plain("security")?).unwrap_or(Security::StartTls);
        let (host, port) = doing.place()?;
        let password = self.released(doing, "password", (&host, port)).await?;
        let (username, ca_pem) = (doing.plain("username").ok(), doing.plain("ca_pem").ok());
        let server = Server {
            host: &host,
            port,
            security,
            username: username.as_deref().filter(|_| password.is_some()),
            password: password.as_deref(),
            ca_pem: ca_pem.as_deref().map(str::as_bytes),
        };
        work(&server).await.map_err(|error| mail_failure(&error))
    }
}

fn mail_failure(error: &MailError) -> StepFailure {
    let code: StepErrorCode = error.code();
    StepFailure::new(code, error.to_string())
}
