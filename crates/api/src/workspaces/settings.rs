//! `GET|PATCH /api/v1/workspaces/{workspace}/settings`

use crate::auth::InWorkspace;
use crate::body;
use crate::credentials::access::{SettingsRow, read_settings};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::audit::Action;
use keyward_model::json;
use keyward_model::policy::Ability;
use keyward_model::settings::{Settings, WorkspaceSettings};
use keyward_store::{Audited, Tx};
use keyward_vault::VaultError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// What the workspace's owners and admins have decided.
#[derive(Serialize, JsonSchema)]
struct SettingsView {
    #[serde(flatten)]
    settings: Settings,
    /// False where the stored row is gone or was written by somebody else than the server: then the
    /// strictest settings count until they are set anew.
    intact: bool,
}

pub(crate) fn operations() -> [Operation; 2] {
    let path = "/api/v1/workspaces/{workspace}/settings";
    [
        Operation::new(
            Method::GET,
            path,
            "getSettings",
            "Show the workspace's settings.",
            Access::Member(Ability::Administer),
            get,
        )
        .answer::<SettingsView>(200),
        Operation::new(
            Method::PATCH,
            path,
            "changeSettings",
            "Change some of the workspace's settings.",
            Access::Member(Ability::Administer),
            patch,
        )
        .body::<Settings>()
        .answer::<SettingsView>(200)
        .problems(&["conflict"]),
    ]
}

async fn get(State(api): State<Api>, scope: InWorkspace) -> Result<Json<SettingsView>, Problem> {
    scope.may(Ability::Administer)?;
    let row = read(&api, &scope).await?;
    let intact = row.is_some();
    let settings = row.map_or_else(Settings::strictest, |row| row.settings);
    Ok(Json(SettingsView { settings, intact }))
}

async fn patch(
    State(api): State<Api>,
    scope: InWorkspace,
    body::Json(sent): body::Json<Value>,
) -> Result<Json<SettingsView>, Problem> {
    scope.may_do(&api, Ability::Administer, Action::SettingsChanged).await?;
    let row = read(&api, &scope).await?;
    let expected = row.as_ref().map(|row| row.revision);
    let before = row.map_or_else(Settings::strictest, |row| row.settings);
    let Value::Object(sent) = sent else {
        return Err(Problem::fault("", "wrong_type", "must be an object"));
    };
    let settings = merged(&before, sent).map_err(Problem::invalid)?;
    let changed = before.changed(&settings);
    if changed.is_empty() && expected.is_some() {
        return Ok(Json(SettingsView { settings, intact: true }));
    }
    let revision = expected.unwrap_or_default() + 1;
    let new = WorkspaceSettings { workspace: scope.id(), settings: settings.clone(), revision };
    let new = api.vault().sign(scope.id(), new).await?;
    let mut event = scope.event(&api, Action::SettingsChanged);
    event.reason = changed.join(" ");
    let write = move |tx: &mut Tx<'_>| {
        match expected {
            Some(expected) => tx.update_settings(&new, expected)?,
            None => tx.put_settings(&new)?,
        }
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(Json(SettingsView { settings, intact: true }))
}

/// The row, if the server wrote it.
async fn read(api: &Api, scope: &InWorkspace) -> Result<Option<WorkspaceSettings>, Problem> {
    let workspace = scope.id();
    let row: Option<SettingsRow> = api.store().read(move |tx| read_settings(tx, workspace)).await?;
    let Some(row) = row else { return Ok(None) };
    match api.vault().verify(workspace, row).await {
        Ok(row) => Ok(Some(row)),
        Err(VaultError::Tampered(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The settings with what was sent in place of what there was.
fn merged(before: &Settings, sent: Map<String, Value>) -> Result<Settings, Vec<json::Fault>> {
    let names: Vec<String> = sent.keys().map(|name| format!("/{name}")).collect();
    let mut members = match serde_json::to_value(before) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    members.extend(sent);
    let settings: Settings = json::read_value(&Value::Object(members))?;
    // What was not sent may be out of range: the strictest settings keep for ever.
    let mut faults = settings.faults();
    faults.retain(|fault| names.contains(&fault.pointer));
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(before: &Settings, sent: &Value, expected: Result<&Settings, &[(&str, &str)]>) {
        let members = sent.as_object().cloned().expect("an object");
        let found = merged(before, members);
        let found = found.as_ref().map_err(|faults| {
            faults.iter().map(|f| (f.pointer.as_str(), f.code)).collect::<Vec<_>>()
        });
        assert_eq!(found, expected.map_err(<[_]>::to_vec), "{sent}");
    }

    #[test]
    fn any_of_them_can_be_sent() {
        let before = Settings { audit_retention_days: Some(30), ..Settings::default() };
        check(&before, &json!({}), Ok(&before));
        let after = Settings { retention_days: 7, audit_retention_days: None, ..before };
        check(&before, &json!({"retention_days": 7, "audit_retention_days": null}), Ok(&after));
        check(&before, &json!({"retention": 7}), Err(&[("/retention", "unknown_member")]));
        check(&before, &json!({"retention_days": null}), Err(&[("/retention_days", "wrong_type")]));
        check(&before, &json!({"grace_days": -1}), Err(&[("/grace_days", "invalid_value")]));
        check(&before, &json!({"grace_days": 400}), Err(&[("/grace_days", "invalid_value")]));
        check(&before, &json!({"expose": "some"}), Err(&[("/expose", "invalid_value")]));
    }

    #[test]
    fn what_was_not_sent_needs_no_repair() {
        let strict = Settings::strictest();
        let after = Settings { sharing: true, ..strict };
        check(&strict, &json!({"sharing": true}), Ok(&after));
    }
}
