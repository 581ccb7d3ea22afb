//! Which credentials a list shows.

use super::LIST;
use crate::error::StoreError;
use crate::page::{Page, Select, contains};
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

const SET: &str = " AND deleted_at IS NOT NULL";
const UNSET: &str = " AND deleted_at IS NULL";
const SHARED: &str = " AND EXISTS (SELECT 1 FROM shares s
    WHERE s.workspace_id = credentials.workspace_id AND s.credential_id = credentials.id)";
/// What the service has refused in the current version counts as an error.
const REJECTED: &str = " AND (status = ? OR (status = 'active' AND EXISTS (
    SELECT 1 FROM credential_activity a WHERE a.workspace_id = credentials.workspace_id
    AND a.credential_id = credentials.id AND a.version = credentials.version
    AND a.rejected_at IS NOT NULL)))";
const ACCEPTED: &str = " AND status = ? AND NOT EXISTS (
    SELECT 1 FROM credential_activity a WHERE a.workspace_id = credentials.workspace_id
    AND a.credential_id = credentials.id AND a.version = credentials.version
    AND a.rejected_at IS NOT NULL)";

impl Visible {
    fn narrow(self, select: &mut Select<'_>) {
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
            FROM shares WHERE workspace_id = credentials.workspace_id AND sharee IN (?, 'all')))";
        select.add(&format!(" AND ({wider}({own}"), [member(), member()]);
    }
}

fn labelled(tag: &String) -> String {
    contains(&format!("\n{tag}\n"))
}

impl CredentialFilter {
    pub(super) fn select(
        &self,
        workspace: WorkspaceId,
        page: &Page,
    ) -> Result<Select<'_>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE workspace_id = ?", [workspace.into()]);
        select.add(if self.deleted { SET } else { UNSET }, []);
        if let Some(visible) = self.visible_to {
            visible.narrow(&mut select);
        }
        if self.shared {
            select.add(SHARED, []);
        }
        if let Some(after) = &page.after {
            let (key, id) = after.rsplit_once('/').ok_or(StoreError::BadCursor)?;
            let id: CredentialId = id.parse().map_err(|_| StoreError::BadCursor)?;
            select.add(" AND (key, id) > (?, ?)", [key.to_owned().into(), id.into()]);
        }
        let like = |text: &String| contains(text);
        select.filter(r" AND search LIKE ? ESCAPE '\'", self.q.as_ref().map(like));
        select.filter(" AND type = ?", self.kind.map(CredentialType::as_str));
        select.filter(" AND scope_kind = ?", self.scope);
        select.filter(" AND environment = ?", self.environment.as_deref());
        select.filter(r" AND tags LIKE ? ESCAPE '\'", self.tag.as_ref().map(labelled));
        select.filter(" AND owner_id = ?", self.owner);
        select.filter(" AND rotated_at < ?", self.not_rotated_since);
        self.at_status(&mut select);
        if let Some(workflow) = self.workflow {
            let named = " AND (scope_id = ? OR (scope_kind <> 'workflow' AND EXISTS (
                SELECT 1 FROM workflow_keys k WHERE k.workspace_id = credentials.workspace_id
                AND k.workflow_id = ? AND k.key = credentials.key)))";
            select.add(named, [workflow.into(), workflow.into()]);
        }
        let unused = " AND NOT EXISTS (SELECT 1 FROM credential_uses u
            WHERE u.workspace_id = credentials.workspace_id
            AND u.credential_id = credentials.id AND u.last_used_at >= ?)";
        select.filter(unused, self.unused_since);
        select.add(" ORDER BY key, id LIMIT ?", [page.probe().into()]);
        Ok(select)
    }

    fn at_status(&self, select: &mut Select<'_>) {
        let Some(status) = self.status else { return };
        let values = [status.as_str().into(), self.now.into()];
        match status {
            Status::Expired => select.add(" AND (status = ? OR expires_at <= ?)", values),
            Status::Suspended | Status::ReauthorizationRequired => {
                select.add(" AND status = ?", [status.as_str().into()])
            }
            Status::Active | Status::Error => {
                let [status, now] = values;
                let rejected = if self.status == Some(Status::Error) { REJECTED } else { ACCEPTED };
                select.add(rejected, [status]);
                select.add(" AND (expires_at IS NULL OR expires_at > ?)", [now])
            }
        };
    }
}
