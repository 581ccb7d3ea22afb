//! `POST /api/v1/workspaces/{workspace}/workflows/import`

use super::behind::Behind;
use super::create::make;
use super::view::WorkflowView;
use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::json::{Fault, child};
use keyward_model::policy::{Ability, may};
use keyward_model::workflow::{CredentialKey, MAX_BYTES, yaml};
use keyward_store::{CredentialFilter, Listed, Page, Visible};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How many keys are told for each that has no binding.
const CANDIDATES: u32 = 10;
/// For how many they are looked for; a definition may name thousands.
const MOST_TOLD: usize = 50;

/// A definition from elsewhere, and which credential here stands for each that it names.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewImport {
    /// The definition as JSON.
    definition: Option<Value>,
    /// The definition as YAML, instead.
    yaml: Option<String>,
    /// For each key that it names, the key of a credential that you may use.
    #[serde(default)]
    bindings: BTreeMap<String, String>,
    /// Whether its trigger takes events at once; not if not said.
    #[serde(default)]
    active: bool,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/workflows/import",
        "importWorkflow",
        "Save a workflow from elsewhere, each key that it names bound to one of yours.",
        Access::Member(Ability::EditWorkflows),
        handle,
    )
    .body::<NewImport>()
    .answer::<WorkflowView>(201)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    body::Json(body): body::Json<NewImport>,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::EditWorkflows, Action::WorkflowImported).await?;
    let NewImport { definition, yaml, bindings, active } = body;
    let document = document(definition, yaml)?;
    let named: BTreeSet<String> = api
        .engine()
        .check(scope.id(), &document)
        .await?
        .keys
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    check_bindings(&api, &scope, &named, &bindings).await?;
    let document = api.engine().rename_keys(&document, &bindings).await?;
    let checked = api.engine().check(scope.id(), &document).await?;
    // What the names were put into is read once more: it names what was asked for, or nothing is saved.
    let names: BTreeSet<&String> = checked.keys.iter().map(|(key, _)| key).collect();
    if names != named.iter().filter_map(|key| bindings.get(key)).collect() {
        let detail = "a key in its code cannot be replaced; change the code, or make a credential \
            of the key that it names";
        return Err(Problem::fault("/bindings", "not_replaceable", detail));
    }
    let made = make(&api, &scope, document, checked, active, Action::WorkflowImported).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

fn document(definition: Option<Value>, yaml: Option<String>) -> Result<Value, Problem> {
    let document = match (definition, yaml) {
        (Some(definition), None) => definition,
        (None, Some(text)) => yaml::parse(text.as_bytes())
            .map_err(|fault| Problem::fault("/yaml", "invalid_yaml", fault.to_string()))?,
        _ => {
            let detail = "send either `definition` or `yaml`";
            return Err(Problem::fault("/definition", "missing", detail));
        }
    };
    if document.to_string().len() > MAX_BYTES {
        let detail = format!("a definition may have at most {MAX_BYTES} bytes");
        return Err(Problem::new("payload_too_large", detail));
    }
    Ok(document)
}

/// Every key has a binding, and every binding leads to something that the caller may use.
async fn check_bindings(
    api: &Api,
    scope: &InWorkspace,
    named: &BTreeSet<String>,
    bindings: &BTreeMap<String, String>,
) -> Result<(), Problem> {
    let (mut faults, mut candidates) = (Vec::new(), Map::new());
    for key in named {
        let (code, detail) = match bindings.get(key) {
            Some(to) if CredentialKey::parse(to).is_err() => {
                ("invalid_key", "is no key".to_owned())
            }
            Some(to) if usable(api, scope, to).await? => continue,
            Some(_) => ("unknown_key", "you may use no credential of that key".to_owned()),
            None => ("missing", "bind it to the key of a credential that you may use".to_owned()),
        };
        let keys = match faults.len() < MOST_TOLD {
            true => candidates_of(api, scope, key).await?,
            false => Vec::new(),
        };
        let told = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
        faults.push(Fault::new(format!("/bindings/{key}"), code, detail + &told));
        candidates.insert(key.clone(), keys.into());
    }
    for key in bindings.keys().filter(|key| !named.contains(*key)) {
        faults.push(Fault::new(
            child("/bindings", key),
            "unknown_key",
            "the definition does not name this key",
        ));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Problem::invalid(faults).with("candidates", Value::Object(candidates))),
    }
}

/// Whether a new workflow of the caller's would get a credential for that key.
async fn usable(api: &Api, scope: &InWorkspace, key: &str) -> Result<bool, Problem> {
    let behind = Behind::read(api, scope.id(), key).await?;
    Ok(behind.nearest(api.vault().fresh(), scope.caller.member).is_some())
}

/// Keys of the caller's that may be meant: those that begin alike, or else the first ones.
async fn candidates_of(api: &Api, scope: &InWorkspace, key: &str) -> Result<Vec<String>, Problem> {
    let first = key.split(['_', '.', '-']).next().unwrap_or_default().to_owned();
    for q in [Some(first), None] {
        let visible = Visible {
            member: scope.caller.member,
            common: may(scope.caller.role, Ability::ListCredentials),
            personal: false,
        };
        let now = api.vault().now();
        let filter = CredentialFilter { q, now, visible_to: Some(visible), ..Default::default() };
        let workspace = scope.id();
        let read = api
            .store()
            .read(move |tx| tx.credentials(workspace, &filter, &Page::first(CANDIDATES)));
        let mut keys = Vec::new();
        for listed in read.await?.items {
            let Listed::Row(row) = listed else { continue };
            let Ok(credential) = api.vault().verify(workspace, row).await else { continue };
            let key = credential.key;
            if !keys.contains(&key) && usable(api, scope, &key).await? {
                keys.push(key);
            }
        }
        if !keys.is_empty() {
            return Ok(keys);
        }
    }
    Ok(Vec::new())
}
