//! Runs: one file per operation, and how one is shown.

mod cancel;
mod delete;
mod events;
mod get;
mod list;
mod retry;
mod start;
mod view;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use keyward_model::id::{RunId, WorkspaceId};
use keyward_model::run::{Run, Step};

pub(crate) use view::show_seals_in_json;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        start::operation(),
        list::operation(),
        get::operation(),
        delete::operation(),
        retry::operation(),
        cancel::operation(),
        events::operation(),
    ]
}

/// The run that a path names with its steps; `not_found` for anything else.
async fn find(api: &Api, scope: &InWorkspace, id: &str) -> Result<(Run, Vec<Step>), Problem> {
    let id: RunId = id.parse().map_err(|_| Problem::not_found())?;
    read(api, scope.id(), id).await
}

async fn read(api: &Api, workspace: WorkspaceId, id: RunId) -> Result<(Run, Vec<Step>), Problem> {
    let read = api.store().read(move |tx| {
        let Some(run) = tx.run(workspace, id)? else { return Ok(None) };
        Ok(Some((run, tx.steps(workspace, id)?)))
    });
    read.await?.ok_or_else(Problem::not_found)
}

/// Says of an answer that it shows a run: its repetition shows the run as it is then, and keeps no copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShowsRun(pub(crate) RunId);

/// The run as an answer.
fn shown(run: &Run, steps: Vec<Step>) -> Response {
    let mut response = Json(view::view(run, steps)).into_response();
    response.extensions_mut().insert(ShowsRun(run.id));
    response
}

/// The answer that shows a run, once more; `not_found` where it has been deleted.
pub(crate) async fn show_again(
    api: &Api,
    workspace: WorkspaceId,
    id: RunId,
) -> Result<Response, Problem> {
    let (run, steps) = read(api, workspace, id).await?;
    Ok(shown(&run, steps))
}
