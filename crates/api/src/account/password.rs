//! `PUT /api/v1/account/password`

use super::{changed, own};
use crate::auth::SignedIn;
use crate::body::Json;
use crate::guard::{Attempt, Client};
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use crate::sessions::{events, failed};
use axum::extract::State;
use http::{Method, StatusCode};
use keyward_model::audit::Action;
use keyward_model::people::Account;
use keyward_store::{Audited, Tx};
use keyward_vault::Incoming;
use schemars::JsonSchema;
use serde::Deserialize;

/// The old password and the new.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The password so far; left out where none was set.
    #[schemars(with = "Option<String>")]
    current: Option<Incoming>,
    /// The new one, at least 12 characters.
    #[schemars(with = "String")]
    new: Incoming,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::PUT,
        "/api/v1/account/password",
        "changePassword",
        "Change your password. Your other sessions end; API tokens stay.",
        Access::SignedIn,
        handle,
    )
    .body::<PasswordChange>()
    .problems(&["forbidden", "conflict", "rate_limited"])
}

async fn handle(
    State(api): State<Api>,
    signed_in: SignedIn,
    client: Client,
    Json(body): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    signed_in.whole()?;
    let new = names::password("/new", body.new.len());
    new.map_err(|fault| Problem::invalid(vec![fault]))?;
    let (account, members) = own(&api, &signed_in).await?;
    if account.password_hash.is_empty() {
        signed_in.lasting()?;
    } else {
        check(&api, &account, body.current.unwrap_or(Incoming::new(String::new())), &client)
            .await?;
    }
    let (id, current) = (account.id, signed_in.with.session());
    let password_hash = api.vault().hash_password(id, &body.new).await?;
    let revision = account.revision.saturating_add(1);
    let row = api.vault().sign_server(Account { password_hash, revision, ..account });
    let changes = changed(&api, &members, "password");
    let mut ends = events(&api, &members, Action::SessionEnded);
    ends.iter_mut().for_each(|event| event.reason = "password".into());
    let write = move |tx: &mut Tx<'_>| {
        tx.update_account(&row)?;
        let mut events = changes.clone();
        if tx.delete_sessions(id, current)? > 0 {
            events.extend(ends.iter().cloned());
        }
        Ok(Audited::new((), events))
    };
    api.store().write(write).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fails with `forbidden` where that is not the account's password; guessing is held up as it is
/// at the door.
pub(super) async fn check(
    api: &Api,
    account: &Account,
    password: Incoming,
    client: &Client,
) -> Result<(), Problem> {
    let attempt = Attempt::begin(api, client, Some(&account.email)).await?;
    let stored = (account.id, account.password_hash.as_str());
    if api.vault().check_password(&password, Some(stored)).await? {
        attempt.succeeded(api).await?;
        return Ok(());
    }
    failed(api, Some(account), "password").await?;
    Err(Problem::new("forbidden", "the password is wrong"))
}
