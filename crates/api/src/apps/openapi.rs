//! `POST /api/v1/workspaces/{workspace}/apps/openapi`

use super::view::AppView;
use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::catalogue::openapi::{
    Choice, MAX_DESCRIPTION_BYTES, OperationSummary, operations, to_manifest,
};
use keyward_model::catalogue::{App, AppSource, Catalogue};
use keyward_model::json::{self, Fault};
use keyward_model::policy::Ability;
use keyward_model::workflow::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What of a description becomes an app.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OpenApiImport {
    /// The description (OpenAPI 3.0 or 3.1): the document, or its text in JSON or YAML.
    description: Value,
    /// The app's id; a dry run may leave it out.
    id: Option<String>,
    /// The app's name; the description's title where this is left out.
    name: Option<String>,
    /// The operations that become actions, by id; all that can be taken over where this is left out.
    operations: Option<Vec<String>>,
    /// Where the service is, in place of what the description says.
    server_url: Option<String>,
    /// True to see the operations and save nothing; with an id, also whether the import would succeed.
    #[serde(default)]
    dry_run: bool,
}

/// What a description holds, and the app that was made of it.
#[derive(Serialize, JsonSchema)]
struct ImportedApp {
    operations: Vec<OperationView>,
    /// Null where nothing was saved.
    app: Option<AppView>,
}

/// An operation of a description.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DescribedOperation")]
struct OperationView {
    id: String,
    method: String,
    path: String,
    summary: String,
    tags: Vec<String>,
    /// Whether an action can do it.
    supported: bool,
    /// Why not, with the place in the description.
    reason: Option<Fault>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/apps/openapi",
        "importOpenApi",
        "Add an app made of an OpenAPI description; a dry run answers 200 with its operations alone.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<OpenApiImport>()
    .answer::<ImportedApp>(201)
    .problems(&["conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    body::Json(sent): body::Json<OpenApiImport>,
) -> Result<(StatusCode, Json<ImportedApp>), Problem> {
    scope.may_do(&api, Ability::ManageCredentials, Action::AppCreated).await?;
    let vault = api.vault().clone();
    let read = super::blocking(move || read(sent, vault.built_in_apps())).await?;
    let (found, app) = read?;
    let operations = found.into_iter().map(shown).collect();
    let Some(app) = app else {
        return Ok((StatusCode::OK, Json(ImportedApp { operations, app: None })));
    };
    let made = super::create::make(&api, &scope, &app, AppSource::Openapi).await?;
    Ok((StatusCode::CREATED, Json(ImportedApp { operations, app: Some(made) })))
}

/// The description's operations and, unless this is a dry run, the app.
fn read(
    sent: OpenApiImport,
    built_in: &Catalogue,
) -> Result<(Vec<OperationSummary>, Option<App>), Problem> {
    let description = document(sent.description)?;
    let found = operations(&description).map_err(in_description)?;
    let app_id = match sent.id {
        Some(id) => id,
        None if sent.dry_run => return Ok((found, None)),
        None => return Err(Problem::fault("/id", "missing", "is needed: the app's id")),
    };
    let choice = Choice {
        app_id,
        name: sent.name,
        operations: sent.operations,
        server_url: sent.server_url,
    };
    let manifest = to_manifest(&description, &choice).map_err(in_description)?;
    let app = App::read_own(&manifest, built_in).map_err(in_description)?;
    Ok((found, Some(app).filter(|_| !sent.dry_run)))
}

/// The description itself: as it was sent, or read from its text.
fn document(sent: Value) -> Result<Value, Problem> {
    let Value::String(text) = sent else { return Ok(sent) };
    if text.len() > MAX_DESCRIPTION_BYTES {
        let detail = format!("a description may have at most {MAX_DESCRIPTION_BYTES} bytes");
        return Err(Problem::new("payload_too_large", detail));
    }
    let bytes = text.as_bytes();
    let read = match text.trim_start().starts_with('{') {
        true => json::parse(bytes).or_else(|fault| yaml::parse(bytes).map_err(|_| fault)),
        false => yaml::parse(bytes),
    };
    read.map_err(|fault| Problem::fault("/description", "invalid_document", fault.to_string()))
}

/// Places in the description, or in the manifest made of it, as places in the body.
fn in_description(faults: Vec<Fault>) -> Problem {
    let placed = |fault: Fault| {
        let pointer = match (fault.code, fault.pointer.as_str()) {
            ("invalid_server_url", _) => "/server_url".to_owned(),
            ("unknown_operation", _) => "/operations".to_owned(),
            (_, own @ ("/id" | "/name")) => own.to_owned(),
            (_, inner) => format!("/description{inner}"),
        };
        Fault { pointer, ..fault }
    };
    Problem::invalid(faults.into_iter().map(placed).collect())
}

fn shown(found: OperationSummary) -> OperationView {
    let OperationSummary { id, method, path, summary, tags, supported } = found;
    let reason = supported.err();
    OperationView { id, method, path, summary, tags, supported: reason.is_none(), reason }
}
