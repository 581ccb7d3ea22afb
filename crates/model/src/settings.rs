//! A workspace's settings: what its owners decide for all of it.

use crate::id::WorkspaceId;
use crate::tag::{Columns, Granting};
use serde::{Deserialize, Serialize};

/// Whether values may be handed to code at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expose {
    /// To steps of workflows that may use a credential marked `readable`.
    On,
    /// Never, whatever a credential says.
    Off,
}

/// What a workspace's owners and admins decide. Stored as one JSON document in a tagged row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// For how many days runs are kept, where a workflow does not say.
    pub retention_days: u32,
    /// Whether a credential that is bound to no host may be saved and used.
    pub require_hosts: bool,
    /// Whether `readable` credentials are handed to code.
    pub expose: Expose,
    /// Whether editors may share their personal credentials.
    pub sharing: bool,
    /// Whether a staged version must pass its test before it is promoted.
    pub require_version_test: bool,
    /// For how many days an earlier version can be returned to.
    pub grace_days: u32,
    /// After how many successful runs a rotation counts as verified.
    pub verified_runs: u32,
    /// After how many days a value is due for rotation.
    pub rotation_due_days: u32,
    /// After how many days without a use a credential counts as unused.
    pub unused_days: u32,
    /// For how many days ahead an expiry is warned of.
    pub expiry_warning_days: u32,
    /// For how many days the audit trail is kept; `null` for ever.
    pub audit_retention_days: Option<u32>,
}

impl Default for Settings {
    /// What a new workspace begins with.
    fn default() -> Self {
        Self {
            retention_days: 30,
            require_hosts: false,
            expose: Expose::On,
            sharing: true,
            require_version_test: false,
            grace_days: 7,
            verified_runs: 3,
            rotation_due_days: 90,
            unused_days: 90,
            expiry_warning_days: 14,
            audit_retention_days: None,
        }
    }
}

impl Settings {
    /// What counts where the row is gone or is not the server's: nothing that a setting could
    /// forbid is allowed, and nothing is thrown away.
    pub fn strictest() -> Self {
        Self {
            retention_days: u32::MAX,
            require_hosts: true,
            expose: Expose::Off,
            sharing: false,
            require_version_test: true,
            ..Self::default()
        }
    }
}

/// A workspace's settings as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceSettings {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What is decided.
    pub settings: Settings,
    /// Raised by each change; compare-and-set.
    pub revision: i64,
}

impl WorkspaceSettings {
    /// The settings of a new workspace.
    pub fn new(workspace: WorkspaceId) -> Self {
        Self { workspace, settings: Settings::default(), revision: 1 }
    }

    /// The settings as the stored JSON document.
    pub fn document(&self) -> String {
        serde_json::to_string(&self.settings).unwrap_or_default()
    }
}

impl Granting for WorkspaceSettings {
    const TABLE: &'static str = "settings";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.document()).number(self.revision);
    }
}
