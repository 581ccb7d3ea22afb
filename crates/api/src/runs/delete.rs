//! `DELETE /api/v1/workspaces/{workspace}/runs/{id}`

use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::policy::Ability;
use keyward_model::run::outcome;
use keyward_store::{Audited, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/v1/workspaces/{workspace}/runs/{id}",
        "deleteRun",
        "Delete a run that has ended; the audit trail keeps what it used and how it ended.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    scope.may(Ability::EditWorkflows)?;
    let (run, _) = super::find(&api, &scope, &id).await?;
    if !run.status.is_final() {
        return Err(Problem::new("conflict", "the run is under way; cancel it first"));
    }
    let mut event = scope.event(&api, Action::RunDeleted);
    (event.workflow, event.run, event.step) = (Some(run.workflow), Some(run.id), run.error_step);
    event.reason = outcome(run.status, run.error.map(|error| error.code));
    let write = move |tx: &mut Tx<'_>| {
        tx.delete_run(run.workspace, run.id)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    api.engine().scrub().await;
    Ok(StatusCode::NO_CONTENT)
}
