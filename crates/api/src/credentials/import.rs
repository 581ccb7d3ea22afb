//! `POST /api/v1/workspaces/{workspace}/credentials/import`: first a preview, then, with its digest,
//! all of it in one write.

mod sent;

use super::access::{event, verified_shares};
use super::create::{blank, home};
use super::fields::{Fields, Given};
use super::patch::check_bound;
use super::save::{Change, Ready, ready};
use super::settings::{field_set, set_fields};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use data_encoding::HEXLOWER;
use http::Method;
use keyward_model::audit::{Action as Audit, Event};
use keyward_model::credential::{Credential, CredentialType, CredentialVersion, Scope};
use keyward_model::import::{self, Action, Entry, Existing, MAX_BYTES, Planned, plan};
use keyward_model::json::{Fault, child};
use keyward_model::permission::{Act, decide, may_create};
use keyward_model::policy::Ability;
use keyward_model::settings::Settings;
use keyward_model::tag::Tagged;
use keyward_store::{Audited, Reader, StoreError, Tx};
use keyward_vault::Incoming;
use schemars::JsonSchema;
use sent::{Body, SentImport};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/credentials/import",
        "importCredentials",
        "Import credentials from .env, Vault, n8n or Windmill: a preview, then all or nothing.",
        Access::Member(Ability::CreateCredentials),
        handle,
    )
    .body::<Body>()
    .answer::<ImportView>(200)
    .problems(&["conflict", "payload_too_large", "value_too_large"])
}

/// What importing a file does, or did.
#[derive(Serialize, JsonSchema)]
struct ImportView {
    items: Vec<ItemView>,
    /// Sent with `confirm`, it does what is shown here.
    digest: String,
    /// Whether it was done.
    imported: bool,
}

/// One entry of the file; its values are shown nowhere.
#[derive(Serialize, JsonSchema)]
struct ItemView {
    /// Null where no key can be made of its name.
    key: Option<String>,
    action: Action,
    /// Why, with its place in the file.
    detail: String,
    #[serde(rename = "type")]
    kind: CredentialType,
    /// Whether `values` have to say what the file does not hold.
    needs_value: bool,
    /// The fields that are missing.
    fields: Vec<String>,
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    SentImport { body, content, mut values }: SentImport,
) -> Result<Json<ImportView>, Problem> {
    scope.may_do(&api, Ability::CreateCredentials, Audit::CredentialCreated).await?;
    if content.len() > MAX_BYTES {
        let detail = format!("a file may have at most {MAX_BYTES} bytes");
        return Err(Problem::new("payload_too_large", detail));
    }
    let settings = super::settings(&api, &scope).await?;
    let mut faults = Vec::new();
    let target = home(&api, &scope, body.scope.as_ref(), &mut faults).await?;
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    if !may_create(scope.caller.role, target, &settings) {
        let detail = "your role makes personal credentials only; say {\"kind\":\"personal\"}";
        let problem = Problem::new("forbidden", detail);
        return Err(scope.refused(&api, Audit::CredentialCreated, problem).await);
    }
    let entries = import::read(body.format, &content, body.key.as_deref())
        .map_err(|broken| Problem::fault("/content", "broken_file", broken.to_string()))?;
    let there = there(&api, &scope, target, &entries, &settings).await?;
    let planned = plan(&entries, body.overwrite, |key| {
        let (found, replaceable) = there.get(key.as_str())?;
        Some(Existing { kind: found.kind, replaceable: *replaceable })
    });
    let digests = digests(&api, &scope, &body, target, &content, &planned, &there).await?;
    let items = entries.iter().zip(&planned).map(|(entry, planned)| item(entry, planned)).collect();
    if body.confirm {
        confirmed(body.digest.as_deref(), &digests, &planned)?;
        let job = Job { api: &api, scope: &scope, target, settings: &settings, there };
        job.run(entries, planned, &mut values).await?;
    }
    let digest = digests.into_iter().next().unwrap_or_default();
    Ok(Json(ImportView { items, digest, imported: body.confirm }))
}

fn item(entry: &Entry, planned: &Planned) -> ItemView {
    ItemView {
        key: entry.key.as_ref().map(ToString::to_string),
        action: planned.action,
        detail: planned.detail.clone(),
        kind: entry.kind,
        needs_value: planned.needs_value,
        fields: if planned.needs_value { entry.needs.clone() } else { Vec::new() },
    }
}

/// By key, the credentials of the target's scope, and whether the caller may replace their value.
type There = HashMap<String, (Credential, bool)>;

async fn there(
    api: &Api,
    scope: &InWorkspace,
    target: Scope,
    entries: &[Entry],
    settings: &Settings,
) -> Result<There, Problem> {
    let workspace = scope.id();
    let keys: Vec<_> = entries.iter().filter_map(|entry| entry.key.clone()).collect();
    let read = api.store().read(move |tx: &mut Reader<'_>| {
        let (mut rows, mut shares) = (Vec::new(), Vec::new());
        for key in keys {
            let found = match tx.credentials_by_key(workspace, key.as_str()) {
                // Writing will find that the key is taken.
                Err(StoreError::Corrupt { .. }) => Vec::new(),
                found => found?,
            };
            rows.extend(found.into_iter().filter(|row| row.parts().0.scope == target));
            shares.extend(tx.shares_by_key(workspace, key.as_str())?);
        }
        Ok((rows, shares))
    });
    let (rows, shares) = read.await?;
    let shares = verified_shares(api.vault(), workspace, shares).await;
    let mut there = There::new();
    for row in rows {
        let credential = api.vault().verify(workspace, row).await?;
        // A file knows types alone; what an app's fields must be, its form says.
        let is_plain = credential.details.app.is_none();
        let decision = decide(Act::Rotate, &scope.caller, &credential, &shares, settings);
        let may = is_plain && decision.is_ok();
        there.insert(credential.key.clone(), (credential, may));
    }
    Ok(there)
}

/// Binds a preview to the file, the plan, and the credentials that it was made of. One under each
/// generation of the key, so that a new one outdates no preview; the first is shown.
async fn digests(
    api: &Api,
    scope: &InWorkspace,
    body: &Body,
    target: Scope,
    content: &str,
    planned: &[Planned],
    there: &There,
) -> Result<Vec<String>, Problem> {
    let actions: Vec<_> = planned.iter().map(|planned| planned.action).collect();
    let mut revisions: Vec<_> =
        there.values().map(|(head, _)| (head.id.to_string(), head.revision)).collect();
    revisions.sort();
    let member = scope.caller.member.to_string();
    let target = (target.kind(), target.id_text());
    let plan = (body.format, &body.key, target, body.overwrite, actions, revisions, member);
    let plan = serde_json::to_vec(&plan).unwrap_or_default();
    let parts: [&[u8]; 3] = [b"credential import", &plan, content.as_bytes()];
    let digests = api.vault().request_digests(scope.id(), &parts).await?;
    Ok(digests.iter().map(|digest| HEXLOWER.encode(digest)).collect())
}

/// Fails unless what is confirmed is what was shown, and can be done as a whole.
fn confirmed(sent: Option<&str>, digests: &[String], planned: &[Planned]) -> Result<(), Problem> {
    let Some(sent) = sent else {
        let detail = "send the digest of the preview that you confirm";
        return Err(Problem::fault("/digest", "missing", detail));
    };
    if !digests.iter().any(|digest| digest == sent) {
        let detail = "this is not what the preview of that digest showed; look at a new one";
        return Err(Problem::new("conflict", detail));
    }
    let invalid = planned.iter().filter(|planned| planned.action == Action::Invalid);
    let fault = |planned: &Planned| Fault::new("/content", "invalid_entry", planned.detail.clone());
    let faults: Vec<_> = invalid.map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

/// An import that is being done.
struct Job<'a> {
    api: &'a Api,
    scope: &'a InWorkspace,
    target: Scope,
    settings: &'a Settings,
    there: There,
}

impl Job<'_> {
    async fn run(
        mut self,
        entries: Vec<Entry>,
        planned: Vec<Planned>,
        values: &mut BTreeMap<String, Given>,
    ) -> Result<(), Problem> {
        let (mut faults, mut checked) = (Vec::new(), Vec::new());
        for (entry, planned) in entries.into_iter().zip(planned) {
            let Some(key) = entry.key.clone() else { continue };
            if !matches!(planned.action, Action::Create | Action::Overwrite) {
                continue;
            }
            let before = self.there.remove(key.as_str()).map(|(before, _)| before);
            let given = values.remove(key.as_str());
            match self.check(entry, before, given) {
                Ok(change) => checked.push(change),
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| moved(fault, key.as_str())));
                }
            }
        }
        for key in values.keys() {
            let detail = "the file has no such credential to make";
            faults.push(Fault::new(child("/values", key), "unknown_key", detail));
        }
        if !faults.is_empty() {
            return Err(super::refused(faults));
        }
        self.write(checked).await
    }

    /// A credential as it shall be, with its fields, and as it was where there is one.
    fn check(
        &self,
        entry: Entry,
        before: Option<Credential>,
        given: Option<Given>,
    ) -> Result<(Option<Credential>, Credential, Fields), Vec<Fault>> {
        let Entry { key, kind, name, fields, needs, .. } = entry;
        let given = given.unwrap_or_default();
        let absent = |name: &&String| !given.names().any(|given| given == name.as_str());
        let absent: Vec<_> = needs.iter().filter(absent).collect();
        if !absent.is_empty() {
            let fault = |name: &String| Fault::new(child("/fields", name), "missing", "is needed");
            return Err(absent.into_iter().map(fault).collect());
        }
        let held = fields.into_iter().map(|(name, mut value)| {
            // Moved, so that no copy stays behind.
            (name, Incoming::new(std::mem::take(&mut *value)))
        });
        let given = Given::of_file(held).with(given);
        let fields = given.merge(kind, before.as_ref().map(|before| &before.details))?;
        let Some(before) = before else {
            let mut made = blank(self.api, self.scope);
            made.key = key.map(|key| key.to_string()).unwrap_or_default();
            made.details.name = name.unwrap_or_else(|| made.key.clone());
            (made.kind, made.scope) = (kind, self.target);
            set_fields(&mut made, &fields);
            let mut faults = Vec::new();
            check_bound(&made, &made, self.settings, &mut faults);
            return if faults.is_empty() { Ok((None, made, fields)) } else { Err(faults) };
        };
        let mut after = before.clone();
        after.overwrite(field_set(&fields, None), self.api.vault().now(), self.settings);
        Ok((Some(before), after, fields))
    }

    /// All of them in one commit.
    async fn write(
        &self,
        checked: Vec<(Option<Credential>, Credential, Fields)>,
    ) -> Result<(), Problem> {
        let (api, scope) = (self.api, self.scope);
        let mut made: Vec<(Tagged<Credential>, CredentialVersion)> = Vec::new();
        let (mut changed, mut events) = (Vec::<Ready>::new(), Vec::<Event>::new());
        for (before, after, fields) in checked {
            let version = api.vault().seal_version(&after, &fields.secret).await?;
            let action =
                if before.is_some() { Audit::CredentialRotated } else { Audit::CredentialCreated };
            let event = event(api, scope, &after, action);
            events.push(Event { reason: "imported".into(), ..event });
            match before {
                Some(before) => {
                    let change = Change { new: Some(version), ..Change::of_head(before, after) };
                    changed.push(ready(api, scope, change, &mut events).await?);
                }
                None => made.push((api.vault().sign(after.workspace, after).await?, version)),
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let write = move |tx: &mut Tx<'_>| {
            for (head, version) in &made {
                tx.insert_credential(head)?;
                tx.insert_credential_version(version)?;
            }
            changed.iter().try_for_each(|change| change.write(tx))?;
            Ok(Audited::new((), events.clone()))
        };
        api.store().write(write).await?;
        Ok(())
    }
}

/// A field's fault as one of the entry's values.
fn moved(fault: Fault, key: &str) -> Fault {
    let values = format!("/values/{key}");
    let pointer = match fault.pointer.strip_prefix("/fields") {
        Some(rest) => format!("{values}{rest}"),
        None => values,
    };
    Fault { pointer, ..fault }
}
