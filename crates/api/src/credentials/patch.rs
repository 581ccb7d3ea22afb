//! `PATCH /api/v1/workspaces/{workspace}/credentials/{id}`

use super::access::{event, find};
use super::fields::{Fields, Form};
use super::sent::{Members, Sent};
use super::settings::{check_template, field_set, set_fields};
use super::view::{ScopeView, view};
use super::{Saved, save};
use super::{form, links};
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
use keyward_model::permission::Act;
use keyward_model::settings::Settings;
use keyward_vault::VaultError;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PATCH,
        "/api/v1/workspaces/{workspace}/credentials/{id}",
        "updateCredential",
        "Change a credential; widening where it may go, or how, needs all its secret fields anew.",
        Access::Credential(Act::Edit),
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
    let found = find(&api, &scope, &id, Act::Edit).await?;
    let (before, settings) = (&found.credential, &found.settings);
    let mut faults = Vec::new();
    check_fixed(&body, before, &mut faults);
    let (sent_expiry, hosts_sent) = (body.expires_at, body.hosts.is_some());
    let form = match &fields {
        Some(_) => Some(form::of(&api, &scope, before).await?),
        None => None,
    };
    let mut after = before.clone();
    body.apply(&mut after, &mut faults);
    let merged = fields.zip(form.clone());
    let fields = match merged.map(|(given, form)| given.merge(form, Some(&before.details))) {
        None => None,
        Some(Ok(fields)) => Some(fields),
        Some(Err(found)) => {
            faults.extend(found);
            None
        }
    };
    let fields = fields.unwrap_or_else(|| Fields::unchanged(&before.details));
    if let Some(Form::Scheme(scheme)) = &form
        && (hosts_sent || form::moves(&Form::Scheme(scheme.clone()), before, &fields))
    {
        form::bind(&mut after, scheme, &fields, hosts_sent, &mut faults);
    }
    let unguards = form.as_ref().is_some_and(|form| form::unguards(form, before, &fields));
    let change = Change::of(before, &after, &fields, unguards);
    if change.replaces {
        // Without a secret field there is no value whose date could be another one.
        let kept = after.expires_at.filter(|_| fields.names.is_empty());
        let expires_at = sent_expiry.flatten().or(kept);
        after.overwrite(field_set(&fields, expires_at), api.vault().now(), settings);
    } else {
        set_fields(&mut after, &fields);
    }
    if faults.is_empty() {
        links::check(&api, &scope, &after, &mut faults).await?;
        check_template(&after, &mut faults);
        check_bound(before, &after, settings, &mut faults);
    }
    if change.widens && !fields.are_anew() {
        let names = fields.told();
        let detail = match unguards {
            true => format!("to change how safely secrets travel, send all of them: {names}"),
            false => format!("to widen where it may go, send all secret fields: {names}"),
        };
        faults.push(Fault::new("/fields", "missing", detail));
    }
    if !faults.is_empty() {
        return Err(super::refused(faults));
    }
    for act in change.acts() {
        found.require(&scope, act)?;
    }
    let warnings = form.map(|form| form.warnings(&fields)).unwrap_or_default();
    if after != *before {
        write(&api, &scope, before, &mut after, &fields, &change).await?;
    }
    Ok(Json(Saved { credential: view(&api, &scope, &after).await?, warnings }))
}

/// Where a workspace asks for hosts, taking the last one away is refused.
pub(super) fn check_bound(
    before: &Credential,
    after: &Credential,
    settings: &Settings,
    faults: &mut Vec<Fault>,
) {
    let was_bound = before.policy.is_bound() || before.revision == after.revision;
    if settings.require_hosts && was_bound && !after.policy.is_bound() {
        let detail = "this workspace wants every credential bound to hosts; say where it may go";
        faults.push(Fault::new("/hosts", "missing", detail));
    }
}

/// Key, type and scope are what workflows and the sealed values hang on.
fn check_fixed(body: &Members, before: &Credential, faults: &mut Vec<Fault>) {
    let differs = [
        ("/key", body.key.as_ref().is_some_and(|key| *key != before.key)),
        ("/type", body.kind.as_ref().is_some_and(|kind| kind != before.kind.as_str())),
        ("/scope", body.scope.as_ref().is_some_and(|sent| ScopeView::from(before.scope) != *sent)),
        ("/app", body.app.is_some() && body.app != before.details.app),
        ("/scheme", body.scheme.is_some() && body.scheme != before.details.scheme),
    ];
    for (pointer, _) in differs.into_iter().filter(|(_, differs)| *differs) {
        let detail = "cannot be changed; make another credential instead";
        faults.push(Fault::new(pointer, "immutable", detail));
    }
}

/// What a change does to the sealed values.
struct Change {
    /// There is a new version.
    replaces: bool,
    /// The binding is another one, within the one before.
    narrows: bool,
    /// The binding admits something that it did not before, or the secrets travel otherwise.
    widens: bool,
    /// Whether code may read it is another answer.
    exposes: bool,
    /// The audit's word for it.
    reason: &'static str,
}

impl Change {
    fn of(before: &Credential, after: &Credential, fields: &Fields, unguards: bool) -> Self {
        let widens = unguards || !before.policy.covers(&after.policy);
        // What widens keeps nothing that is sealed for the binding before.
        let replaces = fields.are_new_value(&before.details) || (widens && fields.are_anew());
        let narrows = !widens && before.policy.canonical() != after.policy.canonical();
        let reason = match (widens, narrows, before.code_access, after.code_access) {
            (true, ..) => "widened",
            (_, true, ..) => "narrowed",
            (.., CodeAccess::Sealed, CodeAccess::Readable) => "readable",
            (.., CodeAccess::Readable, CodeAccess::Sealed) => "sealed",
            _ => "",
        };
        let exposes = before.code_access != after.code_access;
        Self { replaces, narrows, widens, exposes, reason }
    }

    /// What it takes beside the right to edit.
    fn acts(&self) -> Vec<Act> {
        let bind = (self.narrows || self.widens || self.exposes).then_some(Act::Bind);
        bind.into_iter().chain(self.replaces.then_some(Act::Rotate)).collect()
    }
}

/// Binds what is kept of it to a changed policy, and saves it all.
async fn write(
    api: &Api,
    scope: &InWorkspace,
    before: &Credential,
    after: &mut Credential,
    fields: &Fields,
    change: &Change,
) -> Result<(), Problem> {
    let (vault, now) = (api.vault(), api.vault().now());
    let described = described(before, after);
    if !change.replaces {
        after.touch(now);
    }
    let rewrapped = match (change.widens, change.narrows) {
        // Nobody has entered the earlier values again.
        (true, _) => {
            after.drop_other_versions();
            Vec::new()
        }
        (false, true) => rewrap(api, before, after, change.replaces).await?,
        (false, false) => Vec::new(),
    };
    let new = match change.replaces {
        true => Some(vault.seal_version(after, &fields.secret).await?),
        false => None,
    };
    let mut events = Vec::new();
    if described {
        let event = event(api, scope, before, Action::CredentialUpdated);
        events.push(Event { reason: change.reason.into(), ..event });
    }
    if change.replaces {
        events.push(event(api, scope, before, Action::CredentialRotated));
    }
    let head = save::Change::of_head(before.clone(), after.clone());
    let change = save::Change { new, rewrapped, ..head };
    save::save(api, scope, change, events).await
}

/// Whether anything beside the value was changed.
fn described(before: &Credential, after: &Credential) -> bool {
    let bare = |credential: &Credential| Credential {
        version: 0,
        status: before.status,
        status_reason: None,
        updated_at: before.updated_at,
        rotated_at: before.rotated_at,
        expires_at: None,
        revision: 0,
        lifecycle: Default::default(),
        ..credential.clone()
    };
    bare(before) != bare(after)
        || (before.version == after.version && before.expires_at != after.expires_at)
}

/// The versions that are kept, their keys wrapped for the narrower binding. What does not open is
/// given up where the value comes anew, and refused otherwise.
async fn rewrap(
    api: &Api,
    before: &Credential,
    after: &mut Credential,
    replaces: bool,
) -> Result<Vec<CredentialVersion>, Problem> {
    let versions = super::versions::kept(api, before).await?;
    match api.vault().rebind_versions(before, after, &versions).await {
        Ok(rewrapped) => Ok(rewrapped),
        Err(VaultError::Unreadable) if replaces => {
            after.drop_other_versions();
            Ok(Vec::new())
        }
        Err(VaultError::Unreadable) => {
            let detail = "the saved value cannot be opened; send all secret fields with the change";
            Err(Problem::new("conflict", detail))
        }
        Err(error) => Err(error.into()),
    }
}
