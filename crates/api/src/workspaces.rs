//! Workspaces: one file per operation, and how a workspace is shown.

mod create;
mod get;
mod list;
mod settings;

use crate::operation::Operation;
use keyward_model::clock::Timestamp;
use keyward_model::id::WorkspaceId;
use keyward_model::tenant::Workspace;
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![list::operation(), create::operation(), get::operation()];
    operations.extend(settings::operations());
    operations
}

/// A workspace.
#[derive(Serialize, JsonSchema)]
struct WorkspaceView {
    id: WorkspaceId,
    /// The short name that URLs may use in place of the id.
    slug: String,
    name: String,
    created_at: Timestamp,
}

fn view(workspace: Workspace) -> WorkspaceView {
    let Workspace { id, slug, name, created_at } = workspace;
    WorkspaceView { id, slug, name, created_at }
}
