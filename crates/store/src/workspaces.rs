//! Workspaces, the tenants.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::page::{Page, Paged};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::id::WorkspaceId;
use keyward_model::tenant::Workspace;

statements! {
    INSERT = "INSERT INTO workspaces (id, slug, name, created_at, revision)
        VALUES ($1, $2, $3, $4, 1)";
    BY_ID = "SELECT id, slug, name, created_at FROM workspaces WHERE id = $1";
    BY_SLUG = "SELECT id, slug, name, created_at FROM workspaces WHERE slug = $1";
    LIST = "SELECT id, slug, name, created_at FROM workspaces WHERE id > $1 ORDER BY id LIMIT $2";
}

fn workspace(row: Row) -> Result<Workspace, StoreError> {
    let mut cells = Cells::new("workspaces", row);
    Ok(Workspace {
        id: cells.parsed()?,
        slug: cells.text()?,
        name: cells.text()?,
        created_at: cells.time()?,
    })
}

impl Reader<'_> {
    /// The workspace of that id.
    pub fn workspace(&mut self, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.session.one(BY_ID, values![id])?.map(workspace).transpose()
    }

    /// The workspace of that slug.
    pub fn workspace_by_slug(&mut self, slug: &str) -> Result<Option<Workspace>, StoreError> {
        self.session.one(BY_SLUG, values![slug])?.map(workspace).transpose()
    }

    /// All workspaces, oldest first.
    pub fn workspaces(&mut self, page: &Page) -> Result<Paged<Workspace>, StoreError> {
        let after = page.after::<WorkspaceId>()?.map(|id| id.to_string()).unwrap_or_default();
        let rows = self.session.query(LIST, values![after, page.probe()])?;
        let items = rows.into_iter().map(workspace).collect::<Result<_, _>>()?;
        Ok(Paged::cut(items, page, |workspace: &Workspace| workspace.id.to_string()))
    }
}

impl Tx<'_> {
    /// Adds a workspace; a slug that is taken is `Conflict`.
    pub fn insert_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError> {
        let Workspace { id, slug, name, created_at } = workspace;
        let values = values![*id, slug.as_str(), name.as_str(), *created_at];
        self.session.execute(INSERT, values).map_err(|error| error.named("slug"))?;
        Ok(())
    }
}
