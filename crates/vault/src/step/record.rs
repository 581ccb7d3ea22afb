//! What a step's use of credentials leaves behind: audit events, the run's list of uses, and the
//! status of a credential that does not open.

use super::failure::{not_allowed, unusable};
use super::{Audible, Holder, Released, StepFailure, StepVault, UsedCredential};
use crate::vault::VaultError;
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::credential::{Credential, Status};
use keyward_model::error::StepErrorCode;
use keyward_model::policy::{Permit, Refusal, Refused, Use};
use keyward_store::{AuditReceipt, Audited, StoreError, Tx};
use std::sync::Arc;

impl StepVault {
    /// Records a placeholder that stood where it must not.
    pub(crate) async fn record_misplaced(&self, reason: &'static str, to: Option<String>) {
        let refusal = Refusal { code: StepErrorCode::CredentialNotAllowedHere, reason };
        let keys: Vec<&String> = self.0.grants.keys().collect();
        let key = match keys.as_slice() {
            [only] => only.as_str(),
            _ => "",
        };
        let mut refused = self.refusal(key, refusal);
        refused.event.destination = to;
        self.record_refusals(vec![refused]).await;
    }

    /// Records that a request for that key was refused before anything else was.
    pub(crate) async fn record_refused(&self, key: &str, refusal: Refusal) {
        self.record_refusals(vec![self.refusal(key, refusal)]).await;
    }

    pub(super) fn note_use(
        &self,
        credential: &Credential,
        destination: Option<String>,
        access: &'static str,
    ) {
        let stored = !self.0.received.values().any(|(_, kept)| kept.about.id == credential.id);
        let used = UsedCredential {
            key: credential.key.clone(),
            credential_id: stored.then_some(credential.id),
            version: stored.then_some(credential.version),
            destination,
            access,
            rejected: false,
        };
        let mut state = self.state();
        let same =
            |noted: &UsedCredential| UsedCredential { rejected: false, ..noted.clone() } == used;
        if !state.used.iter().any(same) {
            state.used.push(used);
        }
    }

    /// Notes whether the service refused the values that a request carried.
    pub(crate) fn note_answer(&self, holders: &[&Holder], rejected: bool) {
        let keys: Vec<String> = holders.iter().map(|holder| self.shown(holder)).collect();
        let mut state = self.state();
        for used in state.used.iter_mut().filter(|used| keys.contains(&used.key)) {
            used.rejected = rejected;
        }
    }

    pub(super) fn refusal(&self, key: &str, refusal: Refusal) -> Refused {
        let vault = self.vault();
        let (id, now) = (vault.fresh(), vault.now());
        match self.0.grants.get(key).filter(|_| self.0.fixed) {
            Some(grant) => grant.refusal(id, now, refusal),
            None => self.0.context.refused(id, now, Action::CredentialUsed, refusal, key),
        }
    }

    /// A permit, or its refusal recorded and told.
    pub(super) async fn allowed<P>(
        &self,
        permit: Result<Permit<P>, Refused>,
    ) -> Result<Permit<P>, StepFailure> {
        let refused = match permit {
            Ok(permit) => return Ok(permit),
            Err(refused) => refused,
        };
        let key = refused.event.key.clone().unwrap_or_default();
        let Refusal { code, reason } = refused.refusal;
        let to = refused.event.destination.clone();
        self.record_refusals(vec![refused]).await;
        Err(match code {
            StepErrorCode::CredentialUnusable => unusable(&key),
            _ => not_allowed(&key, reason, to.as_deref()),
        })
    }

    pub(super) async fn record_refusals(&self, refused: Vec<Refused>) {
        if refused.is_empty() {
            return;
        }
        self.state().refused = refused.last().map(|refused| refused.refusal);
        let events: Vec<Event> = refused.into_iter().map(|refused| *refused.event).collect();
        // A refusal stands whether or not it could be recorded; the next release would fail anyway.
        if let Err(failure) = self.audit(events).await {
            tracing::warn!(run = %self.0.context.run, error = %failure, "refusal not recorded");
        }
    }

    pub(super) async fn audit_uses(
        &self,
        mut uses: Vec<(Audible, Permit<Use>)>,
    ) -> Result<(), StepFailure> {
        if !self.vault().audit_gate().is_closed() {
            let state = self.state();
            uses.retain(|(audible, _)| !state.audited.contains_key(audible));
        }
        if uses.is_empty() {
            return Ok(());
        }
        let events = uses.iter().map(|(_, permit)| permit.event().clone()).collect();
        let receipt = Arc::new(self.audit_release(events).await?);
        for (audible, permit) in uses {
            self.note_use(permit.credential(), Some(audible.2.clone()), "sealed");
            let released = Released { permit, receipt: receipt.clone() };
            self.state().audited.insert(audible, Arc::new(released));
        }
        Ok(())
    }

    /// Row 10 of a release. While a required audit sink takes nothing, the attempt is recorded as
    /// refused.
    pub(super) async fn audit_release(
        &self,
        mut events: Vec<Event>,
    ) -> Result<AuditReceipt, StepFailure> {
        if !self.vault().audit_gate().is_closed() {
            return self.audit(events).await;
        }
        for event in &mut events {
            event.id = self.vault().fresh();
            event.outcome = Outcome::Refused;
            event.reason = "audit_sink".into();
        }
        self.audit(events).await?;
        let message = "a required audit sink does not take records, so the value was not released; \
                       the server's operator sees why in its log and in /readyz";
        Err(StepFailure::new(StepErrorCode::AuditUnavailable, message))
    }

    /// Row 10: durable, or nothing is released.
    pub(super) async fn audit(&self, events: Vec<Event>) -> Result<AuditReceipt, StepFailure> {
        let write = move |_: &mut Tx<'_>| Ok(Audited::new((), events.clone()));
        match self.vault().store().write(write).await {
            Ok(((), receipt)) => {
                self.state().recorded = true;
                Ok(receipt)
            }
            Err(error) => {
                tracing::error!(run = %self.0.context.run, %error, "use not recorded");
                let message = "the use could not be recorded, so the value was not released";
                Err(StepFailure::new(StepErrorCode::AuditUnavailable, message))
            }
        }
    }

    /// Marks a credential that does not open, and tells the step.
    pub(super) async fn broken(&self, credential: &Credential, error: &VaultError) -> StepFailure {
        tracing::error!(credential = %credential.id, %error, "credential does not open");
        let reason = Refusal { code: StepErrorCode::CredentialUnusable, reason: "unreadable" };
        let mut refused = self.refusal(&credential.key, reason);
        refused.event.credential = Some(credential.id);
        // A database that does not answer says nothing about the credential.
        let is_broken = !matches!(error, VaultError::Store(StoreError::Unavailable(_)));
        if is_broken && credential.status != Status::Error {
            self.mark_unreadable(credential).await;
        }
        self.record_refusals(vec![refused]).await;
        unusable(&credential.key)
    }

    async fn mark_unreadable(&self, credential: &Credential) {
        let (vault, workspace, id) = (self.vault(), credential.workspace, credential.id);
        let read = vault.store().read(move |tx| tx.credential(workspace, id)).await;
        let head = read.ok().flatten().and_then(|row| self.0.run.0.keys.verify(row).ok());
        // A step may keep an earlier version; what is wrong with that says nothing of the head's.
        let Some(mut head) = head.filter(|head| head.version == credential.version) else { return };
        let expected = head.revision;
        head.status = Status::Error;
        head.status_reason = Some("unreadable".into());
        head.revision += 1;
        let event = Event::new(
            vault.fresh(),
            head.workspace,
            vault.now(),
            keyward_model::actor::Actor::system(),
            Action::CredentialUpdated,
        );
        let event = Event {
            credential: Some(head.id),
            key: Some(head.key.clone()),
            reason: "unreadable".into(),
            ..event
        };
        let head = self.0.run.0.keys.sign(head);
        let write = move |tx: &mut Tx<'_>| {
            tx.update_credential(&head, expected)?;
            Ok(Audited::new((), vec![event.clone()]))
        };
        if let Err(error) = vault.store().write(write).await {
            tracing::warn!(credential = %credential.id, %error, "status not written");
        }
    }
}
