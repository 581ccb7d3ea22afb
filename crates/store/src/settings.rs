//! Settings of workspaces: one tagged row each.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::rewrap::{Signed, signed};
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::id::WorkspaceId;
use keyward_model::settings::WorkspaceSettings;
use keyward_model::tag::Tagged;

statements! {
    INSERT = "INSERT INTO settings (workspace_id, document, revision, tag) VALUES ($1, $2, $3, $4)";
    UPDATE = "UPDATE settings SET document = $2, revision = $3, tag = $4
        WHERE workspace_id = $1 AND revision = $5";
    PUT = "INSERT INTO settings (workspace_id, document, revision, tag) VALUES ($1, $2, $3, $4)
        ON CONFLICT (workspace_id) DO UPDATE SET document = excluded.document,
        revision = excluded.revision, tag = excluded.tag";
    BY_ID = "SELECT workspace_id, document, revision, tag FROM settings WHERE workspace_id = $1";
}

const SELECT: &str = "SELECT workspace_id, document, revision, tag FROM settings ";

pub(crate) const SIGNED: Signed = signed!(WorkspaceSettings, SELECT, [], settings);

fn settings(row: Row) -> Result<Tagged<WorkspaceSettings>, StoreError> {
    let mut cells = Cells::new("settings", row);
    let workspace = cells.parsed()?;
    let settings = serde_json::from_str(&cells.text()?).map_err(|_| cells.corrupt())?;
    let row = WorkspaceSettings { workspace, settings, revision: cells.number()? };
    Ok(Tagged::stored(row, cells.tag()?))
}

impl Reader<'_> {
    /// The workspace's settings.
    pub fn settings(
        &mut self,
        workspace: WorkspaceId,
    ) -> Result<Option<Tagged<WorkspaceSettings>>, StoreError> {
        self.session.one(BY_ID, values![workspace])?.map(settings).transpose()
    }
}

impl Tx<'_> {
    /// Adds the settings of a new workspace.
    pub fn insert_settings(
        &mut self,
        settings: &Tagged<WorkspaceSettings>,
    ) -> Result<(), StoreError> {
        let (row, tag) = settings.parts();
        let values = values![row.workspace, row.document(), row.revision, tag];
        self.session.execute(INSERT, values).map(|_| ()).map_err(|error| error.named("settings"))
    }

    /// Sets settings whose row is gone or was written by somebody else than the server.
    pub fn put_settings(&mut self, settings: &Tagged<WorkspaceSettings>) -> Result<(), StoreError> {
        let (row, tag) = settings.parts();
        let values = values![row.workspace, row.document(), row.revision, tag];
        self.session.execute(PUT, values).map(|_| ())
    }

    /// Replaces settings that are still at revision `expected`; otherwise `Conflict` (`revision`).
    pub fn update_settings(
        &mut self,
        settings: &Tagged<WorkspaceSettings>,
        expected: i64,
    ) -> Result<(), StoreError> {
        let (row, tag) = settings.parts();
        let values = values![row.workspace, row.document(), row.revision, tag, expected];
        match self.session.execute(UPDATE, values)? {
            0 => Err(StoreError::Conflict { what: "revision" }),
            _ => Ok(()),
        }
    }
}
