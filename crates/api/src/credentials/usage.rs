//! `GET …/credentials/{id}/usage`

use super::access::find;
use crate::auth::InWorkspace;
use crate::list::Query;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::id::WorkflowId;
use keyward_model::permission::Act;
use keyward_store::{DayOfUse, User};
use schemars::JsonSchema;
use serde::Serialize;

const DAY_MILLIS: i64 = 86_400_000;
const DEFAULT_DAYS: i64 = 90;
const MAX_DAYS: i64 = 3650;

/// How a credential was used.
#[derive(Serialize, JsonSchema)]
struct Usage {
    /// Of all time.
    total: Count,
    last_used_at: Option<Timestamp>,
    /// The last days on which it was used at all, oldest first.
    days: Vec<Day>,
    /// Every workflow whose runs have ever used it.
    workflows: Vec<ByWorkflow>,
}

/// How often.
#[derive(Serialize, JsonSchema, Default, Clone, Copy)]
struct Count {
    /// Uses, failures included.
    uses: i64,
    /// Uses in steps that failed.
    failures: i64,
}

/// One day.
#[derive(Serialize, JsonSchema)]
struct Day {
    /// In UTC, as `2026-01-31`.
    date: String,
    #[serde(flatten)]
    count: Count,
}

/// One workflow.
#[derive(Serialize, JsonSchema)]
struct ByWorkflow {
    workflow_id: WorkflowId,
    /// Null where the workflow was deleted.
    name: Option<String>,
    #[serde(flatten)]
    count: Count,
    last_used_at: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/usage",
        "getCredentialUsage",
        "Show how often a credential was used: per day, and per workflow.",
        Access::Credential(Act::View),
        handle,
    )
    .query(&[("days", "1 to 3650: how many days back, default 90")])
    .answer::<Usage>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
    mut query: Query,
) -> Result<Json<Usage>, Problem> {
    let days = query.number("days", 1..=MAX_DAYS).unwrap_or(DEFAULT_DAYS);
    query.done()?;
    let credential = find(&api, &scope, &id, Act::View).await?.credential;
    let (workspace, id) = (credential.workspace, credential.id);
    // Today counts as a day.
    let since = api.vault().now().plus_millis((1 - days) * DAY_MILLIS);
    let read = api
        .store()
        .read(move |tx| Ok((tx.days_of_use(workspace, id, since)?, tx.users_of(workspace, id)?)));
    let (days, users) = read.await?;
    Ok(Json(usage(days, users)))
}

fn usage(days: Vec<DayOfUse>, users: Vec<User>) -> Usage {
    let total = users.iter().fold(Count::default(), |total, user| Count {
        uses: total.uses.saturating_add(user.uses),
        failures: total.failures.saturating_add(user.failures),
    });
    Usage {
        total,
        last_used_at: users.iter().map(|user| user.last_used_at).max(),
        days: days.into_iter().map(day).collect(),
        workflows: users.into_iter().map(by_workflow).collect(),
    }
}

fn day(day: DayOfUse) -> Day {
    let at = day.day.to_string();
    let date = at.split('T').next().unwrap_or_default().to_owned();
    Day { date, count: Count { uses: day.uses, failures: day.failures } }
}

fn by_workflow(user: User) -> ByWorkflow {
    ByWorkflow {
        workflow_id: user.workflow,
        name: user.head.map(|head| head.name),
        count: Count { uses: user.uses, failures: user.failures },
        last_used_at: user.last_used_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::Identifier as _;
    use serde_json::json;

    #[test]
    fn use_is_summed_up() {
        let user = |byte, uses, failures, last| User {
            workflow: WorkflowId::from_bytes([byte; 16]),
            head: None,
            uses,
            failures,
            last_used_at: Timestamp::from_millis(last),
        };
        let users = vec![user(1, 3, 1, 2000), user(2, 4, 0, 1000)];
        let days = vec![DayOfUse { day: Timestamp::from_millis(DAY_MILLIS), uses: 7, failures: 1 }];
        let shown = serde_json::to_value(usage(days, users)).expect("JSON");
        let workflow = |byte| WorkflowId::from_bytes([byte; 16]).to_string();
        let expected = json!({
            "total": {"uses": 7, "failures": 1},
            "last_used_at": "1970-01-01T00:00:02.000Z",
            "days": [{"date": "1970-01-02", "uses": 7, "failures": 1}],
            "workflows": [
                {"workflow_id": workflow(1), "name": null, "uses": 3, "failures": 1,
                 "last_used_at": "1970-01-01T00:00:02.000Z"},
                {"workflow_id": workflow(2), "name": null, "uses": 4, "failures": 0,
                 "last_used_at": "1970-01-01T00:00:01.000Z"},
            ],
        });
        assert_eq!(shown, expected);
    }
}
