//! `PUT /api/v1/workspaces/{workspace}/credentials/{id}/value`

use super::fields::warnings;
use super::sent::{NewValue, Sent};
use super::settings::{check_template, set_fields};
use super::view::view;
use super::{KEPT_VERSIONS, Saved};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, Status};
use keyward_model::policy::Ability;
use keyward_store::{Audited, Tx};

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PUT,
        "/api/v1/workspaces/{workspace}/credentials/{id}/value",
        "overwriteCredentialValue",
        "Replace a credential's value: a new version, current at once.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<NewValue>()
    .answer::<Saved>(200)
    .problems(&["conflict", "value_too_large"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    Sent { fields, .. }: Sent<NewValue>,
) -> Result<Json<Saved>, Problem> {
    scope.may(Ability::ManageCredentials)?;
    let before = super::find(&api, &scope, &id).await?;
    let given = fields.unwrap_or_default();
    let fields = given.merge(before.kind, Some(&before.details)).map_err(super::refused)?;
    if fields.secret.is_empty() {
        let detail = format!("all secret fields are needed: {}", before.details.secret.join(", "));
        return Err(Problem::fault("/fields", "missing", detail));
    }
    let mut after = before.clone();
    set_fields(&mut after, &fields);
    let mut faults = Vec::new();
    check_template(&after, &mut faults);
    if !faults.is_empty() {
        return Err(super::refused(faults));
    }
    next_version(&mut after, api.vault().now());
    let warnings = warnings(&fields.secret);
    let (head, version) = api.vault().seal_credential(after.clone(), fields.secret).await?;
    let mut event = scope.event(&api, Action::CredentialRotated);
    event.credential = Some(after.id);
    event.key = Some(after.key.clone());
    let write = move |tx: &mut Tx<'_>| {
        tx.update_credential(&head, before.revision)?;
        tx.insert_credential_version(&version)?;
        let oldest = version.version.saturating_sub(KEPT_VERSIONS);
        tx.delete_credential_version(before.workspace, before.id, oldest)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(Json(Saved { credential: view(&api, &scope, &after).await?, warnings }))
}

/// Turns a head into that of its next version; a new value forgets what was wrong with the old.
pub(super) fn next_version(head: &mut Credential, now: Timestamp) {
    head.version += 1;
    head.status = Status::Active;
    head.status_reason = None;
    head.updated_at = now;
    head.rotated_at = now;
    head.revision += 1;
}
