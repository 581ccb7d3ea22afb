//! A workspace's settings: what its owners decide for all of it.

use crate::id::WorkspaceId;
use crate::json::Fault;
use crate::tag::{Columns, Granting};
use serde::{Deserialize, Serialize};

/// The longest time that a setting can name, in days.
pub const MAX_DAYS: u32 = 3650;

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

    /// Every number that is out of its range, by member.
    pub fn faults(&self) -> Vec<Fault> {
        let audit_days = self.audit_retention_days;
        let ranges = [
            ("/retention_days", Some(self.retention_days), 1, MAX_DAYS),
            ("/grace_days", Some(self.grace_days), 0, 365),
            ("/verified_runs", Some(self.verified_runs), 1, 1000),
            ("/rotation_due_days", Some(self.rotation_due_days), 1, MAX_DAYS),
            ("/unused_days", Some(self.unused_days), 1, MAX_DAYS),
            ("/expiry_warning_days", Some(self.expiry_warning_days), 0, 365),
            ("/audit_retention_days", audit_days, 1, MAX_DAYS),
        ];
        let outside = ranges.into_iter().filter(|(_, number, least, most)| {
            number.is_some_and(|number| !(*least..=*most).contains(&number))
        });
        let fault = |(pointer, _, least, most)| {
            Fault::new(pointer, "invalid_value", format!("must be a number from {least} to {most}"))
        };
        outside.map(fault).collect()
    }

    /// The names of the members that differ, as the audit says them.
    pub fn changed(&self, after: &Self) -> Vec<String> {
        let members = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (before, after) = (members(self), members(after));
        let differs = |name: &&String| before.get(*name) != after.get(*name);
        after.keys().filter(differs).cloned().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_ranges() {
        let check = |change: fn(&mut Settings), expected: &[&str]| {
            let mut settings = Settings::default();
            change(&mut settings);
            let found = settings.faults();
            let found: Vec<_> = found.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, expected, "{settings:?}");
        };
        check(|_| {}, &[]);
        check(|s| s.retention_days = 0, &["/retention_days"]);
        check(|s| s.retention_days = MAX_DAYS, &[]);
        check(|s| s.retention_days = MAX_DAYS + 1, &["/retention_days"]);
        check(|s| s.grace_days = 0, &[]);
        check(|s| s.grace_days = 366, &["/grace_days"]);
        check(|s| s.verified_runs = 0, &["/verified_runs"]);
        check(|s| s.audit_retention_days = Some(0), &["/audit_retention_days"]);
        check(|s| s.audit_retention_days = None, &[]);
        check(
            |s| (s.unused_days, s.rotation_due_days) = (0, 0),
            &["/rotation_due_days", "/unused_days"],
        );
        assert_ne!(
            Settings::strictest().faults(),
            [],
            "it keeps for ever, which nobody can ask for"
        );
    }

    #[test]
    fn changes_are_named() {
        let before = Settings::default();
        let after = Settings { sharing: false, audit_retention_days: Some(9), ..before };
        assert_eq!(before.changed(&before), [""; 0]);
        assert_eq!(before.changed(&after), ["sharing", "audit_retention_days"]);
    }
}
