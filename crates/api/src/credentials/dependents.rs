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
use keyward_model::credential::{Credential, Scope};
use keyward_model::id::WorkflowId;
use keyward_model::permission::Act;
use keyward_store::{Dependent, Page, StoreError};
use schemars::JsonSchema;
use serde::Serialize;

/// A workflow whose current definition names a credential's key and would get this one.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DependentView {
    workflow_id: WorkflowId,
    name: String,
    /// Whether its trigger takes events.
    active: bool,
    /// The ids of the steps that name the key.
    steps: Vec<String>,
    last_used_at: Option<Timestamp>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/dependents",
        "listCredentialDependents",
        "List the workflows that name a credential, with the steps.",
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
    Ok(Json(cut(dependents(&api, &credential).await?, &page)?))
}

/// All of them, by workflow.
pub(super) async fn dependents(
    api: &Api,
    credential: &Credential,
) -> Result<Vec<DependentView>, Problem> {
    let (workspace, id, key) = (credential.workspace, credential.id, credential.key.clone());
    let read = api.store().read(move |tx| {
        let dependents = tx.dependents(workspace, &key)?;
        let rivals = match tx.credentials_by_key(workspace, &key) {
            // Another row that cannot be read takes nothing from this one.
            Err(StoreError::Corrupt { .. }) => Vec::new(),
            rivals => rivals?,
        };
        let scopes: Vec<_> = rivals.iter().map(|row| row.parts().0.scope).collect();
        Ok((dependents, scopes, tx.credential_uses(workspace, id, Timestamp::default())?))
    });
    let (dependents, scopes, uses) = read.await?;
    let last_used = |workflow| {
        uses.iter().filter(|uses| uses.workflow == workflow).map(|uses| uses.last_used_at).max()
    };
    let resolving = dependents.into_iter().filter(|d| gets(d.workflow, credential.scope, &scopes));
    Ok(resolving.map(|dependent| view(dependent, &last_used)).collect())
}

/// Whether a workflow that names the key would get the credential of scope `own`.
fn gets(workflow: WorkflowId, own: Scope, scopes: &[Scope]) -> bool {
    let nearer = Scope::Workflow(workflow);
    match own {
        Scope::Workflow(id) => id == workflow,
        Scope::Workspace => !scopes.contains(&nearer),
        Scope::Personal(_) => !scopes.contains(&nearer),
    }
}

fn view(
    dependent: Dependent,
    last_used: &impl Fn(WorkflowId) -> Option<Timestamp>,
) -> DependentView {
    DependentView {
        workflow_id: dependent.workflow,
        last_used_at: last_used(dependent.workflow),
        name: dependent.name,
        active: dependent.active,
        steps: dependent.steps,
    }
}

/// A page of them; they are ordered by workflow.
fn cut(all: Vec<DependentView>, page: &Page) -> Result<ListOf<DependentView>, Problem> {
    let after = page.after.as_ref().map(|after| after.parse::<WorkflowId>()).transpose();
    let after = after.map_err(|_| StoreError::BadCursor)?;
    let limit = page.limit as usize;
    let rest = all.into_iter().filter(|item| after.is_none_or(|after| item.workflow_id > after));
    let mut items: Vec<_> = rest.take(limit.saturating_add(1)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|item| item.workflow_id.to_string());
    Ok(ListOf { items, next_cursor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::Identifier as _;

    fn workflow(byte: u8) -> WorkflowId {
        WorkflowId::from_bytes([byte; 16])
    }

    #[test]
    fn a_workflow_depends_on_what_it_would_resolve() {
        let check = |own: Scope, others: &[Scope], expected: bool| {
            let scopes: Vec<_> = others.iter().copied().chain([own]).collect();
            assert_eq!(gets(workflow(1), own, &scopes), expected, "{own:?} beside {others:?}");
        };
        let (mine, other) = (Scope::Workflow(workflow(1)), Scope::Workflow(workflow(2)));
        check(Scope::Workspace, &[], true);
        check(Scope::Workspace, &[other], true);
        check(Scope::Workspace, &[mine], false);
        check(mine, &[Scope::Workspace], true);
        check(other, &[Scope::Workspace], false);
    }

    #[test]
    fn pages_follow_each_other() {
        let all = || {
            (1..=5)
                .map(|byte| DependentView {
                    workflow_id: workflow(byte),
                    name: String::new(),
                    active: true,
                    steps: Vec::new(),
                    last_used_at: None,
                })
                .collect::<Vec<_>>()
        };
        let (mut seen, mut page) = (Vec::new(), Page::first(2));
        loop {
            let list = cut(all(), &page).expect("a page");
            seen.push(list.items.len());
            match list.next_cursor {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, [2, 2, 1]);
        let bad = Page { limit: 2, after: Some("run_x".into()) };
        assert_eq!(cut(all(), &bad).err().map(|problem| problem.code()), Some("validation_failed"));
    }
}
