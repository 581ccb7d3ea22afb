//! Which credentials a list shows.

use super::LIST;
use crate::error::StoreError;
use crate::page::{Page, Select, contains};
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
    /// `workspace` or `workflow`.
    pub scope: Option<&'static str>,
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
            let named = " AND (scope_id = ? OR (scope_kind = 'workspace' AND EXISTS (
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
            Status::Active | Status::Error => {
                select.add(" AND status = ? AND (expires_at IS NULL OR expires_at > ?)", values)
            }
        };
    }
}
