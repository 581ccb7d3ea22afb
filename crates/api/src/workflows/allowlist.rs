//! `GET|PUT /api/v1/workspaces/{workspace}/workflows/{id}/allowlist`

use crate::auth::InWorkspace;
use crate::body;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::audit::Action;
use keyward_model::json::Fault;
use keyward_model::policy::Ability;
use keyward_model::saved_workflow::Allowlist;
use keyward_model::tag::Tag;
use keyward_model::workflow::CredentialKey;
use keyward_store::{Audited, StoreError, Tx};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most keys that an allowlist holds.
const MAX_KEYS: usize = 1000;

/// The keys that a workflow's runs may resolve, where it is enabled.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowlistBody {
    /// Whether only the keys may be resolved.
    enabled: bool,
    /// The keys.
    keys: Vec<String>,
}

pub(crate) fn operations() -> [Operation; 2] {
    let path = "/api/v1/workspaces/{workspace}/workflows/{id}/allowlist";
    [
        Operation::new(
            Method::GET,
            path,
            "getAllowlist",
            "Show which keys a workflow's runs may resolve.",
            Access::Member(Ability::ListCredentials),
            get,
        )
        .answer::<AllowlistBody>(200),
        Operation::new(
            Method::PUT,
            path,
            "setAllowlist",
            "Set which keys a workflow's runs may resolve; editors may narrow it.",
            Access::Member(Ability::EditWorkflows),
            put,
        )
        .body::<AllowlistBody>()
        .answer::<AllowlistBody>(200),
    ]
}

async fn get(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<AllowlistBody>, Problem> {
    scope.may(Ability::ListCredentials)?;
    let head = super::find(&api, &scope, &id).await?;
    let (workspace, workflow) = (head.workspace, head.id);
    let row = api.store().read(move |tx| tx.allowlist(workspace, workflow)).await?;
    let row = api.vault().verify(workspace, row.ok_or_else(Problem::not_found)?).await?;
    Ok(Json(AllowlistBody { enabled: row.enabled, keys: row.keys }))
}

async fn put(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    body::Json(mut body): body::Json<AllowlistBody>,
) -> Result<Json<AllowlistBody>, Problem> {
    scope.may_do(&api, Ability::EditWorkflows, Action::AllowlistChanged).await?;
    let head = super::find(&api, &scope, &id).await?;
    check(&body.keys)?;
    body.keys.sort();
    body.keys.dedup();
    let (workspace, workflow) = (head.workspace, head.id);
    let row = Allowlist { workspace, workflow, enabled: body.enabled, keys: body.keys.clone() };
    let before = narrowed(&api, &scope, &row).await?;
    let row = api.vault().sign(workspace, row).await?;
    let mut event = scope.event(&api, Action::AllowlistChanged);
    event.workflow = Some(workflow);
    let write = move |tx: &mut Tx<'_>| {
        // What was held against the earlier list must still be what is there.
        let tag = tx.allowlist(workspace, workflow)?.map(|row| *row.parts().1);
        if before.is_some() && before != tag {
            return Err(StoreError::Conflict { what: "allowlist" });
        }
        tx.put_allowlist(&row)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    api.store().write(write).await?;
    Ok(Json(body))
}

/// Whoever may not set lists may narrow them: gives the earlier list's tag, or nothing where the
/// caller may set any list.
async fn narrowed(api: &Api, scope: &InWorkspace, row: &Allowlist) -> Result<Option<Tag>, Problem> {
    if scope.may(Ability::SetAllowlist).is_ok() {
        return Ok(None);
    }
    let (workspace, workflow) = (row.workspace, row.workflow);
    let before = api.store().read(move |tx| tx.allowlist(workspace, workflow)).await?;
    let before = before.ok_or_else(Problem::forbidden)?;
    let tag = *before.parts().1;
    let before = api.vault().verify(workspace, before).await.map_err(|_| Problem::forbidden())?;
    if !before.covers(row) {
        let detail = "your role may narrow an allowlist, not widen it or switch it off";
        let problem = Problem::new("forbidden", detail);
        return Err(scope.refused(api, Action::AllowlistChanged, problem).await);
    }
    Ok(Some(tag))
}

fn check(keys: &[String]) -> Result<(), Problem> {
    if keys.len() > MAX_KEYS {
        let detail = format!("an allowlist holds at most {MAX_KEYS} keys");
        return Err(Problem::fault("/keys", "too_many", detail));
    }
    let faults: Vec<Fault> = keys
        .iter()
        .enumerate()
        .filter_map(|(at, key)| {
            let error = CredentialKey::parse(key).err()?;
            Some(Fault::new(format!("/keys/{at}"), "invalid_key", error.to_string()))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}
