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
use keyward_model::id::RunId;
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
    let workspace = scope.id();
    let read = api.store().read(move |tx| {
        let Some(run) = tx.run(workspace, id)? else { return Ok(None) };
        Ok(Some((run, tx.steps(workspace, id)?)))
    });
    read.await?.ok_or_else(Problem::not_found)
}
