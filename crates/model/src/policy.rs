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
use crate::id::{AuditId, CredentialId, MemberId, RunId, WorkflowId, WorkspaceId};
use crate::permission::{Act, Allowed};
use crate::resolution::{Reach, nearest};
use crate::saved_workflow::Allowlist;
use crate::settings::{Expose, Settings};
use crate::share::{Share, level_of};
use std::marker::PhantomData;
use std::sync::Arc;

/// What a member may ask of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// List workspace and workflow keys: name, type, status.
    ListCredentials,
    /// See their configuration and audit.
    ViewCredential,
    /// Make credentials, at least one's own.
    CreateCredentials,
    /// Create, edit, rotate and delete the workspace's and the workflows'.
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
        Ability::EditWorkflows | Ability::CreateCredentials => Role::Editor,
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
    /// The member whose personal credentials count: the workflow's owner.
    pub owner: Option<MemberId>,
    /// Who saved the version that runs, and so must be allowed to use what it names.
    pub author: Option<MemberId>,
    /// The workflow's allowlist; its absence never widens.
    pub allowlist: Option<&'a Allowlist>,
    /// Whether the saved step names the key.
    pub declared: bool,
    /// The credentials of that key in the workspace, tags checked.
    pub candidates: Vec<Credential>,
    /// Shares in the candidates, tags checked.
    pub shares: &'a [Share],
    /// The workspace's settings.
    pub settings: &'a Settings,
}

/// The rows by which a step gets the use of a credential, each with the words that the audit has for
/// its refusals. `explain` names the row.
const ROWS: &[(u8, &[&str])] = &[
    (1, &["foreign"]),
    (2, &["starter"]),
    (3, &["allowlist", "allowlist_gone"]),
    (4, &["undeclared"]),
    (5, &["not_found", "not_shared", "shadowed"]),
    (6, &["not_adopted"]),
    (
        7,
        &["tampered", "expired", "suspended", "reauthorization_required", "replaced", "unreadable"],
    ),
    (10, &["audit"]),
];

/// A refusal: what the step is told, and the reason that only the audit and people with the right see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the step is told.
    pub code: StepErrorCode,
    /// The fixed word for the audit.
    pub reason: &'static str,
}

/// The refusals in plain words, for people with the right to know.
const WORDS: &[(&str, &str)] = &[
    ("foreign", "the workflow's stored rows do not belong together: it must be saved anew"),
    ("starter", "whoever the run acts for may not run this workflow, or has left the workspace"),
    ("allowlist", "the workflow has an allowlist, and it does not hold the key"),
    (
        "allowlist_gone",
        "the workflow's allowlist is gone or was written by somebody else than the server",
    ),
    ("undeclared", "the step does not name the key"),
    ("not_found", "there is no credential of that key that counts for this workflow"),
    ("not_shared", "it is personal to a member who has not shared it with the workflow's owner"),
    (
        "shadowed",
        "another credential of the same key is nearer to this workflow and counts instead",
    ),
    (
        "not_adopted",
        "whoever saved the workflow last may not use this credential; whoever may \
        adopts it by saving the workflow once",
    ),
    ("tampered", "a credential of that key was written by somebody else than the server"),
    ("expired", "its date has passed"),
    ("suspended", "it is suspended: every use is refused until somebody resumes it"),
    ("reauthorization_required", "it must be connected to its service again"),
    ("replaced", "another credential has taken its place while the step ran"),
    ("unreadable", "its value cannot be opened; enter it again"),
    ("unbound", "it is bound to no host, and this workspace wants every credential bound"),
    ("host", "it may not go to this host and port"),
    ("method", "it may not be used with this method"),
    ("path", "it may not go to this path"),
    ("place", "it may not stand in this part of a request"),
    ("destination_blocked", "the server sends no requests to this destination at all"),
    ("ambiguous_path", "services may read this path in different ways, so no value goes there"),
];

impl Refusal {
    /// The reason where another credential of the key counts.
    pub const SHADOWED: &'static str = "shadowed";
    /// A destination that no request reaches, whatever a credential's binding says.
    pub const BLOCKED: Self =
        Self { code: StepErrorCode::DestinationBlocked, reason: "destination_blocked" };
    /// A path that cannot be held against a binding.
    pub const AMBIGUOUS_PATH: Self =
        Self { code: StepErrorCode::CredentialNotAllowedHere, reason: "ambiguous_path" };

    /// The row of SECURITY.md that refuses; whatever is about the destination is row 8.
    pub fn row(&self) -> u8 {
        let named = |(_, reasons): &&(u8, &[&str])| reasons.contains(&self.reason);
        ROWS.iter().find(named).map_or(8, |(row, _)| *row)
    }

    /// Why, for people with the right to know; never for the step.
    pub fn in_words(&self) -> &'static str {
        let said = WORDS.iter().find(|(reason, _)| *reason == self.reason);
        said.map_or("it may not be used like this", |(_, words)| words)
    }
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
        let found = self.found()?;
        self.adopted(found)
    }

    /// The same rows, asked for one of the candidates: refused also where the workflow would get
    /// another one.
    pub fn grant_of(self, wanted: CredentialId) -> Result<Grant, Refusal> {
        let found = self.found()?;
        if found.id == wanted {
            return self.adopted(found);
        }
        let wanted = self.candidates.iter().find(|candidate| candidate.id == wanted);
        Err(missing(match wanted.map(|wanted| (self.reach().rank(wanted), wanted.scope)) {
            Some((Some(_), _)) => Refusal::SHADOWED,
            Some((None, Scope::Personal(_))) => "not_shared",
            _ => "not_found",
        }))
    }

    /// Rows 1 to 5.
    fn found(&self) -> Result<&Credential, Refusal> {
        let context = self.context;
        let Some(allowlist) = self.allowlist else { return Err(unusable("allowlist_gone")) };
        let found = nearest(&self.candidates, &self.reach());
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
        let Some(credential) = found else {
            let personal = |c: &Credential| matches!(c.scope, Scope::Personal(_));
            let held = self.candidates.iter().any(|c| personal(c) && c.lifecycle.deleted.is_none());
            return Err(missing(if held { "not_shared" } else { "not_found" }));
        };
        if credential.workspace != context.workspace || credential.key != self.key {
            return Err(missing("foreign"));
        }
        Ok(credential)
    }

    /// Row 6.
    fn adopted(&self, credential: &Credential) -> Result<Grant, Refusal> {
        if !self.author.is_some_and(|author| self.may_use(credential, author)) {
            return Err(missing("not_adopted"));
        }
        Ok(Grant {
            context: self.context.clone(),
            credential: Arc::new(credential.clone()),
            require_hosts: self.settings.require_hosts,
            expose: self.settings.expose,
            kind: GrantKind::Stored,
        })
    }

    fn reach(&self) -> Reach<'_> {
        Reach { workflow: self.context.workflow, owner: self.owner, shares: self.shares }
    }

    /// Whether a member may put the credential into a workflow.
    fn may_use(&self, credential: &Credential, member: MemberId) -> bool {
        match credential.scope {
            Scope::Workspace | Scope::Workflow(_) => true,
            Scope::Personal(holder) if holder == member => true,
            Scope::Personal(_) => level_of(self.shares, credential.id, member).is_some(),
        }
    }
}

/// A step may use a credential, somewhere. Opens nothing; lasts one attempt.
#[derive(Debug, Clone)]
pub struct Grant {
    context: StepContext,
    credential: Arc<Credential>,
    require_hosts: bool,
    expose: Expose,
    /// Who asks, and for what.
    kind: GrantKind,
}

/// What a grant is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrantKind {
    /// A stored credential, for a step.
    Stored,
    /// A stored credential, for a person who sees whether the service accepts it.
    Test,
    /// A value that the run itself has received; the vault has no credential for it.
    Received,
}

impl Grant {
    /// The grant of a connection test, for whoever was allowed one; lasts for that test alone.
    /// The credential may stand for a staged version.
    pub fn of_test(
        allowed: &Allowed,
        context: StepContext,
        credential: Credential,
        settings: &Settings,
    ) -> Option<Self> {
        let fits = allowed.covers(Act::Test, &credential) && credential.lifecycle.deleted.is_none();
        fits.then(|| Self {
            context,
            credential: Arc::new(credential),
            require_hosts: settings.require_hosts,
            expose: Expose::Off,
            kind: GrantKind::Test,
        })
    }

    /// The grant of a value that the run has received, for each of its steps: `bound` says where it
    /// may go, and its key is its origin.
    pub fn of_received(context: StepContext, bound: Credential, require_hosts: bool) -> Self {
        let expose = Expose::Off;
        let credential = Arc::new(bound);
        Self { context, credential, require_hosts, expose, kind: GrantKind::Received }
    }

    /// The grant of the credential that reads a linked field of another: for whoever was permitted the
    /// use of that one. It counts where the other one counts, and is not linked itself.
    pub fn of_link<P>(
        context: StepContext,
        permit: &Permit<P>,
        reading: Credential,
        require_hosts: bool,
    ) -> Option<Self> {
        let linked = permit.credential();
        let near = reading.scope == Scope::Workspace || reading.scope == linked.scope;
        let fits = reading.workspace == linked.workspace
            && near
            && reading.details.links.is_empty()
            && reading.lifecycle.deleted.is_none();
        fits.then(|| Self {
            context,
            credential: Arc::new(reading),
            require_hosts,
            expose: Expose::Off,
            kind: match permit.event.action {
                Action::CredentialTested => GrantKind::Test,
                _ => GrantKind::Stored,
            },
        })
    }

    /// The credential, without its values.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether the value itself may be handed to code.
    pub fn readable(&self) -> bool {
        self.credential.code_access == CodeAccess::Readable && self.expose == Expose::On
    }

    /// The same grant, of the version that a step was granted when it began.
    #[must_use]
    pub fn keeping_version(&self, begun: &Self) -> Self {
        let version = begun.credential.version;
        // With its own plain fields and date; a version that is gone will not open.
        let gone = || Credential { version, ..Credential::clone(&self.credential) };
        let credential = self.credential.at_version(version).unwrap_or_else(gone);
        Self { credential: Arc::new(credential), ..self.clone() }
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
        if self.require_hosts && !policy.is_bound() {
            return Err(refused(Refusal {
                code: StepErrorCode::CredentialNotAllowedHere,
                reason: "unbound",
            }));
        }
        policy.admits(to, places, operator_allows).map_err(|outside| refused(not_here(outside)))?;
        Ok(self.permit(id, now, origin))
    }

    /// Row 7 and the switch `code_access`: the permit to hand the value to the step's code.
    pub fn expose(&self, id: AuditId, now: Timestamp) -> Result<Permit<Exposure>, Refused> {
        let refused = |refusal| self.refused(id, now, Exposure::ACTION, refusal, None);
        self.usable(now).map_err(refused)?;
        if !self.readable() {
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

    /// A refusal that the request itself brought about.
    pub fn refusal(&self, id: AuditId, now: Timestamp, refusal: Refusal) -> Refused {
        self.refused(id, now, Use::ACTION, refusal, None)
    }

    fn usable(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.credential.status_at(now) {
            Status::Expired => Err(unusable("expired")),
            Status::Suspended => Err(unusable("suspended")),
            Status::ReauthorizationRequired => Err(unusable("reauthorization_required")),
            // `error` is what a failed open left behind; opening anew decides.
            Status::Active | Status::Error => Ok(()),
        }
    }

    fn permit<P: Purpose>(&self, id: AuditId, now: Timestamp, to: Option<String>) -> Permit<P> {
        let mut event = self.event(id, now, P::ACTION);
        event.credential = self.credential_id();
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
        let mut event = self.event(id, now, action);
        event.outcome = Outcome::Refused;
        event.reason = refusal.reason.into();
        event.key = Some(self.credential.key.clone());
        event.credential = self.credential_id();
        event.destination = to;
        Refused { refusal, event: Box::new(event) }
    }

    /// The id of a credential that is stored.
    fn credential_id(&self) -> Option<CredentialId> {
        (self.kind != GrantKind::Received).then_some(self.credential.id)
    }

    /// A test belongs to no run, and the audit calls it what it is.
    fn event(&self, id: AuditId, now: Timestamp, action: Action) -> Event {
        let context = &self.context;
        match self.kind {
            GrantKind::Stored | GrantKind::Received => context.event(id, now, action),
            GrantKind::Test => {
                let actor = context.starter.clone();
                Event::new(id, context.workspace, now, actor, Action::CredentialTested)
            }
        }
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
pub enum Exposure {}
impl Purpose for Exposure {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_row_and_its_words() {
        let check = |reason: &'static str, row: u8| {
            let refusal = missing(reason);
            assert_eq!(refusal.row(), row, "{reason}");
            assert_ne!(refusal.in_words(), missing("no such reason").in_words(), "{reason}");
        };
        for (row, reasons) in ROWS.iter().filter(|(row, _)| *row != 10) {
            reasons.iter().for_each(|reason| check(reason, *row));
        }
        for outside in [Outside::Host, Outside::Method, Outside::Path, Outside::Place] {
            check(outside.as_str(), 8);
        }
        check("unbound", 8);
        check(Refusal::BLOCKED.reason, 8);
        check(Refusal::AMBIGUOUS_PATH.reason, 8);
    }
}
