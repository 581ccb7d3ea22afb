//! Who acts: members by token, triggers, and the server itself.

use crate::id::{MemberId, WorkspaceId};
use serde::{Deserialize, Serialize};

/// What a member may do; the table is in `policy`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads runs.
    Viewer,
    /// Runs workflows.
    Operator,
    /// Edits and runs workflows.
    Editor,
    /// Everything but owners.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Editor, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A signed-in member, as every request of the API carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The workspace that the caller belongs to.
    pub workspace: WorkspaceId,
    /// The member.
    pub member: MemberId,
    /// The member's name, for the audit.
    pub name: String,
    /// The member's role.
    pub role: Role,
}

/// Who an audit event or a run is put down to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Actor {
    /// `member`, `trigger` or `system`.
    pub kind: ActorKind,
    /// The member's or workflow's id; empty for the system.
    pub id: String,
    /// A name that people read.
    pub name: String,
}

/// The kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person or a token acting as one.
    Member,
    /// An HTTP trigger, acting as its workflow.
    Trigger,
    /// The server, or its operator on the host.
    System,
}

impl ActorKind {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Trigger => "trigger",
            Self::System => "system",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Trigger, Self::System].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl Actor {
    /// The server itself.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: String::new(), name: "keyward".into() }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self { kind: ActorKind::Member, id: caller.member.to_string(), name: caller.name.clone() }
    }
}
