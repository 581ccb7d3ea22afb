//! Signing in where an app's scheme asks for it: once in a token's life, for all who wait.

use super::http::{read_answer, render};
use crate::authentication::Authentication;
use crate::broker::Outgoing;
use crate::secret::Secret;
use crate::session::Session;
use crate::step::{StepFailure, StepVault};
use keyward_model::catalogue::{App, CallError, SchemeOf, SignIn};
use keyward_model::error::StepErrorCode;
use keyward_model::template::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

impl StepVault {
    /// Adds what a session gives, where the credential's app wants one.
    pub(crate) async fn sign_in_for(
        &self,
        authentication: &mut Authentication,
        deadline: Instant,
    ) -> Result<(), StepFailure> {
        let Some(id) = authentication.details.app.clone() else { return Ok(()) };
        let app = self.vault().app(self.context().workspace, &id).await;
        let Some(app) = app.map_err(|error| self.app_unread(&error))? else { return Ok(()) };
        self.sign_in(&app, authentication, deadline).await.map(|_| ())
    }

    pub(crate) async fn sign_in(
        &self,
        app: &App,
        authentication: &mut Authentication,
        deadline: Instant,
    ) -> Result<Option<Arc<Session>>, StepFailure> {
        self.session(app, authentication, None, deadline).await
    }

    /// A session in the place of one that the service does not take any more.
    pub(super) async fn renew(
        &self,
        app: &App,
        authentication: &mut Authentication,
        stale: &Arc<Session>,
        deadline: Instant,
    ) -> Result<(), StepFailure> {
        self.session(app, authentication, Some(stale), deadline).await.map(|_| ())
    }

    async fn session(
        &self,
        app: &App,
        authentication: &mut Authentication,
        stale: Option<&Arc<Session>>,
        deadline: Instant,
    ) -> Result<Option<Arc<Session>>, StepFailure> {
        let scheme = app.scheme(authentication.details.scheme.as_deref());
        let Some((scheme, sign_in)) = scheme.and_then(|s| Some((s, s.sign_in?))) else {
            return Ok(None);
        };
        let at = self.context();
        // Values of a run are that run's alone.
        let name = format!("{}/{}/{}", at.workspace, authentication.id, authentication.version);
        let fresh = self.signed_in(app, &scheme, sign_in, authentication, deadline);
        let session = self.vault().sessions().get(&name, stale, fresh);
        // Whoever signs in for all may have more time than this step has.
        let left = deadline.saturating_duration_since(Instant::now());
        let session = tokio::time::timeout(left, session).await.map_err(|_| {
            let message = format!("{} did not sign in in time", app.manifest.name);
            StepFailure::new(StepErrorCode::Timeout, message)
        })??;
        authentication.add(self, &session);
        Ok(Some(session))
    }

    async fn signed_in(
        &self,
        app: &App,
        scheme: &SchemeOf<'_>,
        sign_in: &SignIn,
        authentication: &Authentication,
        deadline: Instant,
    ) -> Result<Session, StepFailure> {
        let credential = authentication.context(scheme);
        let mut context = Context::of_action(Arc::new(json!({})), credential);
        let mut outgoing = Outgoing::of(render(&sign_in.request, &context)?);
        outgoing.follow = false;
        authentication.attach(Some(&sign_in.attach), &mut outgoing)?;
        let answer = self.send_plainly(outgoing, deadline).await?;
        context.set_answer(read_answer(&answer));
        let (fields, seconds) = sign_in.gives(&context).map_err(|error| {
            if let (Some(holder), CallError::Refused { rejected, .. }) =
                (&authentication.holder, &error)
            {
                self.note_answer(&[holder], *rejected);
            }
            let (name, status) = (&app.manifest.name, answer.status);
            let message = format!("{name} did not sign in: it answered with status {status}");
            StepFailure::new(StepErrorCode::HttpStatus, message)
        })?;
        let secret = |(name, text): (String, String)| {
            (name, Arc::new(Secret::new(Zeroizing::new(text.into_bytes()))))
        };
        let fields: BTreeMap<_, _> = fields.into_iter().map(secret).collect();
        Ok(Session::new(fields, seconds))
    }

    fn app_unread(&self, error: &crate::vault::VaultError) -> StepFailure {
        tracing::error!(run = %self.context().run, %error, "app not read");
        StepFailure::new(StepErrorCode::Internal, "the credential's app cannot be read")
    }
}
