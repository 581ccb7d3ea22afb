//! Who may: roles, and the numbered rows by which a step gets the use of a credential.
//!
//! `Asked::grant` applies rows 1-6, `Grant::use_at` and `Grant::expose` rows 7 and 8; row 10, the
//! durable audit record, is the store's receipt. First failure decides.

use crate::actor::{Actor, Role};
use crate::audit::{Action, Event, Outcome};
use crate::clock::Timestamp;
use crate::credential::{CodeAccess, Credential, Scope, Status};
use crate::destination::{Destination, Outside, Place};
use crate::error::StepErrorCode;
use crate::id::{AuditId, RunId, WorkflowId, WorkspaceId};
use crate::saved_workflow::Allowlist;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a member may ask of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// List workspace and workflow keys: name, type, status.
    ListCredentials,
    /// See their configuration and audit.
    ViewCredential,
    /// Create, edit, rotate and delete them.
    ManageCredentials,
    /// Set a workflow's allowlist.
    SetAllowlist,
    /// Save and switch workflows.
    EditWorkflows,
    /// Run, retry and cancel.
    RunWorkflows,
    /// Read workflows and runs.
    ReadRuns,
    /// See the audit trail.
    ReadAudit,
    /// Make workspaces and change members and settings.
    Administer,
}

/// Whether a role has an ability (the role table of SECURITY.md).
pub fn may(role: Role, ability: Ability) -> bool {
    let least = match ability {
        Ability::ReadRuns => Role::Viewer,
        Ability::ListCredentials | Ability::RunWorkflows => Role::Operator,
        Ability::EditWorkflows => Role::Editor,
        Ability::ViewCredential
        | Ability::ManageCredentials
        | Ability::SetAllowlist
        | Ability::ReadAudit
        | Ability::Administer => Role::Admin,
    };
    role >= least
}

/// The step that asks, for permits and the audit.
#[derive(Debug, Clone)]
pub struct StepContext {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The run.
    pub run: RunId,
    /// The step's id.
    pub step: String,
    /// Who the run is put down to.
    pub starter: Actor,
}

/// Everything that decides whether a step gets a key.
pub struct Asked<'a> {
    /// The step that asks.
    pub context: &'a StepContext,
    /// The key that it asks for.
    pub key: &'a str,
    /// Whether the starter may run the workflow, asked anew at each run.
    pub starter_may_run: bool,
    /// The workflow's allowlist; its absence never widens.
    pub allowlist: Option<&'a Allowlist>,
    /// Whether the saved step names the key.
    pub declared: bool,
    /// The credentials of that key in the workspace, tags checked.
    pub candidates: Vec<Credential>,
}

/// A refusal: what the step is told, and the reason that only the audit and people with the right see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the step is told.
    pub code: StepErrorCode,
    /// The fixed word for the audit.
    pub reason: &'static str,
}

const fn missing(reason: &'static str) -> Refusal {
    Refusal { code: StepErrorCode::MissingCredential, reason }
}

const fn unusable(reason: &'static str) -> Refusal {
    Refusal { code: StepErrorCode::CredentialUnusable, reason }
}

impl Asked<'_> {
    /// Rows 1 to 6. The scope that is most specific wins, even if its credential is broken.
    pub fn grant(self) -> Result<Grant, Refusal> {
        let context = self.context;
        let Some(allowlist) = self.allowlist else { return Err(unusable("allowlist_gone")) };
        let found = most_specific(self.candidates, context.workflow);
        if allowlist.workspace != context.workspace || allowlist.workflow != context.workflow {
            return Err(missing("foreign"));
        }
        if !self.starter_may_run {
            return Err(missing("starter"));
        }
        if allowlist.enabled && !allowlist.keys.iter().any(|key| key == self.key) {
            return Err(missing("allowlist"));
        }
        if !self.declared {
            return Err(missing("undeclared"));
        }
        let credential = found.ok_or(missing("not_found"))?;
        if credential.workspace != context.workspace || credential.key != self.key {
            return Err(missing("foreign"));
        }
        Ok(Grant { context: context.clone(), credential: Arc::new(credential) })
    }
}

fn most_specific(candidates: Vec<Credential>, workflow: WorkflowId) -> Option<Credential> {
    let applies = |credential: &Credential| match credential.scope {
        Scope::Workspace => true,
        Scope::Workflow(id) => id == workflow,
    };
    candidates
        .into_iter()
        .filter(applies)
        .min_by_key(|credential| matches!(credential.scope, Scope::Workspace))
}

/// A step may use a credential, somewhere. Opens nothing; lasts one attempt.
#[derive(Debug, Clone)]
pub struct Grant {
    context: StepContext,
    credential: Arc<Credential>,
}

impl Grant {
    /// The credential, without its values.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The same grant, of the version that a step was granted when it began.
    #[must_use]
    pub fn keeping_version(&self, begun: &Self) -> Self {
        let mut credential = Credential::clone(&self.credential);
        credential.version = begun.credential.version;
        Self { context: self.context.clone(), credential: Arc::new(credential) }
    }

    /// Rows 7 and 8: the permit to use the credential in one request.
    /// `id` is the audit event's; `operator_allows` as in `EgressPolicy::admits`.
    pub fn use_at(
        &self,
        id: AuditId,
        now: Timestamp,
        to: &Destination,
        places: &[Place],
        operator_allows: bool,
    ) -> Result<Permit<Use>, Refused> {
        let origin = Some(to.origin());
        let refused = |refusal| self.refused(id, now, Use::ACTION, refusal, origin.clone());
        self.usable(now).map_err(refused)?;
        let policy = &self.credential.policy;
        policy.admits(to, places, operator_allows).map_err(|outside| refused(not_here(outside)))?;
        Ok(self.permit(id, now, origin))
    }

    /// Row 7 and the switch `code_access`: the permit to hand the value to the step's code.
    pub fn expose(&self, id: AuditId, now: Timestamp) -> Result<Permit<Expose>, Refused> {
        let refused = |refusal| self.refused(id, now, Expose::ACTION, refusal, None);
        self.usable(now).map_err(refused)?;
        if self.credential.code_access != CodeAccess::Readable {
            return Err(refused(Refusal {
                code: StepErrorCode::CredentialNotAllowedHere,
                reason: "sealed",
            }));
        }
        Ok(self.permit(id, now, None))
    }

    /// Row 7 alone: the permit to compute with the value where only a yes or no comes out.
    pub fn verify(&self, id: AuditId, now: Timestamp) -> Result<Permit<Use>, Refused> {
        self.usable(now).map_err(|refusal| self.refused(id, now, Use::ACTION, refusal, None))?;
        Ok(self.permit(id, now, None))
    }

    fn usable(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.credential.status_at(now) {
            Status::Expired => Err(unusable("expired")),
            // `error` is what a failed open left behind; opening anew decides.
            Status::Active | Status::Error => Ok(()),
        }
    }

    fn permit<P: Purpose>(&self, id: AuditId, now: Timestamp, to: Option<String>) -> Permit<P> {
        let mut event = self.context.event(id, now, P::ACTION);
        event.credential = Some(self.credential.id);
        event.key = Some(self.credential.key.clone());
        event.destination = to;
        Permit { credential: self.credential.clone(), event, purpose: PhantomData }
    }

    fn refused(
        &self,
        id: AuditId,
        now: Timestamp,
        action: Action,
        refusal: Refusal,
        to: Option<String>,
    ) -> Refused {
        let mut refused = self.context.refused(id, now, action, refusal, &self.credential.key);
        refused.event.credential = Some(self.credential.id);
        refused.event.destination = to;
        refused
    }
}

fn not_here(outside: Outside) -> Refusal {
    Refusal { code: StepErrorCode::CredentialNotAllowedHere, reason: outside.as_str() }
}

impl StepContext {
    fn event(&self, id: AuditId, now: Timestamp, action: Action) -> Event {
        let mut event = Event::new(id, self.workspace, now, self.starter.clone(), action);
        event.workflow = Some(self.workflow);
        event.run = Some(self.run);
        event.step = Some(self.step.clone());
        event
    }

    /// The refusal of a key together with its audit event.
    pub fn refused(
        &self,
        id: AuditId,
        now: Timestamp,
        action: Action,
        refusal: Refusal,
        key: &str,
    ) -> Refused {
        let mut event = self.event(id, now, action);
        event.outcome = Outcome::Refused;
        event.reason = refusal.reason.into();
        event.key = Some(key.into());
        Refused { refusal, event: Box::new(event) }
    }
}

/// A refusal with the event that records it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What was decided.
    pub refusal: Refusal,
    /// What the audit says of it.
    pub event: Box<Event>,
}

/// What a permit is for.
pub trait Purpose {
    /// The audit's word for it.
    const ACTION: Action;
}

/// Filling a value into one request.
#[derive(Debug)]
pub enum Use {}
impl Purpose for Use {
    const ACTION: Action = Action::CredentialUsed;
}

/// Handing a value to code.
#[derive(Debug)]
pub enum Expose {}
impl Purpose for Expose {
    const ACTION: Action = Action::CredentialExposed;
}

/// The right to one use of one credential version; made here alone, valid with its audit receipt.
#[derive(Debug)]
pub struct Permit<P> {
    credential: Arc<Credential>,
    event: Event,
    purpose: PhantomData<P>,
}

impl<P> Permit<P> {
    /// The credential whose current version may be opened.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The audit event that must be durable before anything opens.
    pub fn event(&self) -> &Event {
        &self.event
    }
}
