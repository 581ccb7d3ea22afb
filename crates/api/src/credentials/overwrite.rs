//! `PUT /api/v1/workspaces/{workspace}/credentials/{id}/value`

use super::Saved;
use super::access::{event, find};
use super::fields::{Fields, Form, Given};
use super::save::{Change, save};
use super::sent::{NewValue, Sent};
use super::settings::{field_set, require_template, set_fields};
use super::view::view;
use super::warnings::Warning;
use super::{form, links};
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::credential::Credential;
use keyward_model::permission::Act;

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PUT,
        "/api/v1/workspaces/{workspace}/credentials/{id}/value",
        "overwriteCredentialValue",
        "Replace a credential's value: a new version, current at once.",
        Access::Credential(Act::Rotate),
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
    Sent { body, fields }: Sent<NewValue>,
) -> Result<Json<Saved>, Problem> {
    let found = find(&api, &scope, &id, Act::Rotate).await?;
    let (before, now) = (found.credential, api.vault().now());
    let (fields, warnings) = complete(&api, &scope, &before, fields).await?;
    let mut after = before.clone();
    after.overwrite(field_set(&fields, body.expires_at), now, &found.settings);
    require_template(&after)?;
    let new = api.vault().seal_version(&after, &fields.secret).await?;
    let events = vec![event(&api, &scope, &after, Action::CredentialRotated)];
    let change = Change { new: Some(new), ..Change::of_head(before, after.clone()) };
    save(&api, &scope, change, events).await?;
    Ok(Json(Saved { credential: view(&api, &scope, &after).await?, warnings }))
}

/// The fields of a new value, none of the secret ones left out.
pub(super) async fn complete(
    api: &Api,
    scope: &InWorkspace,
    before: &Credential,
    sent: Option<Given>,
) -> Result<(Fields, Vec<Warning>), Problem> {
    let (given, form) = (sent.unwrap_or_default(), form::of(api, scope, before).await?);
    let fields = given.merge(form.clone(), Some(&before.details)).map_err(super::refused)?;
    if form::moves(&form, before, &fields) {
        let detail = "this would bind the credential to other hosts; change it by PATCH";
        return Err(Problem::fault("/fields", "immutable", detail));
    }
    check_complete(&form, before, &fields)?;
    let mut head = before.clone();
    set_fields(&mut head, &fields);
    let mut faults = Vec::new();
    links::check(api, scope, &head, &mut faults).await?;
    if !faults.is_empty() {
        return Err(super::refused(faults));
    }
    let warnings = form.warnings(&fields);
    Ok((fields, warnings))
}

/// A new value is one of all secret fields; without any, another plain field is one.
fn check_complete(form: &Form, before: &Credential, fields: &Fields) -> Result<(), Problem> {
    let detail = match fields.names.is_empty() {
        true if fields.plain != before.details.plain => return Ok(()),
        true => "this credential has no secret field; send a plain one that is to change".into(),
        false => format!("all secret fields are needed: {}", fields.told()),
    };
    // A linked field would travel along.
    let travels = form::unguards(form, before, fields) && !fields.are_anew();
    if fields.are_new_value(&before.details) && !travels {
        return Ok(());
    }
    Err(Problem::fault("/fields", "missing", detail))
}
