//! Apps: those that come with the server and a workspace's own. One file per operation.

mod create;
mod delete;
mod get;
mod list;
mod openapi;
mod replace;
mod view;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use keyward_model::catalogue::{App, AppSource, ManifestFault, WorkspaceApp};
use keyward_model::json::Fault;
use serde_json::Value;

pub(crate) fn operations() -> Vec<Operation> {
    let [built_in, all] = list::operations();
    vec![
        built_in,
        all,
        create::operation(),
        openapi::operation(),
        get::operation(),
        replace::operation(),
        delete::operation(),
    ]
}

/// `GET /api/app.schema.json`
pub(crate) async fn schema() -> Json<Value> {
    Json(keyward_model::catalogue::manifest_schema())
}

/// The manifest that was sent, checked; `validation_failed` with the line of each mistake otherwise.
/// Where `id` says so, it must be of the app of that id.
async fn checked(api: &Api, text: String, id: Option<String>) -> Result<App, Problem> {
    let vault = api.vault().clone();
    let work = move || App::parse_own(&text, vault.built_in_apps(), id.as_deref());
    let told = |fault: ManifestFault| {
        let detail = format!("line {}: {}", fault.line, fault.fault.detail);
        Fault { detail, ..fault.fault }
    };
    let read = blocking(work).await?;
    read.map_err(|faults| Problem::invalid(faults.into_iter().map(told).collect()))
}

/// Reading a large document takes its time, which others must not wait for.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a document was not read to its end");
        Problem::new("internal", "the server failed; its log says more")
    })
}

/// The row of a new app.
fn row(
    api: &Api,
    scope: &InWorkspace,
    app: &App,
    source: AppSource,
) -> Result<WorkspaceApp, Problem> {
    let now = api.vault().now();
    let manifest = serde_json::to_string(&app.manifest).map_err(|error| {
        tracing::error!(%error, "a manifest cannot be written");
        Problem::new("internal", "the server failed; its log says more")
    })?;
    Ok(WorkspaceApp {
        workspace: scope.id(),
        id: app.id().to_owned(),
        manifest,
        source,
        author: scope.caller.member,
        created_at: now,
        updated_at: now,
        revision: 1,
    })
}

/// Fails where an app of that id comes with the server: nobody changes those.
fn refuse_built_in(api: &Api, id: &str) -> Result<(), Problem> {
    match api.vault().built_in_apps().get(id) {
        None => Ok(()),
        Some(_) => {
            Err(Problem::new("conflict", "this app comes with the server and stays as it is"))
        }
    }
}

/// The workspace's own app that a path names, its tag checked; `not_found` for anything else.
async fn find(api: &Api, scope: &InWorkspace, id: &str) -> Result<WorkspaceApp, Problem> {
    api.vault().own_app(scope.id(), id).await?.ok_or_else(Problem::not_found)
}
