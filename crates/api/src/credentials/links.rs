//! Linked fields: what a person names must be there, and must read.

use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::catalogue::{Action, App};
use keyward_model::credential::{Credential, Link, Scope};
use keyward_model::json::{Fault, child};

/// The longest that a value may be kept.
const MAX_AGE: u32 = 86_400;

/// Holds each link of a credential against the credential that it names.
pub(super) async fn check(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    faults: &mut Vec<Fault>,
) -> Result<(), Problem> {
    for (name, link) in &credential.details.links {
        let at = format!("{}/link", child("/fields", name));
        if let Some((member, detail)) = fault(api, scope, credential, link).await? {
            faults.push(Fault::new(format!("{at}/{member}"), "invalid_value", detail));
        }
    }
    Ok(())
}

async fn fault(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    link: &Link,
) -> Result<Option<(String, String)>, Problem> {
    let told = |member: &str, detail: String| Ok(Some((member.to_owned(), detail)));
    if link.path().is_none() {
        return told("output", "must be a plain path, such as data.password".into());
    }
    if !(1..=MAX_AGE).contains(&link.max_age_seconds) {
        return told("max_age_seconds", format!("must be from 1 to {MAX_AGE}"));
    }
    let Some(reading) = reading(api, scope, credential, link).await? else {
        let detail = "there is no such credential of the workspace, or of the same scope, that is \
                      not linked itself";
        return told("credential", detail.into());
    };
    let app = match &reading.details.app {
        Some(id) => api.vault().app(scope.id(), id).await?,
        None => None,
    };
    let action = app.as_deref().and_then(|app| action(app, link));
    let Some(action) = action else {
        let member = if link.action.is_some() { "action" } else { "credential" };
        return told(member, "its app has no such action that only reads".into());
    };
    let inputs = serde_json::Value::Object(link.inputs.clone());
    let fault = action.inputs.validate(&inputs, "inputs").into_iter().next();
    Ok(fault.map(|fault| (fault.pointer, fault.detail)))
}

fn action<'a>(app: &'a App, link: &Link) -> Option<&'a Action> {
    app.reading(link.action.as_deref())
}

async fn reading(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    link: &Link,
) -> Result<Option<Credential>, Problem> {
    let (workspace, key) = (scope.id(), link.credential.clone());
    let rows = api.store().read(move |tx| tx.credentials_by_key(workspace, &key)).await?;
    for row in rows {
        let Ok(found) = api.vault().verify(workspace, row).await else { continue };
        let near = found.scope == Scope::Workspace || found.scope == credential.scope;
        let is_itself = found.id == credential.id;
        if near && !is_itself && found.lifecycle.deleted.is_none() && found.details.links.is_empty()
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
