//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/versions`

use super::access::find;
use crate::auth::InWorkspace;
use crate::list::{ListOf, Query};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, CredentialVersion};
use keyward_model::lifecycle::TestOutcome;
use keyward_model::permission::Act;
use keyward_store::{Activity, Page};
use schemars::JsonSchema;
use serde::Serialize;

/// More than a credential keeps.
const ALL: Page = Page { limit: 200, after: None };

/// A version of a credential's value.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CredentialVersionView {
    version: i64,
    /// `current`, `staged` or `previous`.
    state: &'static str,
    created_at: Timestamp,
    /// Of a previous one: until when it can be returned to.
    until: Option<Timestamp>,
    /// How its last test ended.
    test: Option<TestOutcome>,
    /// How often steps used it.
    uses: i64,
    /// How often such a step failed.
    failures: i64,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/versions",
        "listCredentialVersions",
        "List the versions of a credential's value, newest first.",
        Access::Credential(Act::View),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<CredentialVersionView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<CredentialVersionView>>, Problem> {
    let page = query.page();
    query.done()?;
    let credential = find(&api, &scope, &id, Act::View).await?.credential;
    let (workspace, id) = (credential.workspace, credential.id);
    let read = api.store().read(move |tx| {
        Ok((tx.credential_versions(workspace, id, &page)?, tx.activity(workspace, &[id])?))
    });
    let (rows, activity) = read.await?;
    Ok(Json(ListOf::of(rows, |row| view(&credential, &row, &activity))))
}

fn view(
    credential: &Credential,
    row: &CredentialVersion,
    activity: &[Activity],
) -> CredentialVersionView {
    let (life, version) = (&credential.lifecycle, row.version);
    let staged = life.staged.as_ref().filter(|staged| staged.version == version);
    let retired = life.retired.iter().find(|retired| retired.version == version);
    let seen = activity.iter().find(|seen| seen.version == version);
    let (state, test) = match staged {
        Some(staged) => ("staged", staged.test.clone()),
        None if version == credential.version => ("current", life.test.clone()),
        None => ("previous", None),
    };
    CredentialVersionView {
        version,
        state,
        created_at: row.created_at,
        until: retired.map(|retired| retired.until),
        test,
        uses: seen.map_or(0, |seen| seen.uses),
        failures: seen.map_or(0, |seen| seen.failures),
    }
}

/// The versions whose keys a credential still has.
pub(super) async fn kept(
    api: &Api,
    credential: &Credential,
) -> Result<Vec<CredentialVersion>, Problem> {
    let (workspace, id) = (credential.workspace, credential.id);
    let rows = api.store().read(move |tx| tx.credential_versions(workspace, id, &ALL)).await?;
    let kept = credential.kept_versions();
    Ok(rows.items.into_iter().filter(|row| kept.contains(&row.version)).collect())
}
