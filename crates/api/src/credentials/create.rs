//! `POST /api/v1/workspaces/{workspace}/credentials`

use super::Saved;
use super::access::event;
use super::fields::{Fields, Form};
use super::patch::check_bound;
use super::sent::{Members, Sent, SentScope};
use super::settings::{check_template, set_fields};
use super::view::view;
use super::{form, links};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::credential::{CodeAccess, Credential, CredentialType, Details, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::WorkflowId;
use keyward_model::json::Fault;
use keyward_model::permission::may_create;
use keyward_model::policy::{Ability, may};
use keyward_model::workflow::CredentialKey;
use keyward_store::{Audited, Tx};
use schemars::{JsonSchema, Schema, SchemaGenerator};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials",
        "createCredential",
        "Save a new credential; its secret values are never given out again.",
        Access::Member(Ability::CreateCredentials),
        handle,
    )
    .body::<NewCredential>()
    .answer::<Saved>(201)
    .problems(&["conflict", "value_too_large"])
}

/// Describes the body: what can be changed, and what a new credential needs.
struct NewCredential;

impl JsonSchema for NewCredential {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NewCredential".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Members::json_schema(generator);
        schema.insert("required".into(), serde_json::json!(["key", "fields"]));
        schema
    }
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Sent { body, fields }: Sent<Members>,
) -> Result<impl IntoResponse, Problem> {
    scope.may_do(&api, Ability::CreateCredentials, Action::CredentialCreated).await?;
    let settings = super::settings(&api, &scope).await?;
    let mut faults = Vec::new();
    let mut credential = blank(&api, &scope);
    credential.key = key(body.key.as_deref(), &mut faults);
    credential.details.name = credential.key.clone();
    let form = form::of_new(&api, &scope, &body, fields.as_ref(), &mut faults).await?;
    match (&form, &body.app) {
        (Some(Form::Type(kind)), _) => credential.kind = *kind,
        (Some(Form::Scheme(scheme)), Some(app)) => form::adopt(&mut credential, app, scheme),
        _ => {}
    }
    credential.scope = home(&api, &scope, body.scope.as_ref(), &mut faults).await?;
    if !may_create(scope.caller.role, credential.scope, &settings) {
        let detail = "your role makes personal credentials only; say {\"kind\":\"personal\"}";
        let problem = Problem::new("forbidden", detail);
        return Err(scope.refused(&api, Action::CredentialCreated, problem).await);
    }
    let fields = match (fields, form.clone()) {
        (None, _) => Err(vec![Fault::new("/fields", "missing", "is needed")]),
        (Some(mut given), None) => Err(given.take_faults()),
        (Some(given), Some(form)) => given.merge(form, None),
    };
    let hosts_sent = body.hosts.is_some();
    body.apply(&mut credential, &mut faults);
    let fields = fields.unwrap_or_else(|found| {
        faults.extend(found);
        Fields::default()
    });
    set_fields(&mut credential, &fields);
    if let Some(Form::Scheme(scheme)) = form.as_ref().filter(|_| faults.is_empty()) {
        form::bind(&mut credential, scheme, &fields, hosts_sent, &mut faults);
    }
    if faults.is_empty() {
        links::check(&api, &scope, &credential, &mut faults).await?;
        check_template(&credential, &mut faults);
        check_bound(&credential, &credential, &settings, &mut faults);
    }
    if !faults.is_empty() {
        return Err(super::refused(faults));
    }
    let warnings = form.map(|form| form.warnings(&fields)).unwrap_or_default();
    save(&api, &scope, &credential, fields).await?;
    let credential = view(&api, &scope, &credential).await?;
    Ok((StatusCode::CREATED, Json(Saved { credential, warnings })))
}

async fn save(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    fields: Fields,
) -> Result<(), Problem> {
    let version = api.vault().seal_version(credential, &fields.secret).await?;
    let head = api.vault().sign(credential.workspace, credential.clone()).await?;
    let event = event(api, scope, credential, Action::CredentialCreated);
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_credential(&head)?;
        tx.insert_credential_version(&version)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(())
}

/// A credential with nothing but its defaults.
pub(super) fn blank(api: &Api, scope: &InWorkspace) -> Credential {
    let now = api.vault().now();
    Credential {
        workspace: scope.id(),
        id: api.vault().fresh(),
        key: String::new(),
        kind: CredentialType::Custom,
        scope: Scope::Workspace,
        lifecycle: Default::default(),
        policy: EgressPolicy::default(),
        code_access: CodeAccess::Sealed,
        details: Details::default(),
        version: 1,
        status: Status::Active,
        status_reason: None,
        owner: scope.caller.member,
        created_at: now,
        updated_at: now,
        rotated_at: now,
        expires_at: None,
        revision: 1,
    }
}

fn key(sent: Option<&str>, faults: &mut Vec<Fault>) -> String {
    let Some(sent) = sent else {
        faults.push(Fault::new("/key", "missing", "is needed"));
        return String::new();
    };
    match CredentialKey::parse(sent) {
        Ok(key) => key.as_str().to_owned(),
        Err(error) => {
            faults.push(Fault::new("/key", "invalid_value", error.to_string()));
            String::new()
        }
    }
}

/// Where it shall count.
pub(super) async fn home(
    api: &Api,
    scope: &InWorkspace,
    sent: Option<&SentScope>,
    faults: &mut Vec<Fault>,
) -> Result<Scope, Problem> {
    let personal = Scope::Personal(scope.caller.member);
    let Some(sent) = sent else {
        let common = may(scope.caller.role, Ability::ManageCredentials);
        return Ok(if common { Scope::Workspace } else { personal });
    };
    let fault = match (sent.kind.as_str(), &sent.workflow) {
        ("workspace", None) => return Ok(Scope::Workspace),
        ("personal", None) => return Ok(personal),
        ("workflow", Some(id)) => match workflow(api, scope, id).await? {
            Some(id) => return Ok(Scope::Workflow(id)),
            None => ("/scope/workflow", "invalid_value", "there is no such workflow"),
        },
        ("workflow", None) => ("/scope/workflow", "missing", "say which workflow"),
        ("workspace" | "personal", Some(_)) => {
            ("/scope/workflow", "invalid_value", "goes with the kind `workflow` only")
        }
        _ => ("/scope/kind", "invalid_value", "must be one of: workspace, workflow, personal"),
    };
    let (pointer, code, detail) = fault;
    faults.push(Fault::new(pointer, code, detail));
    Ok(Scope::Workspace)
}

async fn workflow(api: &Api, scope: &InWorkspace, id: &str) -> Result<Option<WorkflowId>, Problem> {
    let Ok(id) = id.parse::<WorkflowId>() else { return Ok(None) };
    let workspace = scope.id();
    let found = api.store().read(move |tx| tx.workflow(workspace, id)).await?;
    Ok(found.map(|_| id))
}
