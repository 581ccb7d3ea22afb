//! `PATCH /api/v1/workspaces/{workspace}/credentials/{id}`

use super::fields::{Fields, warnings};
use super::overwrite::next_version;
use super::sent::{Members, Sent};
use super::settings::{check_template, set_fields};
use super::view::{ScopeView, view};
use super::{KEPT_VERSIONS, Saved};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::{Action, Event};
use keyward_model::credential::{CodeAccess, Credential, CredentialVersion};
use keyward_model::json::Fault;
use keyward_model::policy::Ability;
use keyward_model::tag::Tagged;
use keyward_store::{Audited, Page, StoreError, Tx};
use keyward_vault::VaultError;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PATCH,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "updateCredential",
        "Change a credential; widening where it may go needs all its secret fields anew.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<Members>()
    .answer::<Saved>(200)
    .problems(&["conflict", "value_too_large"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Sent { body, fields }: Sent<Members>,
) -> Result<Json<Saved>, Problem> {
    scope.may(Ability::ManageCredentials)?;
    let before = super::find(&api, &scope, &id).await?;
    let mut faults = Vec::new();
    check_fixed(&body, &before, &mut faults);
    let mut after = before.clone();
    body.apply(&mut after, &mut faults);
    let fields = match fields.map(|given| given.merge(before.kind, Some(&before.details))) {
        None => None,
        Some(Ok(fields)) => Some(fields),
        Some(Err(found)) => {
            faults.extend(found);
            None
        }
    };
    let fields = fields.unwrap_or_else(|| Fields::unchanged(&before.details));
    set_fields(&mut after, &fields);
    if faults.is_empty() {
        check_template(&after, &mut faults);
    }
    let change = Change::of(&before, &after, !fields.secret.is_empty());
    if change.widens && !change.replaces {
        let names = before.details.secret.join(", ");
        let detail = format!("to widen where it may go, send all secret fields: {names}");
        faults.push(Fault::new("/fields", "missing", detail));
    }
    if !faults.is_empty() {
        return Err(super::refused(faults));
    }
    let warnings = warnings(&fields.secret);
    if after != before || change.replaces {
        save(&api, &scope, &before, &mut after, fields, &change).await?;
    }
    Ok(Json(Saved { credential: view(&api, &scope, &after).await?, warnings }))
}

/// Key, type and scope are what workflows and the sealed values hang on.
fn check_fixed(body: &Members, before: &Credential, faults: &mut Vec<Fault>) {
    let differs = [
        ("/key", body.key.as_ref().is_some_and(|key| *key != before.key)),
        ("/type", body.kind.as_ref().is_some_and(|kind| kind != before.kind.as_str())),
        ("/scope", body.scope.as_ref().is_some_and(|sent| ScopeView::from(before.scope) != *sent)),
        ("/app", body.app.is_some()),
        ("/scheme", body.scheme.is_some()),
    ];
    for (pointer, _) in differs.into_iter().filter(|(_, differs)| *differs) {
        let detail = "cannot be changed; make another credential instead";
        faults.push(Fault::new(pointer, "immutable", detail));
    }
}

/// What a change does to the sealed values.
struct Change {
    /// The values are sent anew.
    replaces: bool,
    /// The binding is another one, within the one before.
    narrows: bool,
    /// The binding admits something that it did not before.
    widens: bool,
    /// The audit's word for it.
    reason: &'static str,
}

impl Change {
    fn of(before: &Credential, after: &Credential, replaces: bool) -> Self {
        let widens = !before.policy.covers(&after.policy);
        let narrows = !widens && before.policy.canonical() != after.policy.canonical();
        let reason = match (widens, narrows, before.code_access, after.code_access) {
            (true, ..) => "widened",
            (_, true, ..) => "narrowed",
            (.., CodeAccess::Sealed, CodeAccess::Readable) => "readable",
            (.., CodeAccess::Readable, CodeAccess::Sealed) => "sealed",
            _ => "",
        };
        Self { replaces, narrows, widens, reason }
    }
}

/// What goes into the database together.
struct Rows {
    head: Tagged<Credential>,
    /// The new version, where there is one.
    new: Option<CredentialVersion>,
    /// Earlier versions with their keys wrapped for the narrower binding.
    rewrapped: Vec<CredentialVersion>,
    /// Versions that nothing can use any more.
    dropped: Vec<i64>,
}

async fn save(
    api: &Api,
    scope: &InWorkspace,
    before: &Credential,
    after: &mut Credential,
    fields: Fields,
    change: &Change,
) -> Result<(), Problem> {
    let now = api.vault().now();
    let described = *after != *before;
    if change.replaces {
        next_version(after, now);
    } else {
        after.updated_at = now;
        after.revision += 1;
    }
    let rows = rows(api, before, after, fields, change).await?;
    let event = |action| {
        let mut event = scope.event(api, action);
        event.credential = Some(before.id);
        event.key = Some(before.key.clone());
        event
    };
    let mut events = Vec::new();
    if described {
        events.push(Event { reason: change.reason.into(), ..event(Action::CredentialUpdated) });
    }
    if change.replaces {
        events.push(event(Action::CredentialRotated));
    }
    let expected = before.revision;
    let write = move |tx: &mut Tx<'_>| {
        write_rows(tx, &rows, expected)?;
        Ok(Audited::new((), events.clone()))
    };
    api.store().write(write).await?;
    Ok(())
}

async fn rows(
    api: &Api,
    before: &Credential,
    after: &Credential,
    fields: Fields,
    change: &Change,
) -> Result<Rows, Problem> {
    let (vault, workspace, id) = (api.vault(), before.workspace, before.id);
    let page = Page::first(u32::try_from(KEPT_VERSIONS).unwrap_or(u32::MAX));
    let versions = match change.narrows || change.widens {
        true => {
            api.store().read(move |tx| tx.credential_versions(workspace, id, &page)).await?.items
        }
        false => Vec::new(),
    };
    let (mut rewrapped, mut dropped) = (Vec::new(), Vec::new());
    let rebound = match change.narrows {
        true => vault.rebind_credential(before, after.clone(), &versions).await.map(Some),
        false => Ok(None),
    };
    match rebound {
        Ok(Some((_, rows))) => rewrapped = rows,
        // Widened, or not to be opened: nobody has entered the earlier values again.
        Ok(None) => dropped.extend(versions.iter().map(|version| version.version)),
        Err(VaultError::Unreadable) if change.replaces => {
            dropped.extend(versions.iter().map(|version| version.version));
        }
        Err(error) => return Err(unopenable(error)),
    }
    if !change.replaces {
        let head = vault.sign(workspace, after.clone()).await?;
        return Ok(Rows { head, new: None, rewrapped, dropped });
    }
    dropped.push(after.version.saturating_sub(KEPT_VERSIONS));
    let (head, new) = vault.seal_credential(after.clone(), fields.secret).await?;
    Ok(Rows { head, new: Some(new), rewrapped, dropped })
}

fn unopenable(error: VaultError) -> Problem {
    match error {
        VaultError::Unreadable => {
            let detail = "the saved value cannot be opened; send all secret fields with the change";
            Problem::new("conflict", detail)
        }
        error => error.into(),
    }
}

fn write_rows(tx: &mut Tx<'_>, rows: &Rows, expected: i64) -> Result<(), StoreError> {
    tx.update_credential(&rows.head, expected)?;
    let (head, _) = rows.head.parts();
    for row in &rows.rewrapped {
        tx.rewrap_credential_version(row.workspace, row.credential, row.version, &row.wrapped_key)?;
    }
    for version in &rows.dropped {
        tx.delete_credential_version(head.workspace, head.id, *version)?;
    }
    match &rows.new {
        Some(new) => tx.insert_credential_version(new),
        None => Ok(()),
    }
}
