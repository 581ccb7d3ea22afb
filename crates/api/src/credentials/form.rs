//! Which fields a credential has: by its type, or by the scheme of its app; and what an app says of
//! its credentials when they are made.

use super::fields::{Fields, Form, Given};
use super::sent::Members;
use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::catalogue::{App, Scheme};
use keyward_model::credential::{Credential, CredentialType};
use keyward_model::destination::EgressPolicy;
use keyward_model::json::Fault;
use std::sync::Arc;

/// The form of a credential that is there.
pub(super) async fn of(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
) -> Result<Form, Problem> {
    let details = &credential.details;
    let Some(id) = &details.app else { return Ok(Form::Type(credential.kind)) };
    let app = api.vault().app(scope.id(), id).await?;
    let scheme = app.as_ref().and_then(|app| app.scheme(details.scheme.as_deref()));
    scheme.map(|scheme| Form::Scheme(Box::new(scheme.manifest.clone()))).ok_or_else(|| {
        let detail = "the credential's app, or its scheme, is not there any more";
        Problem::new("conflict", detail)
    })
}

/// The form that a new credential is sent in; where the app has several schemes and none is named, the
/// one whose fields were sent.
pub(super) async fn of_new(
    api: &Api,
    scope: &InWorkspace,
    body: &Members,
    given: Option<&Given>,
    faults: &mut Vec<Fault>,
) -> Result<Option<Form>, Problem> {
    let Some(id) = &body.app else {
        if body.scheme.is_some() {
            faults.push(Fault::new("/scheme", "invalid_value", "goes with an app only"));
        }
        return Ok(kind(body, faults).map(Form::Type));
    };
    let Some(app) = api.vault().app(scope.id(), id).await? else {
        let detail = "there is no such app; give `type` and `fields`, or one of GET .../apps";
        faults.push(Fault::new("/app", "unknown_app", detail));
        return Ok(None);
    };
    let Some(scheme) = scheme(&app, body.scheme.as_deref(), given) else {
        let known: Vec<&str> = app.manifest.schemes.iter().map(|s| s.id.as_str()).collect();
        let detail = format!("must be one of: {}", known.join(", "));
        let code = if body.scheme.is_some() { "invalid_value" } else { "missing" };
        faults.push(Fault::new("/scheme", code, detail));
        return Ok(None);
    };
    if body.kind.as_deref().is_some_and(|kind| kind != scheme.kind.as_str()) {
        let detail = format!("the scheme's credentials are of type {}", scheme.kind.as_str());
        faults.push(Fault::new("/type", "invalid_value", detail));
    }
    Ok(Some(Form::Scheme(Box::new(scheme.clone()))))
}

fn scheme<'a>(app: &'a Arc<App>, id: Option<&str>, given: Option<&Given>) -> Option<&'a Scheme> {
    if id.is_some() || app.manifest.schemes.len() == 1 {
        return app.scheme(id).map(|scheme| scheme.manifest);
    }
    let names: Vec<&str> = given.map(|given| given.names().collect()).unwrap_or_default();
    let fits = |scheme: &&Scheme| {
        let needed = |name: &str| names.contains(&name);
        let has_needed = scheme
            .fields
            .iter()
            .all(|field| !field.required || field.default.is_some() || needed(&field.name));
        has_needed && names.iter().all(|name| scheme.field(name).is_some())
    };
    let mut fitting = app.manifest.schemes.iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none())
}

/// The type, where there is no app. OAuth is not there yet.
fn kind(body: &Members, faults: &mut Vec<Fault>) -> Option<CredentialType> {
    let (code, detail) = match body.kind.as_deref() {
        Some("oauth2") => ("not_available", "oauth2 is not available yet"),
        Some(word) => match CredentialType::parse(word) {
            Some(kind) => return Some(kind),
            None => ("invalid_value", "must be one of: api_key, basic, custom"),
        },
        None => ("missing", "is needed"),
    };
    faults.push(Fault::new("/type", code, detail));
    None
}

/// Writes what the app says into a new credential.
pub(super) fn adopt(credential: &mut Credential, app: &str, scheme: &Scheme) {
    credential.kind = scheme.kind;
    credential.details.app = Some(app.to_owned());
    credential.details.scheme = Some(scheme.id.clone());
    credential.details.template = keyward_vault::template(&scheme.attach);
}

/// Binds a credential of an app: to the app's hosts, or within them. `hosts_sent` says whether a
/// person named hosts; `before` is what the fields said until now.
pub(super) fn bind(
    credential: &mut Credential,
    scheme: &Scheme,
    fields: &Fields,
    hosts_sent: bool,
    faults: &mut Vec<Fault>,
) {
    let hosts = scheme.hosts_for(&fields.plain);
    let (sent, methods, paths, places) = credential.policy.lists();
    let places = if places.is_empty() { &scheme.places } else { places };
    let whole = EgressPolicy::parse(&hosts, &[], &[], &scheme.places);
    let wanted = if hosts_sent { &sent } else { &hosts };
    let policy = EgressPolicy::parse(wanted, methods, paths, places);
    let (Ok(whole), Ok(policy)) = (whole, policy) else {
        let detail = "the fields do not give a host that a credential can be bound to";
        return faults.push(Fault::new("/fields", "invalid_value", detail));
    };
    if hosts_sent && !whole.covers(&policy) {
        let detail = format!("the app's credentials go to {} only", hosts.join(", "));
        return faults.push(Fault::new("/hosts", "invalid_value", detail));
    }
    credential.policy = policy;
}

/// Whether the plain fields that say where it may go are others than before.
pub(super) fn moves(form: &Form, before: &Credential, fields: &Fields) -> bool {
    let Form::Scheme(scheme) = form else { return false };
    scheme.hosts_for(&before.details.plain) != scheme.hosts_for(&fields.plain)
}

/// Whether the plain fields that say how safely its secrets travel are others than before.
pub(super) fn unguards(form: &Form, before: &Credential, fields: &Fields) -> bool {
    let Form::Scheme(scheme) = form else { return false };
    scheme.guards(&before.details.plain) != scheme.guards(&fields.plain)
}
