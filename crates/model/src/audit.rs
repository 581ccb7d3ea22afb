//! The audit trail: what an event says, and the bytes that its chain authenticates.

mod ascii;
mod check;
mod csv;
mod cut;
mod line;
mod syslog;

pub use check::{Checker, Counts, Fault, Kind, Watched};
pub use csv::{CSV_HEADER, csv_cell, csv_row};
pub use cut::{AuditCursor, AuditStub};
pub use line::{End, Header, Line, WrappedKey, write_line, write_stub};
pub use syslog::{SyslogHost, syslog_message};

use crate::actor::{Actor, ActorKind};
use crate::clock::Timestamp;
use crate::id::{AuditId, CredentialId, RunId, StreamId, WorkflowId, WorkspaceId};
use crate::tag::Columns;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $text:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action { $($(#[$doc])* $name,)* }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name),*];
            /// The word stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// Reads the stored word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

actions! {
    /// A credential was made.
    CredentialCreated "credential.created";
    /// A credential's description, binding or access was changed.
    CredentialUpdated "credential.updated";
    /// A credential's value was replaced.
    CredentialRotated "credential.rotated";
    /// A new version of a value was saved, not yet in use.
    CredentialStaged "credential.staged";
    /// A staged version became the current one.
    CredentialPromoted "credential.promoted";
    /// An earlier version became the current one again.
    CredentialRolledBack "credential.rolled_back";
    /// Somebody was given a share in a credential.
    CredentialShared "credential.shared";
    /// A share was taken back.
    CredentialUnshared "credential.unshared";
    /// A credential was tested against its service.
    CredentialTested "credential.tested";
    /// A token was refreshed.
    CredentialRefreshed "credential.refreshed";
    /// A credential was connected to its service.
    CredentialAuthorized "credential.authorized";
    /// Tokens or an earlier version were revoked.
    CredentialRevoked "credential.revoked";
    /// Every use of a credential was stopped.
    CredentialSuspended "credential.suspended";
    /// A suspended credential may be used again.
    CredentialResumed "credential.resumed";
    /// A credential got another owner.
    CredentialTransferred "credential.transferred";
    /// A credential was deleted; it can be restored for a while.
    CredentialDeleted "credential.deleted";
    /// A deleted credential was brought back.
    CredentialRestored "credential.restored";
    /// The keys of versions were destroyed: nothing can open their values any more.
    CredentialShredded "credential.shredded";
    /// A value was released into one request, or that was refused.
    CredentialUsed "credential.used";
    /// A value was released to code that may read it, or that was refused.
    CredentialExposed "credential.exposed";
    /// A credential's configuration was read, or that was refused.
    CredentialViewed "credential.viewed";
    /// A workflow was made.
    WorkflowCreated "workflow.created";
    /// A workflow got a new version.
    WorkflowUpdated "workflow.updated";
    /// A workflow was deleted.
    WorkflowDeleted "workflow.deleted";
    /// A workflow's trigger was switched on.
    WorkflowActivated "workflow.activated";
    /// A workflow's trigger was switched off.
    WorkflowDeactivated "workflow.deactivated";
    /// A workflow's allowlist was changed.
    AllowlistChanged "workflow.allowlist_changed";
    /// A workflow was exported.
    WorkflowExported "workflow.exported";
    /// A workflow was imported.
    WorkflowImported "workflow.imported";
    /// A workflow got another owner.
    WorkflowTransferred "workflow.transferred";
    /// A workspace got an app of its own.
    AppCreated "app.created";
    /// A workspace's own app was replaced.
    AppUpdated "app.updated";
    /// A workspace's own app was deleted.
    AppDeleted "app.deleted";
    /// A person started a run.
    RunStarted "run.started";
    /// A person retried a run.
    RunRetried "run.retried";
    /// A person cancelled a run.
    RunCancelled "run.cancelled";
    /// A run was deleted, by a person or for its age: the reason says how it had ended.
    RunDeleted "run.deleted";
    /// Somebody was invited.
    MemberInvited "member.invited";
    /// A member joined.
    MemberJoined "member.joined";
    /// A member's role, name or way of signing in was changed.
    MemberChanged "member.changed";
    /// A member was removed.
    MemberRemoved "member.removed";
    /// A person's data was erased.
    MemberErased "member.erased";
    /// An API token was made.
    TokenCreated "token.created";
    /// An API token was revoked.
    TokenRevoked "token.revoked";
    /// Somebody signed in.
    SessionCreated "session.created";
    /// A sign-in failed.
    SessionFailed "session.failed";
    /// A session was ended.
    SessionEnded "session.ended";
    /// A workspace was made.
    WorkspaceCreated "workspace.created";
    /// A workspace's settings were changed.
    SettingsChanged "workspace.settings_changed";
    /// Data was exported: the reason says which.
    ExportMade "export.made";
    /// Records of the audit trail reached their age and were cut off.
    AuditCut "audit.cut";
    /// A key was replaced: the reason says which.
    KeyRotated "key.rotated";
    /// The whole database was restored from a backup.
    ServerRestored "server.restored";
    /// An older database than the anchor file knows was accepted: the reason says why that was needed.
    OlderAccepted "audit.older_accepted";
}

/// Whether what was asked took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Allowed,
    /// It was refused.
    Refused,
}

impl Outcome {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allowed, Self::Refused].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// One event. Holds no value, ever: names, ids and destinations alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id; for uses, also the permit's.
    pub id: AuditId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// Whether it took place.
    pub outcome: Outcome,
    /// Why it was refused, or what changed: fixed words, the id of a member, token, session,
    /// invitation or app, or empty.
    pub reason: String,
    /// The credential concerned.
    pub credential: Option<CredentialId>,
    /// Its key, kept although the credential may be deleted.
    pub key: Option<String>,
    /// The workflow concerned.
    pub workflow: Option<WorkflowId>,
    /// The run concerned.
    pub run: Option<RunId>,
    /// The step concerned.
    pub step: Option<String>,
    /// Scheme, host and port that a value went to or was to go to.
    pub destination: Option<String>,
}

impl Event {
    /// An event in which only who did what is said; the rest is set by field.
    pub fn new(
        id: AuditId,
        workspace: WorkspaceId,
        at: Timestamp,
        actor: Actor,
        action: Action,
    ) -> Self {
        Self {
            id,
            workspace,
            at,
            actor,
            action,
            outcome: Outcome::Allowed,
            reason: String::new(),
            credential: None,
            key: None,
            workflow: None,
            run: None,
            step: None,
            destination: None,
        }
    }

    /// The event as its chain holds it: people by their ids alone, so that a name can be erased
    /// without breaking a chain. The server's own and triggers' names stay.
    #[must_use]
    pub fn for_chain(mut self) -> Self {
        if self.actor.kind == ActorKind::Member {
            self.actor.name.clear();
        }
        self
    }

    /// The bytes that the chain's MAC covers. `credential_number` as in [`Record`]; records of before
    /// such numbers have none, and the bytes that they always had.
    pub fn canonical(&self, credential_number: Option<i64>) -> Vec<u8> {
        let mut out = Columns::default();
        out.text(match credential_number {
            None => "keyward/audit/v1",
            Some(_) => "keyward/audit/v2",
        });
        out.text(&self.id.to_string()).text(&self.workspace.to_string());
        out.number(self.at.millis()).text(self.actor.kind.as_str()).text(&self.actor.id);
        out.text(&self.actor.name).text(self.action.as_str()).text(self.outcome.as_str());
        out.text(&self.reason);
        out.optional(self.credential.map(|id| id.to_string()).as_deref());
        out.optional(self.key.as_deref());
        out.optional(self.workflow.map(|id| id.to_string()).as_deref());
        out.optional(self.run.map(|id| id.to_string()).as_deref());
        out.optional(self.step.as_deref()).optional(self.destination.as_deref());
        if let Some(number) = credential_number {
            out.number(number);
        }
        out.finish().to_vec()
    }
}

/// An event as its chain holds it: `mac = HMAC(audit key, previous mac, number, event)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// The chain.
    pub stream: StreamId,
    /// The place in it, from 1.
    pub number: i64,
    /// Where the event names a credential: its place among that credential's records of this chain,
    /// from 1, so that a list of them alone shows a gap. `None` in records of before such numbers.
    pub credential_number: Option<i64>,
    /// For the first record of a chain: the MAC of the workspace's newest record at that time, or
    /// empty for the very first; otherwise `None` (the record before it in the chain).
    pub opened_after: Option<Vec<u8>>,
    /// The MAC.
    pub mac: [u8; 32],
}

impl Record {
    /// The bytes that the MAC covers, beside the MAC before it and the number.
    pub fn canonical(&self) -> Vec<u8> {
        self.event.canonical(self.credential_number)
    }
}

/// The newest record of a chain, as the anchor file keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The chain.
    pub stream: StreamId,
    /// The newest record's place in it.
    pub number: i64,
    /// The newest record's MAC.
    pub mac: [u8; 32],
}
