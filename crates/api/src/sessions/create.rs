//! `POST /api/v1/sessions`

use super::{NewSession, Opened, failed, open};
use crate::account::factor::{Proof, prove};
use crate::body::Json;
use crate::cookie;
use crate::guard::{Attempt, Client};
use crate::names;
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use http::{HeaderMap, Method};
use keyward_model::people::Account;
use keyward_store::StoreError;
use keyward_vault::Incoming;
use schemars::JsonSchema;
use serde::Deserialize;

/// Who signs in, and the proof.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The account's e-mail address.
    email: String,
    /// Its password.
    #[schemars(with = "String")]
    password: Incoming,
    /// A code of its authenticator, or a recovery code.
    #[schemars(with = "Option<String>")]
    totp: Option<Incoming>,
}

pub(crate) fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/v1/sessions",
        "signIn",
        "Sign in with e-mail and password: sets a cookie. Writes by cookie send `X-CSRF-Token`.",
        Access::Public,
        handle,
    )
    .body::<SignIn>()
    .answer::<NewSession>(201)
    .problems(&["unauthenticated", "forbidden", "rate_limited"])
}

async fn handle(
    State(api): State<Api>,
    client: Client,
    headers: HeaderMap,
    Json(body): Json<SignIn>,
) -> Result<Opened, Problem> {
    cookie::check_origin(&api, &headers)?;
    if !api.sign_in().passwords {
        return Err(Problem::new(
            "forbidden",
            "this server takes no passwords; use single sign-on",
        ));
    }
    let email =
        names::email("/email", &body.email).map_err(|fault| Problem::invalid(vec![fault]))?;
    let attempt = Attempt::begin(&api, &client, Some(&email)).await?;
    let account = find(&api, email).await?;
    let stored = account.as_ref().map(|account| (account.id, account.password_hash.as_str()));
    let right = api.vault().check_password(&body.password, stored).await?;
    let Some(account) = account.as_ref().filter(|_| right) else {
        failed(&api, account.as_ref(), "password").await?;
        return Err(wrong());
    };
    let used = match prove(api.vault(), account, body.totp)? {
        Proof::Unneeded => None,
        Proof::Given(used) => Some(used),
        Proof::Missing => {
            attempt.withdrawn(&api).await?;
            let detail = "send a code of your authenticator, or a recovery code, as `totp`";
            return Err(Problem::new("unauthenticated", detail).with("totp_required", true));
        }
        Proof::Wrong => {
            failed(&api, Some(account), "totp").await?;
            return Err(wrong());
        }
    };
    let opened = match open(&api, account, used, &client).await {
        // Somebody else has just used the same code.
        Err(problem) if problem.code() == "conflict" => return Err(wrong()),
        opened => opened?,
    };
    attempt.succeeded(&api).await?;
    Ok(opened)
}

/// The account of an address. A row that somebody else wrote is no account.
async fn find(api: &Api, email: String) -> Result<Option<Account>, Problem> {
    match api.store().read(move |tx| tx.account_by_email(&email)).await {
        Ok(found) => Ok(found.and_then(|row| api.vault().verify_server(row).ok())),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn wrong() -> Problem {
    Problem::new("unauthenticated", "e-mail, password or code is wrong")
}
