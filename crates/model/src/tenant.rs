//! Workspaces, their keys, members and API tokens.

use crate::actor::Role;
use crate::clock::Timestamp;
use crate::id::{KeyId, MemberId, TokenId, WorkspaceId};
use crate::tag::{Columns, Granting};

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

/// One generation of a workspace's key, wrapped by the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceKey {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The key's id, which sealed records name.
    pub id: KeyId,
    /// 1 for the first.
    pub generation: i64,
    /// The sealed key (docs/sealed-format.md).
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A user in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: MemberId,
    /// The e-mail address, lower-case.
    pub email: String,
    /// The name that people read.
    pub name: String,
    /// What the member may do.
    pub role: Role,
    /// Argon2id hash in PHC form, or empty where no password is set.
    pub password_hash: String,
    /// When the member joined.
    pub created_at: Timestamp,
}

impl Granting for Member {
    const TABLE: &'static str = "members";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string()).text(&self.email);
        out.text(&self.name).text(self.role.as_str()).text(&self.password_hash);
        out.number(self.created_at.millis());
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
