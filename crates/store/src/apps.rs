//! The apps of a workspace's own: one tagged row each.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::catalogue::{AppSource, WorkspaceApp};
use keyward_model::credential::Details;
use keyward_model::id::WorkspaceId;
use keyward_model::tag::{Tag, Tagged};

macro_rules! columns {
    () => {
        "workspace_id, id, source, author_id, created_at, updated_at, revision, manifest, tag"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM apps ");

pub(crate) const SIGNED: Signed = signed!(WorkspaceApp, SELECT, ["id"], app);

statements! {
    INSERT = concat!("INSERT INTO apps (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    UPDATE = "UPDATE apps SET source = $3, author_id = $4, created_at = $5, updated_at = $6,
        revision = $7, manifest = $8, tag = $9
        WHERE workspace_id = $1 AND id = $2 AND revision = $10";
    DELETE = "DELETE FROM apps WHERE workspace_id = $1 AND id = $2";
    BY_ID = concat!("SELECT ", columns!(), " FROM apps WHERE workspace_id = $1 AND id = $2");
    TAG = "SELECT tag FROM apps WHERE workspace_id = $1 AND id = $2";
    TAGS = "SELECT id, tag FROM apps WHERE workspace_id = $1 ORDER BY id";
    OF_CREDENTIALS = "SELECT details FROM credentials
        WHERE workspace_id = $1 AND deleted_at IS NULL AND details LIKE $2";
    IN_DEFINITIONS = "SELECT v.definition FROM workflows w JOIN workflow_versions v
        ON v.workspace_id = w.workspace_id AND v.workflow_id = w.id AND v.version = w.version
        WHERE w.workspace_id = $1 AND v.definition LIKE $2";
    COUNT = "SELECT CAST(count(*) AS BIGINT) FROM apps WHERE workspace_id = $1";
}

fn app(row: Row) -> Result<Tagged<WorkspaceApp>, StoreError> {
    let mut cells = Cells::new("apps", row);
    let app = WorkspaceApp {
        workspace: cells.parsed()?,
        id: cells.text()?,
        source: cells.word(AppSource::parse)?,
        author: cells.parsed()?,
        created_at: cells.time()?,
        updated_at: cells.time()?,
        revision: cells.number()?,
        manifest: cells.text()?,
    };
    Ok(Tagged::stored(app, cells.tag()?))
}

impl Reader<'_> {
    /// The workspace's own app of that id.
    pub fn app(
        &mut self,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<Option<Tagged<WorkspaceApp>>, StoreError> {
        self.session.one(BY_ID, values![workspace, id])?.map(app).transpose()
    }

    /// That row's tag alone, which differs where anything of it does.
    pub fn app_tag(&mut self, workspace: WorkspaceId, id: &str) -> Result<Option<Tag>, StoreError> {
        let row = self.session.one(TAG, values![workspace, id])?;
        row.map(|row| Cells::new("apps", row).tag()).transpose()
    }

    /// The ids and tags of all of the workspace's own apps, by id; a row whose tag is none is left out.
    pub fn app_tags(&mut self, workspace: WorkspaceId) -> Result<Vec<(String, Tag)>, StoreError> {
        let rows = self.session.query(TAGS, values![workspace])?;
        let read = |row| {
            let mut cells = Cells::new("apps", row);
            Some((cells.text().ok()?, cells.tag().ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// How many apps of its own the workspace has.
    pub fn count_apps(&mut self, workspace: WorkspaceId) -> Result<i64, StoreError> {
        let row = self.session.one(COUNT, values![workspace])?;
        row.map_or(Ok(0), |row| Cells::new("apps", row).number())
    }

    /// What may depend on an app: how many credentials are for it, and the current definitions that
    /// hold its id anywhere.
    pub fn users_of_app(
        &mut self,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<(usize, Vec<String>), StoreError> {
        // `_` stands for any character in a pattern, so what is found is looked at again.
        let named = format!("%\"app\":\"{id}\"%");
        let details = self.session.query(OF_CREDENTIALS, values![workspace, named])?;
        let is_of = |row| {
            let text = Cells::new("credentials", row).text().ok()?;
            let details: Details = serde_json::from_str(&text).ok()?;
            (details.app.as_deref() == Some(id)).then_some(())
        };
        let credentials = details.into_iter().filter_map(is_of).count();
        let rows = self.session.query(IN_DEFINITIONS, values![workspace, format!("%{id}%")])?;
        let text = |row| Cells::new("workflow_versions", row).text();
        let texts: Result<Vec<_>, _> = rows.into_iter().map(text).collect();
        Ok((credentials, texts?))
    }
}

impl Tx<'_> {
    /// Adds an app; `Conflict` (`app id`) where there is one of that id.
    pub fn insert_app(&mut self, app: &Tagged<WorkspaceApp>) -> Result<(), StoreError> {
        let (a, tag) = app.parts();
        let (id, manifest) = (a.id.as_str(), a.manifest.as_str());
        let source = a.source.as_str();
        let values = values![
            a.workspace, id, source, a.author, a.created_at, a.updated_at, a.revision, manifest,
            tag
        ];
        self.session.execute(INSERT, values).map(|_| ()).map_err(|error| error.named("app id"))
    }

    /// Replaces an app that is still at revision `expected`; otherwise `Conflict` (`revision`).
    pub fn update_app(
        &mut self,
        app: &Tagged<WorkspaceApp>,
        expected: i64,
    ) -> Result<(), StoreError> {
        let (a, tag) = app.parts();
        let (id, manifest) = (a.id.as_str(), a.manifest.as_str());
        let source = a.source.as_str();
        let values = values![
            a.workspace, id, source, a.author, a.created_at, a.updated_at, a.revision, manifest,
            tag, expected
        ];
        match self.session.execute(UPDATE, values)? {
            0 => Err(StoreError::Conflict { what: "revision" }),
            _ => Ok(()),
        }
    }

    /// Deletes an app; false where there is none.
    pub fn delete_app(&mut self, workspace: WorkspaceId, id: &str) -> Result<bool, StoreError> {
        Ok(self.session.execute(DELETE, values![workspace, id])? > 0)
    }
}
