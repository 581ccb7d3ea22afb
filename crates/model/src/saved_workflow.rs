//! Workflows as they are stored: head, versions and allowlist, all tagged because they grant.

use crate::clock::Timestamp;
use crate::credential::Sealed;
use crate::id::{MemberId, WorkflowId, WorkspaceId};
use crate::tag::{Columns, Granting};

/// The head of a workflow: which version runs, as whom, and behind which trigger token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: WorkflowId,
    /// The name that people read.
    pub name: String,
    /// The version that runs.
    pub version: i64,
    /// Whether its trigger takes events.
    pub active: bool,
    /// The member whose rights its triggers have.
    pub owner: MemberId,
    /// HMAC-SHA-256 of the trigger's path token.
    pub trigger_hash: [u8; 32],
    /// The token itself, sealed, to show its URL again.
    pub trigger_token: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it was changed.
    pub updated_at: Timestamp,
    /// Raised by each change; compare-and-set.
    pub revision: i64,
}

impl Granting for Workflow {
    const TABLE: &'static str = "workflows";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.id.to_string()).text(&self.name);
        out.number(self.version).number(i64::from(self.active)).text(&self.owner.to_string());
        out.bytes(&self.trigger_hash).bytes(self.trigger_token.as_bytes());
        out.number(self.created_at.millis()).number(self.updated_at.millis());
        out.number(self.revision);
    }
}

/// One saved version of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowVersion {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// 1 for the first.
    pub version: i64,
    /// Who saved it, and so must be allowed to use what it names.
    pub author: MemberId,
    /// The definition as its author wrote it, JSON.
    pub definition: String,
    /// What saving worked out: by step id the JavaScript and the keys that its source names, JSON.
    pub compiled: String,
    /// When it was saved.
    pub created_at: Timestamp,
}

impl Granting for WorkflowVersion {
    const TABLE: &'static str = "workflow_versions";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.workflow.to_string());
        out.number(self.version).text(&self.author.to_string()).text(&self.definition);
        out.text(&self.compiled).number(self.created_at.millis());
    }
}

/// The only keys that a workflow's runs may resolve, when switched on. Every workflow has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Whether it is on.
    pub enabled: bool,
    /// The keys, sorted.
    pub keys: Vec<String>,
}

impl Allowlist {
    /// Whether nothing that the other list lets through is kept out by this one.
    pub fn covers(&self, narrower: &Self) -> bool {
        match (self.enabled, narrower.enabled) {
            (false, _) => true,
            (true, false) => false,
            (true, true) => narrower.keys.iter().all(|key| self.keys.contains(key)),
        }
    }
}

impl Granting for Allowlist {
    const TABLE: &'static str = "allowlists";
    fn columns(&self, out: &mut Columns) {
        out.text(&self.workspace.to_string()).text(&self.workflow.to_string());
        out.number(i64::from(self.enabled));
        self.keys.iter().for_each(|key| {
            out.text(key);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Identifier as _;

    #[test]
    fn a_list_covers_what_is_narrower() {
        let list = |enabled, keys: &[&str]| Allowlist {
            workspace: WorkspaceId::from_bytes([1; 16]),
            workflow: WorkflowId::from_bytes([2; 16]),
            enabled,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let check = |before: (bool, &[&str]), after: (bool, &[&str]), expected: bool| {
            let covers = list(before.0, before.1).covers(&list(after.0, after.1));
            assert_eq!(covers, expected, "{before:?} to {after:?}");
        };
        check((false, &[]), (true, &["A"]), true);
        check((false, &["A"]), (false, &["B"]), true);
        check((true, &["A", "B"]), (true, &["B"]), true);
        check((true, &["A"]), (true, &["A", "B"]), false);
        check((true, &["A"]), (false, &["A"]), false);
        check((true, &[]), (true, &[]), true);
    }
}
