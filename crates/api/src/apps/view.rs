//! How an app is shown: all that a form needs.

use keyward_model::catalogue::{App, AppSource, Field, Protocol, WorkspaceApp, manifest};
use keyward_model::clock::Timestamp;
use keyward_model::credential::CredentialType;
use keyward_model::id::MemberId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// An app.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AppView {
    id: String,
    name: String,
    description: String,
    /// An SVG picture as text, for showing as a picture only.
    icon: Option<String>,
    /// Where its interface is documented.
    docs: Option<String>,
    /// Where the service says whether it is well.
    status_page: Option<String>,
    protocol: Protocol,
    /// Whether it is the workspace's own; the others come with the server.
    own: bool,
    /// Of an own app: who saved it, and when.
    saved: Option<SavedView>,
    /// Where the credentials of any of its schemes may go.
    hosts: Vec<String>,
    schemes: Vec<SchemeView>,
    actions: Vec<ActionView>,
}

/// Who saved an own app, and when.
#[derive(Serialize, JsonSchema)]
struct SavedView {
    source: AppSource,
    author: MemberId,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: i64,
}

/// A way to authenticate to an app.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AppSchemeView")]
struct SchemeView {
    id: String,
    name: String,
    description: Option<String>,
    #[serde(rename = "type")]
    kind: CredentialType,
    fields: Vec<Field>,
    /// Where its credentials may go; `{{ field }}` stands for a plain field's value.
    hosts: Vec<String>,
    /// Whether a credential of it can be tested.
    has_test: bool,
}

/// Something that a step can do with an app.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AppActionView")]
struct ActionView {
    id: String,
    name: String,
    description: Option<String>,
    /// Where the vendor documents it.
    docs: Option<String>,
    /// Whether it only reads.
    reads: bool,
    /// The schemes that it works with, by id; all where none is named.
    schemes: Vec<String>,
    /// The JSON Schema of its inputs.
    inputs: Value,
    /// Paths of its output below which every text is secret.
    secret_outputs: Vec<String>,
    /// Paths below those that are plain all the same.
    plain_outputs: Vec<String>,
    /// Inputs that work.
    example: Map<String, Value>,
}

/// An app that comes with the server, or the workspace's own with its row.
pub(super) fn view(app: &App, row: Option<&WorkspaceApp>) -> AppView {
    let manifest = &app.manifest;
    let mut hosts = Vec::new();
    for host in manifest.schemes.iter().flat_map(|scheme| &scheme.hosts) {
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }
    AppView {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        description: manifest.description.clone(),
        icon: manifest.icon.clone(),
        docs: manifest.docs.clone(),
        status_page: manifest.status_page.clone(),
        protocol: manifest.protocol,
        own: row.is_some(),
        saved: row.map(saved),
        hosts,
        schemes: manifest.schemes.iter().map(scheme).collect(),
        actions: manifest.actions.iter().map(action).collect(),
    }
}

fn saved(row: &WorkspaceApp) -> SavedView {
    SavedView {
        source: row.source,
        author: row.author,
        created_at: row.created_at,
        updated_at: row.updated_at,
        revision: row.revision,
    }
}

fn scheme(scheme: &manifest::Scheme) -> SchemeView {
    SchemeView {
        id: scheme.id.clone(),
        name: scheme.name.clone(),
        description: scheme.description.clone(),
        kind: scheme.kind,
        fields: scheme.fields.clone(),
        hosts: scheme.hosts.clone(),
        has_test: scheme.test.is_some(),
    }
}

fn action(action: &manifest::Action) -> ActionView {
    ActionView {
        id: action.id.clone(),
        name: action.name.clone(),
        description: action.description.clone(),
        docs: action.docs.clone(),
        reads: action.reads,
        schemes: action.schemes.clone(),
        inputs: action.inputs.clone(),
        secret_outputs: action.secret_outputs.clone(),
        plain_outputs: action.plain_outputs.clone(),
        example: action.example.clone(),
    }
}
