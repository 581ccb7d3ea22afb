//! Workspaces, their keys, members and API tokens.

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::id::{AccountId, KeyId, MemberId, TokenId, WorkspaceId};
use crate::tag::{Columns, Granting};
use serde::{Deserialize, Serialize};

/// A workspace, the tenant: everything belongs to one and nothing crosses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The short name that URLs use, unique on the server.
    pub slug: String,
    /// The name that people read.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a generation of a workspace's key is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Opens and verifies, but seals nothing yet: not every server has it.
    Prepared,
    /// Opens and verifies; the newest of this state also seals and signs.
    Active,
    /// Opens nothing any more: what is left of it verifies old audit records and names old runs.
    Retired,
}

impl KeyState {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Prepared, Self::Active, Self::Retired].into_iter().find(|s| s.as_str() == text)
    }
}

/// One generation of a workspace's key, wrapped by the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceKey {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The key's id, which sealed records name.
    pub id: KeyId,
    /// 1 for the first.
    pub generation: i64,
    /// What it is there for.
    pub state: KeyState,
    /// The fingerprint of the root key that wrapped it; empty where an earlier release did.
    pub root: String,
    /// The sealed key (docs/sealed-format.md).
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// Somebody with an account.
    Person,
    /// A pipeline: has no account, signs in by API tokens alone and is never an owner.
    Service,
}

impl MemberKind {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Person, Self::Service].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Somebody's place in a workspace. Rows of those who left are kept, so that the audit trail can
/// name them; they are members no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: MemberId,
    /// A person, or a service account.
    pub kind: MemberKind,
    /// The person's account; none for a service account.
    pub account: Option<AccountId>,
    /// The account's e-mail address, lower-case; empty for a service account.
    pub email: String,
    /// The name that people read.
    pub name: String,
    /// What the member may do.
    pub role: Role,
    /// When the member joined.
    pub created_at: Timestamp,
    /// When the member left; from then on the row grants nothing.
    pub left_at: Option<Timestamp>,
}

impl Granting for Member {
    const TABLE: &'static str = "members";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string());
        out.text(self.kind.as_str()).optional(self.account.map(|id| id.to_string()).as_deref());
        out.text(&self.email).text(&self.name).text(self.role.as_str());
        out.number(self.created_at.millis()).number(self.left_at.map_or(-1, Timestamp::millis));
    }
}

/// An API token: acts as its maker, known by its hash alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: TokenId,
    /// Who made it and whom it acts as.
    pub member: MemberId,
    /// The name that people read.
    pub name: String,
    /// HMAC-SHA-256 of the token.
    pub hash: [u8; 32],
    /// What it may do at most, separated by spaces; empty for all that its maker may.
    pub scopes: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Granting for ApiToken {
    const TABLE: &'static str = "tokens";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string());
        out.text(&self.member.to_string()).text(&self.name).bytes(&self.hash).text(&self.scopes);
        out.number(self.expires_at.map_or(-1, Timestamp::millis));
        out.number(self.created_at.millis());
    }
}
