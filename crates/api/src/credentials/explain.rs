//! `GET …/credentials/{id}/explain`

use super::access::find;
use super::dependents::Rivals;
use super::view::show;
use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::workflows;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_engine::Asked;
use keyward_model::credential::Credential;
use keyward_model::id::WorkflowId;
use keyward_model::permission::Act;
use keyward_model::policy::{Ability, Refusal, may};
use keyward_model::saved_workflow::Workflow;
use keyward_vault::Explained;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether a workflow's step would get a credential, and why not.
#[derive(Serialize, JsonSchema)]
struct Explanation {
    allowed: bool,
    /// The row of SECURITY.md's table that refuses; null where it is allowed.
    row: Option<u8>,
    /// The audit's word for the refusal; null where it is allowed.
    reason: Option<&'static str>,
    /// The same in plain words.
    detail: String,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/explain",
        "explainCredential",
        "Say whether a workflow's step would get a credential, and if not, which rule refuses.",
        Access::Credential(Act::View),
        handle,
    )
    .query(&[
        ("workflow", "the workflow's id"),
        ("step", "the step's id; whichever names the key if not said"),
        ("destination", "an absolute URL that the credential would go to"),
        ("method", "with which method, default GET"),
    ])
    .answer::<Explanation>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<Explanation>, Problem> {
    // Whoever writes workflows may know why a key of theirs is refused.
    let edits = may(scope.caller.role, Ability::EditWorkflows);
    let act = if edits { Act::List } else { Act::View };
    let credential = find(&api, &scope, &id, act).await?.credential;
    let id = |text: &str| text.parse::<WorkflowId>().ok().map(|id| id.to_string());
    let workflow = query.read("workflow", "a workflow's id", id);
    let (step, destination) = (query.text("step"), query.text("destination"));
    let method = query.text("method");
    query.done()?;
    let workflow = workflow
        .ok_or_else(|| Problem::fault("/workflow", "missing", "say which workflow would use it"))?;
    let head = workflows::find(&api, &scope, &workflow).await?;
    let to = destination.as_deref().map(|url| (method.as_deref().unwrap_or("GET"), url));
    let asked = Asked { credential: &credential, step: step.as_deref(), to };
    match api.engine().explain(&head, &asked).await? {
        None => Err(Problem::fault("/step", "invalid_value", "the workflow has no such step")),
        Some(Explained::NoDestination) => {
            let detail = "must be an absolute URL like https://host/path, with a method of HTTP";
            Err(Problem::fault("/destination", "invalid_value", detail))
        }
        Some(Explained::Given) => Ok(Json(given())),
        Some(Explained::Refused(refusal)) => {
            let nearer = nearer(&api, &scope, &refusal, &credential, &head).await?;
            Ok(Json(refused(&refusal, nearer)))
        }
    }
}

fn given() -> Explanation {
    let detail = "the step gets it".to_owned();
    Explanation { allowed: true, row: None, reason: None, detail }
}

fn refused(refusal: &Refusal, nearer: Option<String>) -> Explanation {
    let words = refusal.in_words();
    let detail = nearer.map_or_else(|| words.to_owned(), |nearer| format!("{words}: {nearer}"));
    Explanation { allowed: false, row: Some(refusal.row()), reason: Some(refusal.reason), detail }
}

/// Which credential counts instead of one that is shadowed: by its id where the caller may know of
/// it, else by its scope alone.
async fn nearer(
    api: &Api,
    scope: &InWorkspace,
    refusal: &Refusal,
    credential: &Credential,
    head: &Workflow,
) -> Result<Option<String>, Problem> {
    if refusal.reason != Refusal::SHADOWED {
        return Ok(None);
    }
    let (workspace, key) = (credential.workspace, credential.key.clone());
    let rivals = api.store().read(move |tx| Rivals::read(tx, workspace, &key)).await?;
    let Some(nearer) = rivals.and_then(|rivals| rivals.nearest(head.id, head.owner).cloned())
    else {
        return Ok(None);
    };
    let kind = nearer.scope.kind();
    Ok(Some(match show(api, scope, &nearer).await {
        Ok(_) => format!("{} in scope {kind}", nearer.id),
        Err(_) => format!("one in scope {kind}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_said_with_row_and_words() {
        let check = |refusal: Refusal, nearer: Option<&str>, expected: (u8, &str, &str)| {
            let said = refused(&refusal, nearer.map(str::to_owned));
            let found = (said.row, said.reason, said.detail.as_str());
            assert_eq!(found, (Some(expected.0), Some(expected.1), expected.2));
            assert!(!said.allowed);
        };
        let blocked = "the server sends no requests to this destination at all";
        check(Refusal::BLOCKED, None, (8, "destination_blocked", blocked));
        let words = Refusal::BLOCKED.in_words();
        check(
            Refusal::BLOCKED,
            Some("one in scope workflow"),
            (8, "destination_blocked", &format!("{words}: one in scope workflow")),
        );
    }
}
