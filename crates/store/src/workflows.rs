//! Workflows: tagged heads, versions and allowlists. A trigger is found by its hash in `routes`.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged, Select};
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::credential::Sealed;
use keyward_model::id::{MemberId, WorkflowId, WorkspaceId};
use keyward_model::saved_workflow::{Allowlist, Workflow, WorkflowVersion};
use keyward_model::tag::Tagged;

macro_rules! columns {
    () => {
        "w.workspace_id, w.id, w.name, w.version, w.active, w.owner_id, w.trigger_hash,
        w.trigger_token, w.created_at, w.updated_at, w.revision, w.tag"
    };
}
macro_rules! version_columns {
    () => {
        "workspace_id, workflow_id, version, author_id, definition, compiled, created_at, tag"
    };
}

const LIST: &str = concat!("SELECT ", columns!(), " FROM workflows w ");

pub(crate) const SIGNED: Signed = signed!(Workflow, LIST, ["id"], workflow);
pub(crate) const SIGNED_VERSIONS: Signed = signed!(
    WorkflowVersion,
    concat!("SELECT ", version_columns!(), " FROM workflow_versions "),
    ["workflow_id", "version"],
    version
);
pub(crate) const SIGNED_ALLOWLISTS: Signed = signed!(
    Allowlist,
    "SELECT workspace_id, workflow_id, enabled, keys, tag FROM allowlists ",
    ["workflow_id"],
    allowlist
);

statements! {
    INSERT = "INSERT INTO workflows (workspace_id, id, name, version, active, owner_id,
        trigger_hash, trigger_token, created_at, updated_at, revision, tag)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    UPDATE = "UPDATE workflows SET name = $3, version = $4, active = $5, owner_id = $6,
        trigger_hash = $7, trigger_token = $8, created_at = $9, updated_at = $10, revision = $11,
        tag = $12 WHERE workspace_id = $1 AND id = $2 AND revision = $13";
    DELETE = "DELETE FROM workflows WHERE workspace_id = $1 AND id = $2";
    BY_ID = concat!("SELECT ", columns!(), " FROM workflows w
        WHERE w.workspace_id = $1 AND w.id = $2");
    BY_HOOK = concat!("SELECT ", columns!(), " FROM routes r JOIN workflows w
        ON w.workspace_id = r.workspace_id AND w.id = r.target_id
        WHERE r.kind = 'hook' AND r.hash = $1");
    ADD_ROUTE = "INSERT INTO routes (kind, hash, workspace_id, target_id)
        VALUES ('hook', $1, $2, $3)";
    DELETE_ROUTE = "DELETE FROM routes WHERE kind = 'hook' AND hash = $1";
    INSERT_VERSION = concat!("INSERT INTO workflow_versions (", version_columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    OF_OWNER = concat!("SELECT ", columns!(), " FROM workflows w
        WHERE w.workspace_id = $1 AND w.owner_id = $2 ORDER BY w.id");
    VERSION = concat!("SELECT ", version_columns!(), " FROM workflow_versions
        WHERE workspace_id = $1 AND workflow_id = $2 AND version = $3");
    VERSIONS = concat!("SELECT ", version_columns!(), " FROM workflow_versions
        WHERE workspace_id = $1 AND workflow_id = $2 AND version < $3
        ORDER BY version DESC LIMIT $4");
    DELETE_VERSIONS = "DELETE FROM workflow_versions WHERE workspace_id = $1 AND workflow_id = $2";
    ALLOWLIST = "SELECT workspace_id, workflow_id, enabled, keys, tag FROM allowlists
        WHERE workspace_id = $1 AND workflow_id = $2";
    PUT_ALLOWLIST = "INSERT INTO allowlists (workspace_id, workflow_id, enabled, keys, tag)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace_id, workflow_id) DO UPDATE SET
        enabled = excluded.enabled, keys = excluded.keys, tag = excluded.tag";
    DELETE_ALLOWLIST = "DELETE FROM allowlists WHERE workspace_id = $1 AND workflow_id = $2";
}

fn workflow(row: Row) -> Result<Tagged<Workflow>, StoreError> {
    let mut cells = Cells::new("workflows", row);
    let workflow = Workflow {
        workspace: cells.parsed()?,
        id: cells.parsed()?,
        name: cells.text()?,
        version: cells.number()?,
        active: cells.flag()?,
        owner: cells.parsed()?,
        trigger_hash: cells.tag()?,
        trigger_token: Sealed::from_bytes(cells.bytes()?),
        created_at: cells.time()?,
        updated_at: cells.time()?,
        revision: cells.number()?,
    };
    Ok(Tagged::stored(workflow, cells.tag()?))
}

fn version(row: Row) -> Result<Tagged<WorkflowVersion>, StoreError> {
    let mut cells = Cells::new("workflow_versions", row);
    let version = WorkflowVersion {
        workspace: cells.parsed()?,
        workflow: cells.parsed()?,
        version: cells.number()?,
        author: cells.parsed()?,
        definition: cells.text()?,
        compiled: cells.text()?,
        created_at: cells.time()?,
    };
    Ok(Tagged::stored(version, cells.tag()?))
}

fn allowlist(row: Row) -> Result<Tagged<Allowlist>, StoreError> {
    let mut cells = Cells::new("allowlists", row);
    let allowlist = Allowlist {
        workspace: cells.parsed()?,
        workflow: cells.parsed()?,
        enabled: cells.flag()?,
        keys: cells.text()?.lines().map(str::to_owned).collect(),
    };
    Ok(Tagged::stored(allowlist, cells.tag()?))
}

impl Reader<'_> {
    /// The workflow of that id.
    pub fn workflow(
        &mut self,
        workspace: WorkspaceId,
        id: WorkflowId,
    ) -> Result<Option<Tagged<Workflow>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(workflow).transpose()
    }

    /// The workflow whose trigger token has that hash, in whichever workspace.
    pub fn workflow_by_hook(
        &mut self,
        hash: &[u8; 32],
    ) -> Result<Option<Tagged<Workflow>>, StoreError> {
        self.session.one(BY_HOOK, values![hash])?.map(workflow).transpose()
    }

    /// The workspace's workflows, oldest first.
    pub fn workflows(
        &mut self,
        workspace: WorkspaceId,
        active: Option<bool>,
        page: &Page,
    ) -> Result<Paged<Tagged<Workflow>>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE w.workspace_id = ?", [workspace.into()]);
        select.filter(" AND w.id > ?", page.after::<WorkflowId>()?);
        select.filter(" AND w.active = ?", active);
        select.add(" ORDER BY w.id LIMIT ?", [page.probe().into()]);
        let (sql, values) = select.parts();
        let rows = self.session.query(sql, values)?;
        let items = rows.into_iter().map(workflow).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |found: &Tagged<Workflow>| found.parts().0.id.to_string()))
    }

    /// The workspace's workflows after that id that can be read, for writing their heads anew.
    pub fn workflow_heads(
        &mut self,
        workspace: WorkspaceId,
        after: Option<WorkflowId>,
        limit: u32,
    ) -> Result<Vec<Tagged<Workflow>>, StoreError> {
        let mut select = Select::new(LIST);
        select.add("WHERE w.workspace_id = ?", [workspace.into()]);
        select.filter(" AND w.id > ?", after);
        select.add(" ORDER BY w.id LIMIT ?", [i64::from(limit).into()]);
        let (sql, values) = select.parts();
        let rows = self.session.query(sql, values)?;
        Ok(rows.into_iter().filter_map(|row| workflow(row).ok()).collect())
    }

    /// A member's workflows, oldest first.
    pub fn workflows_of(
        &mut self,
        workspace: WorkspaceId,
        owner: MemberId,
    ) -> Result<Vec<Tagged<Workflow>>, StoreError> {
        let rows = self.session.query(OF_OWNER, values![workspace, owner])?;
        // A row that cannot be read runs as nobody, and must not keep its owner from leaving.
        Ok(rows.into_iter().filter_map(|row| workflow(row).ok()).collect())
    }

    /// A version of a workflow.
    pub fn workflow_version(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        number: i64,
    ) -> Result<Option<Tagged<WorkflowVersion>>, StoreError> {
        let row = self.session.one(VERSION, values![workspace, workflow, number])?;
        row.map(version).transpose()
    }

    /// A workflow's versions, newest first.
    pub fn workflow_versions(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        page: &Page,
    ) -> Result<Paged<Tagged<WorkflowVersion>>, StoreError> {
        let before = page.after::<i64>()?.unwrap_or(i64::MAX);
        let values = values![workspace, workflow, before, page.probe()];
        let rows = self.session.query(VERSIONS, values)?;
        let items = rows.into_iter().map(version).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |found: &Tagged<WorkflowVersion>| {
            found.parts().0.version.to_string()
        }))
    }

    /// A workflow's allowlist; its absence never means that everything is allowed.
    pub fn allowlist(
        &mut self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
    ) -> Result<Option<Tagged<Allowlist>>, StoreError> {
        self.session.one(ALLOWLIST, values![workspace, workflow])?.map(allowlist).transpose()
    }
}

impl Tx<'_> {
    /// Adds a workflow's head and the way from its trigger's hash to it.
    pub fn insert_workflow(&mut self, workflow: &Tagged<Workflow>) -> Result<(), StoreError> {
        let (w, tag) = workflow.parts();
        let (name, token) = (w.name.as_str(), w.trigger_token.as_bytes());
        let (hash, revision) = (&w.trigger_hash, w.revision);
        let values = values![
            w.workspace, w.id, name, w.version, w.active, w.owner, hash, token, w.created_at,
            w.updated_at, revision, tag,
        ];
        self.session.execute(INSERT, values).map_err(|error| error.named("workflow"))?;
        self.add_route(w)
    }

    fn add_route(&mut self, w: &Workflow) -> Result<(), StoreError> {
        let result = self.session.execute(ADD_ROUTE, values![&w.trigger_hash, w.workspace, w.id]);
        result.map(|_| ()).map_err(|error| error.named("trigger"))
    }

    /// Replaces a workflow's head that is still at revision `expected`; otherwise `Conflict`
    /// (`revision`), also where it is gone.
    pub fn update_workflow(
        &mut self,
        workflow: &Tagged<Workflow>,
        expected: i64,
    ) -> Result<(), StoreError> {
        let (w, tag) = workflow.parts();
        let gone = StoreError::Conflict { what: "revision" };
        let before = self.workflow(w.workspace, w.id)?.ok_or_else(|| gone.clone())?;
        let (name, token) = (w.name.as_str(), w.trigger_token.as_bytes());
        let (hash, revision) = (&w.trigger_hash, w.revision);
        let values = values![
            w.workspace, w.id, name, w.version, w.active, w.owner, hash, token, w.created_at,
            w.updated_at, revision, tag, expected,
        ];
        if self.session.execute(UPDATE, values)? == 0 {
            return Err(gone);
        }
        let (before, _) = before.parts();
        if before.trigger_hash == w.trigger_hash {
            return Ok(());
        }
        self.session.execute(DELETE_ROUTE, values![&before.trigger_hash])?;
        self.add_route(w)
    }

    /// Removes a workflow with its versions, allowlist and trigger, but not its runs; false where
    /// there is none.
    pub fn delete_workflow(
        &mut self,
        workspace: WorkspaceId,
        id: WorkflowId,
    ) -> Result<bool, StoreError> {
        let Some(before) = self.workflow(workspace, id)? else { return Ok(false) };
        self.session.execute(DELETE_ROUTE, values![&before.parts().0.trigger_hash])?;
        self.session.execute(DELETE_VERSIONS, values![workspace, id])?;
        self.session.execute(DELETE_ALLOWLIST, values![workspace, id])?;
        self.set_workflow_keys(workspace, id, &[])?;
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }

    /// Adds a version; a number that is taken is `Conflict`.
    pub fn insert_workflow_version(
        &mut self,
        version: &Tagged<WorkflowVersion>,
    ) -> Result<(), StoreError> {
        let (v, tag) = version.parts();
        let (definition, compiled) = (v.definition.as_str(), v.compiled.as_str());
        let values = values![
            v.workspace, v.workflow, v.version, v.author, definition, compiled, v.created_at, tag,
        ];
        let result = self.session.execute(INSERT_VERSION, values);
        result.map(|_| ()).map_err(|error| error.named("version"))
    }

    /// Sets a workflow's allowlist.
    pub fn put_allowlist(&mut self, allowlist: &Tagged<Allowlist>) -> Result<(), StoreError> {
        let (a, tag) = allowlist.parts();
        let values = values![a.workspace, a.workflow, a.enabled, a.keys.join("\n"), tag];
        self.session.execute(PUT_ALLOWLIST, values).map(|_| ())
    }
}
