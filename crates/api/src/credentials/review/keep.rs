//! `POST /api/v1/workspaces/{workspace}/review/keep`

use crate::auth::InWorkspace;
use crate::body;
use crate::credentials::access::{event, find};
use crate::credentials::save::{Change, save};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::Json;
use axum::extract::State;
use http::Method;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::id::CredentialId;
use keyward_model::permission::Act;
use keyward_model::policy::Ability;
use keyward_model::review::{KEPT_DAYS, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY_MILLIS: i64 = 86_400_000;

/// A finding that is right as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Keep {
    credential_id: String,
    kind: String,
}

/// A finding that is not shown again for a while.
#[derive(Serialize, JsonSchema)]
struct Kept {
    credential_id: CredentialId,
    kind: Kind,
    /// When it is asked again.
    until: Timestamp,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/workspaces/{workspace}/review/keep",
        "keepReviewed",
        "Accept a finding of the access review; it is asked again in 90 days.",
        Access::Member(Ability::ManageCredentials),
        handle,
    )
    .body::<Keep>()
    .answer::<Kept>(200)
    .problems(&["not_found", "conflict"])
}

async fn handle(
    State(api): State<Api>,
    scope: InWorkspace,
    body::Json(body): body::Json<Keep>,
) -> Result<Json<Kept>, Problem> {
    scope.may_do(&api, Ability::ManageCredentials, Action::CredentialUpdated).await?;
    let kind = Kind::parse(&body.kind).ok_or_else(|| {
        Problem::fault("/kind", "invalid_value", "must be a kind of finding, such as unused")
    })?;
    // Of others' own credentials only that one is shown to those who may give them away.
    let act = if kind == Kind::OwnerLeft { Act::Transfer } else { Act::Bind };
    let before = find(&api, &scope, &body.credential_id, act).await?.credential;
    let now = api.vault().now();
    let until = now.plus_millis(KEPT_DAYS * DAY_MILLIS);
    let mut after = before.clone();
    after.lifecycle.kept.retain(|_, until| *until > now);
    after.lifecycle.kept.insert(kind.as_str().to_owned(), until);
    after.touch(now);
    let event = event(&api, &scope, &before, Action::CredentialUpdated);
    let event = Event { reason: format!("kept {}", kind.as_str()), ..event };
    let credential_id = before.id;
    save(&api, &scope, Change::of_head(before, after), vec![event]).await?;
    Ok(Json(Kept { credential_id, kind, until }))
}
