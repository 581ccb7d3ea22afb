//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/dependents`

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
use keyward_model::credential::Credential;
use keyward_model::id::{MemberId, WorkflowId, WorkspaceId};
use keyward_model::permission::Act;
use keyward_model::resolution::{Reach, nearest};
use keyward_model::share::Share;
use keyward_store::{Dependent, Reader, StoreError, User, UserHead};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A workflow that would miss a credential: its definition names the key and would get this one, or
/// its runs have used it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DependentView {
    pub(crate) workflow_id: WorkflowId,
    pub(crate) name: String,
    /// Whether its trigger takes events.
    active: bool,
    /// The ids of the steps that name the key; none where only earlier runs used it.
    steps: Vec<String>,
    last_used_at: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) owner: MemberId,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/dependents",
        "listCredentialDependents",
        "List the workflows that name a credential, with the steps, or whose runs have used it.",
        Access::Credential(Act::View),
        handle,
    )
    .query(&[("limit", "1 to 200, default 50"), ("cursor", "next_cursor of the page before")])
    .answer::<ListOf<DependentView>>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<ListOf<DependentView>>, Problem> {
    let page = query.page();
    query.done()?;
    let credential = find(&api, &scope, &id, Act::View).await?.credential;
    let all = dependents(&api, &credential).await?;
    Ok(Json(ListOf::cut(all, &page, |text| text.parse().ok(), |item| item.workflow_id)?))
}

/// All of them, by workflow. Read as stored: what is listed here grants nothing.
pub(crate) async fn dependents(
    api: &Api,
    credential: &Credential,
) -> Result<Vec<DependentView>, Problem> {
    let (workspace, id, key) = (credential.workspace, credential.id, credential.key.clone());
    let read = api.store().read(move |tx| {
        let rivals = Rivals::read(tx, workspace, &key)?;
        Ok((tx.dependents(workspace, &key)?, rivals, tx.users_of(workspace, id)?))
    });
    let (named, rivals, users) = read.await?;
    // Another row that cannot be read takes nothing from this one.
    let alone = || Rivals { candidates: vec![credential.clone()], shares: Vec::new() };
    let rivals = rivals.unwrap_or_else(alone);
    let gets = |dependent: &Dependent| {
        let nearest = rivals.nearest(dependent.workflow, dependent.owner);
        nearest.is_some_and(|nearest| nearest.id == credential.id)
    };
    Ok(merged(named.into_iter().filter(gets).collect(), users))
}

/// The credentials of one key, as stored.
pub(super) struct Rivals {
    candidates: Vec<Credential>,
    shares: Vec<Share>,
}

impl Rivals {
    /// Reads them; `None` where a row cannot be read.
    pub(super) fn read(
        tx: &mut Reader<'_>,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Option<Self>, StoreError> {
        let rows = match tx.credentials_by_key(workspace, key) {
            Err(StoreError::Corrupt { .. }) => return Ok(None),
            rows => rows?,
        };
        let shares = tx.shares_by_key(workspace, key)?;
        Ok(Some(Self {
            candidates: rows.iter().map(|row| row.parts().0.clone()).collect(),
            shares: shares.iter().map(|row| row.parts().0.clone()).collect(),
        }))
    }

    /// The one that a workflow of that owner gets.
    pub(super) fn nearest(&self, workflow: WorkflowId, owner: MemberId) -> Option<&Credential> {
        let reach = Reach { workflow, owner: Some(owner), shares: &self.shares };
        nearest(&self.candidates, &reach)
    }
}

/// Workflows that name the key and would get the credential, and those whose runs have used it.
fn merged(named: Vec<Dependent>, users: Vec<User>) -> Vec<DependentView> {
    let view = |dependent: Dependent| DependentView {
        workflow_id: dependent.workflow,
        name: dependent.name,
        active: dependent.active,
        steps: dependent.steps,
        last_used_at: None,
        owner: dependent.owner,
    };
    let mut all: BTreeMap<_, _> =
        named.into_iter().map(|dependent| (dependent.workflow, view(dependent))).collect();
    for user in users {
        // What was deleted depends on nothing.
        let Some(UserHead { name, active, owner }) = user.head else { continue };
        let known = all.entry(user.workflow).or_insert_with(|| DependentView {
            workflow_id: user.workflow,
            name,
            active,
            steps: Vec::new(),
            last_used_at: None,
            owner,
        });
        known.last_used_at = Some(user.last_used_at);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::Identifier as _;

    #[test]
    fn who_names_it_and_who_has_used_it_stand_in_one_list() {
        let id = |byte| WorkflowId::from_bytes([byte; 16]);
        let owner = MemberId::from_bytes([9; 16]);
        let head = |name: &str, active| Some(UserHead { name: name.into(), active, owner });
        let named = |byte, step: &str| Dependent {
            workflow: id(byte),
            name: format!("W{byte}"),
            active: true,
            owner,
            steps: vec![step.into()],
        };
        let used = |byte, head| User {
            workflow: id(byte),
            head,
            uses: 1,
            failures: 0,
            last_used_at: Timestamp::from_millis(byte.into()),
        };
        let users = vec![used(1, head("W1", true)), used(2, None), used(3, head("Old", false))];
        let all = merged(vec![named(1, "a"), named(4, "b")], users);
        let all: Vec<_> = all
            .iter()
            .map(|d| (d.workflow_id, d.name.as_str(), d.active, d.steps.len(), d.last_used_at))
            .collect();
        let at = |millis| Some(Timestamp::from_millis(millis));
        let expected = [
            (id(1), "W1", true, 1, at(1)),
            (id(3), "Old", false, 0, at(3)),
            (id(4), "W4", true, 1, None),
        ];
        assert_eq!(all, expected);
    }
}
