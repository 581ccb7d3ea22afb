//! Which credentials a list shows. They are picked among the narrow rows of `finding`; only those
//! of the page are read whole.

use crate::dialect::{BY_NARROW_ROW, BY_WHOLE_ROW};
use crate::error::StoreError;
use crate::page::{Page, Select};
use crate::value::Value;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{CredentialType, Status};
use keyward_model::id::{CredentialId, MemberId, WorkflowId, WorkspaceId};

/// Which credentials are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct CredentialFilter {
    /// Text within key, name or description, in any case.
    pub q: Option<String>,
    /// How it is made up.
    pub kind: Option<CredentialType>,
    /// The status at `now`, so that one whose date has passed counts as expired.
    pub status: Option<Status>,
    /// The time that `status` is asked for.
    pub now: Timestamp,
    /// `workspace`, `workflow` or `personal`.
    pub scope: Option<&'static str>,
    /// Only those that somebody has a share in.
    pub shared: bool,
    /// Who asks, where not everything is shown.
    pub visible_to: Option<Visible>,
    /// Only deleted ones, instead of only those that are not.
    pub deleted: bool,
    /// What this workflow may resolve of what its definition names, and what is scoped to it.
    pub workflow: Option<WorkflowId>,
    /// The environment, exactly.
    pub environment: Option<String>,
    /// One of its labels.
    pub tag: Option<String>,
    /// Who made it.
    pub owner: Option<MemberId>,
    /// Not used since.
    pub unused_since: Option<Timestamp>,
    /// Its value not replaced since.
    pub not_rotated_since: Option<Timestamp>,
}

/// What a member sees in a list.
#[derive(Debug, Clone, Copy)]
pub struct Visible {
    /// The member: what is their own or shared with them is always seen.
    pub member: MemberId,
    /// Whether they see those of the workspace and of workflows.
    pub common: bool,
    /// Whether they see that other members' personal ones exist.
    pub personal: bool,
}

// What stands in brackets after IN depends on no row, and so is read once.
const SHARED: &str = " AND id IN (SELECT credential_id FROM shares WHERE workspace_id = ?)";
// SQLite takes a hundred times as long for a pair of columns before IN.
const REJECTED: &str = "(id IN (SELECT credential_id FROM credential_activity
    WHERE workspace_id = ? AND rejected_at IS NOT NULL)
    AND EXISTS (SELECT 1 FROM credential_activity a WHERE a.rejected_at IS NOT NULL
    AND a.workspace_id = credential_finding.workspace_id
    AND a.credential_id = credential_finding.id AND a.version = credential_finding.version))";
const WORKFLOW: &str = " AND (scope_id = ? OR (scope_kind <> 'workflow' AND key IN (
    SELECT key FROM workflow_keys WHERE workspace_id = ? AND workflow_id = ?)))";
const UNUSED: &str = " AND (last_used_at IS NULL OR last_used_at < ?)";

impl Visible {
    fn narrow(self, workspace: WorkspaceId, select: &mut Select<'_>) {
        if self.common && self.personal {
            return;
        }
        let member = || Value::from(self.member);
        let wider = match (self.common, self.personal) {
            (true, _) => "scope_kind <> 'personal' OR ",
            (_, true) => "scope_kind = 'personal' OR ",
            _ => "",
        };
        let own = "scope_kind = 'personal' AND owner_id = ?) OR id IN (SELECT credential_id
            FROM shares WHERE workspace_id = ? AND sharee IN (?, 'all')))";
        let values = [member(), workspace.into(), member()];
        select.add(&format!(" AND ({wider}({own}"), values);
    }
}

fn labelled(tag: &str) -> String {
    format!("\n{}\n", tag.to_lowercase())
}

impl CredentialFilter {
    /// Key and id of each, in their order, up to one more than the page holds.
    fn pick(
        &self,
        workspace: WorkspaceId,
        page: &Page,
        select: &mut Select<'_>,
    ) -> Result<(), StoreError> {
        let deleted = i64::from(self.deleted);
        let reads_texts = self.q.is_some() || self.tag.is_some();
        let by = if reads_texts { BY_WHOLE_ROW } else { BY_NARROW_ROW };
        select.add("SELECT workspace_id AS w, key AS k, id AS i FROM credential_finding", []);
        select.add(by, []);
        select.add(" WHERE workspace_id = ? AND deleted = ?", [workspace.into(), deleted.into()]);
        if let Some(after) = &page.after {
            let (key, id) = after.rsplit_once('/').ok_or(StoreError::BadCursor)?;
            let id: CredentialId = id.parse().map_err(|_| StoreError::BadCursor)?;
            select.add(" AND (key, id) > (?, ?)", [key.to_owned().into(), id.into()]);
        }
        select.filter(" AND type = ?", self.kind.map(CredentialType::as_str));
        select.filter(" AND scope_kind = ?", self.scope);
        select.filter(" AND environment = ?", self.environment.clone());
        select.filter(" AND owner_id = ?", self.owner);
        select.filter(" AND rotated_at < ?", self.not_rotated_since);
        select.filter(UNUSED, self.unused_since);
        self.at_status(select);
        // The long texts are read only where all of the above fits, and the lists only after them.
        select.filter(" AND strpos(tags, ?) > 0", self.tag.as_deref().map(labelled));
        select.filter(" AND strpos(search, ?) > 0", self.q.as_ref().map(|q| q.to_lowercase()));
        self.as_seen_in_use(workspace, select);
        if let Some(visible) = self.visible_to {
            visible.narrow(workspace, select);
        }
        if self.shared {
            select.add(SHARED, [workspace.into()]);
        }
        if let Some(workflow) = self.workflow {
            select.add(WORKFLOW, [workflow.into(), workspace.into(), workflow.into()]);
        }
        select.add(" ORDER BY key, id LIMIT ?", [page.probe().into()]);
        Ok(())
    }

    /// The picked rows with all `columns` of their heads, and at last the key and id they are
    /// listed by. A head that is gone leaves its cells empty.
    pub(super) fn select(
        &self,
        workspace: WorkspaceId,
        page: &Page,
        columns: &str,
    ) -> Result<Select<'static>, StoreError> {
        let mut select = Select::new(&format!("SELECT {columns}, k, i FROM ("));
        self.pick(workspace, page, &mut select)?;
        let join = ") f LEFT JOIN credentials ON workspace_id = w AND id = i ORDER BY k, i";
        select.add(join, []);
        Ok(select)
    }

    /// As a head's `status_at` has it.
    fn at_status(&self, select: &mut Select<'_>) {
        let Some(status) = self.status else { return };
        let (word, now) = (Value::from(status.as_str()), Value::from(self.now));
        match status {
            Status::Suspended => select.add(" AND status = ?", [word]),
            Status::Expired => select.add(
                " AND (status = ? OR (expires_at <= ? AND status <> 'suspended'))",
                [word, now],
            ),
            Status::Active | Status::ReauthorizationRequired => select
                .add(" AND status = ? AND (expires_at IS NULL OR expires_at > ?)", [word, now]),
            Status::Error => select.add(
                " AND status IN (?, 'active') AND (expires_at IS NULL OR expires_at > ?)",
                [word, now],
            ),
        };
    }

    /// What its service has refused in the current version counts as an error.
    fn as_seen_in_use(&self, workspace: WorkspaceId, select: &mut Select<'_>) {
        match self.status {
            Some(Status::Active) => {
                select.add(&format!(" AND NOT {REJECTED}"), [workspace.into()]);
            }
            Some(Status::Error) => {
                select.add(&format!(" AND (status = 'error' OR {REJECTED})"), [workspace.into()]);
            }
            _ => {}
        }
    }
}
