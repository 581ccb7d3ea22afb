//! Shares: what somebody beside its owner may do with a credential. No level shows a value.

use crate::clock::Timestamp;
use crate::id::{CredentialId, MemberId, WorkspaceId};
use crate::tag::{Columns, Granting};
use serde::{Deserialize, Serialize};

/// How much a share gives; each level includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Run workflows with it, and test it.
    Use,
    /// See its configuration, use and audit as well.
    View,
    /// Edit, rotate, share, suspend and delete it as well.
    Manage,
}

impl Level {
    /// Every level, the least first.
    pub const ALL: [Self; 3] = [Self::Use, Self::View, Self::Manage];

    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::View => "view",
            Self::Manage => "manage",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

/// Whom a share is given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharee {
    /// One member.
    Member(MemberId),
    /// Everybody in the workspace, also who joins later.
    All,
}

impl Sharee {
    /// Whether the share counts for that member.
    pub fn includes(self, member: MemberId) -> bool {
        match self {
            Self::Member(id) => id == member,
            Self::All => true,
        }
    }

    /// Reads a member's id or `all`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            id => id.parse().ok().map(Self::Member),
        }
    }
}

impl std::fmt::Display for Sharee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Member(id) => id.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

/// One share. Grants, and so is tagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The credential.
    pub credential: CredentialId,
    /// Whom it is given to.
    pub sharee: Sharee,
    /// How much.
    pub level: Level,
    /// Who gave it.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
}

impl Granting for Share {
    const TABLE: &'static str = "shares";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.credential.to_string());
        out.text(&self.sharee.to_string()).text(self.level.as_str());
        out.text(&self.by.to_string()).number(self.at.millis());
    }
}

/// The most that these shares give a member in a credential.
pub fn level_of<'a>(
    shares: impl IntoIterator<Item = &'a Share>,
    credential: CredentialId,
    member: MemberId,
) -> Option<Level> {
    let counts = |share: &&Share| share.credential == credential && share.sharee.includes(member);
    shares.into_iter().filter(counts).map(|share| share.level).max()
}
