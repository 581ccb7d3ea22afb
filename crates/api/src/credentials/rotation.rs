//! `GET /api/v1/workspaces/{workspace}/credentials/{id}/rotation`

use super::access::find;
use crate::auth::InWorkspace;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::{Path, State};
use http::Method;
use keyward_model::clock::Timestamp;
use keyward_model::credential::Credential;
use keyward_model::permission::Act;
use keyward_model::rotation::{Call, Rotation, Seen, State as RotationState, Step, StepId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Where a credential's rotation stands, and what comes next.
#[derive(Serialize, JsonSchema)]
struct RotationView {
    state: RotationState,
    /// The new version; without a rotation, the current one.
    version: i64,
    /// The version that it takes the place of.
    previous: Option<i64>,
    /// How many uses by steps have succeeded since the promotion.
    verified_runs: i64,
    /// How many it takes.
    needed_runs: i64,
    /// How many have failed.
    failed_runs: i64,
    /// Until when the earlier version can be returned to.
    grace_ends_at: Option<Timestamp>,
    steps: Vec<StepView>,
}

/// A step of a rotation.
#[derive(Serialize, JsonSchema)]
struct StepView {
    id: StepId,
    done: bool,
    /// It does not apply: nobody has said how to test, and nobody asks for a test.
    skipped: bool,
    at: Option<Timestamp>,
    /// The call that does it, where it can be done now.
    call: Option<CallView>,
    /// What to know before it is done.
    hint: Option<&'static str>,
}

/// A call of this API.
#[derive(Serialize, JsonSchema)]
struct CallView {
    method: &'static str,
    path: String,
    /// What is sent, values to be filled in.
    body: Option<Value>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::GET,
        "/api/v1/workspaces/{workspace}/credentials/{id}/rotation",
        "getCredentialRotation",
        "Show where a credential's rotation stands, step by step.",
        Access::Credential(Act::View),
        handle,
    )
    .answer::<RotationView>(200)
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<RotationView>, Problem> {
    let found = find(&api, &scope, &id, Act::View).await?;
    let credential = found.credential;
    let (workspace, id) = (credential.workspace, credential.id);
    let activity = api.store().read(move |tx| tx.activity(workspace, &[id])).await?;
    let seen = activity.into_iter().find(|seen| seen.version == credential.version);
    let seen = seen.map(|seen| Seen { runs: seen.runs, failures: seen.failures });
    let rotation = Rotation::of(&credential, &found.settings, seen.unwrap_or_default());
    Ok(Json(view(&credential, rotation)))
}

fn view(credential: &Credential, rotation: Rotation) -> RotationView {
    let shown = |step: Step| StepView {
        id: step.id,
        done: step.done,
        skipped: step.skipped,
        at: step.at,
        call: step.call.map(|done_by| call(credential, done_by)),
        hint: step.hint,
    };
    RotationView {
        state: rotation.state,
        version: rotation.version,
        previous: rotation.previous,
        verified_runs: rotation.verified_runs,
        needed_runs: rotation.needed_runs,
        failed_runs: rotation.failed_runs,
        grace_ends_at: rotation.grace_ends_at,
        steps: rotation.steps.into_iter().map(shown).collect(),
    }
}

fn call(credential: &Credential, call: Call) -> CallView {
    let base = format!("/api/v1/workspaces/{}/credentials/{}", credential.workspace, credential.id);
    let (method, path, body) = match call {
        Call::Stage => {
            let names = credential.details.secret.iter();
            let fields: Map<_, _> = names.map(|name| (name.clone(), "".into())).collect();
            ("POST", "/versions".into(), Some(json!({ "fields": fields })))
        }
        Call::DefineTest => {
            ("PATCH", String::new(), Some(json!({ "test": { "method": "GET", "url": "" } })))
        }
        Call::Test(version) => ("POST", format!("/versions/{version}/test"), None),
        Call::Promote(version) => ("POST", format!("/versions/{version}/promote"), None),
        Call::Revoke(version) => ("DELETE", format!("/versions/{version}"), None),
    };
    CallView { method, path: base + &path, body }
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::credential;
    use super::*;

    #[test]
    fn a_step_names_the_call_that_does_it() {
        let of = credential();
        let base = format!("/api/v1/workspaces/{}/credentials/{}", of.workspace, of.id);
        let check = |done_by: Call, method: &str, path: &str, body: Value| {
            let shown = serde_json::to_value(call(&of, done_by)).expect("JSON");
            let expected = json!({"method": method, "path": base.clone() + path, "body": body});
            assert_eq!(shown, expected);
        };
        check(Call::Stage, "POST", "/versions", json!({"fields": {"value": ""}}));
        let defined = json!({"test": {"method": "GET", "url": ""}});
        check(Call::DefineTest, "PATCH", "", defined);
        check(Call::Test(2), "POST", "/versions/2/test", Value::Null);
        check(Call::Promote(2), "POST", "/versions/2/promote", Value::Null);
        check(Call::Revoke(1), "DELETE", "/versions/1", Value::Null);
    }
}
