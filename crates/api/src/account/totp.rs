//! `/api/v1/account/totp`: an authenticator is shown, confirmed by a code of it, and taken away.

use super::password::check;
use super::{change, factor, own};
use crate::auth::SignedIn;
use crate::body::Json;
use crate::guard::{Attempt, Client};
use crate::operation::{Access, Operation};
use crate::problem::Problem;
use crate::router::Api;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{Method, StatusCode};
use keyward_model::people::Account;
use keyward_vault::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;

pub(super) fn operations() -> Vec<Operation> {
    const BASE: &str = "/api/v1/account/totp";
    vec![
        Operation::new(
            Method::POST,
            BASE,
            "beginTotp",
            "Make the secret of an authenticator; it counts once a code of it was confirmed.",
            Access::SignedIn,
            begin,
        )
        .answer::<Pending>(201)
        .problems(&["forbidden", "conflict"]),
        Operation::new(
            Method::POST,
            "/api/v1/account/totp/confirm",
            "confirmTotp",
            "Confirm an authenticator by a code of it; gives recovery codes, shown once.",
            Access::SignedIn,
            confirm,
        )
        .body::<Code>()
        .answer::<Confirmed>(200)
        .problems(&["forbidden", "conflict", "rate_limited"]),
        Operation::new(
            Method::DELETE,
            BASE,
            "removeTotp",
            "Take the authenticator away; signing in asks for the password alone.",
            Access::SignedIn,
            remove,
        )
        .body::<Password>()
        .problems(&["forbidden", "conflict", "rate_limited"]),
    ]
}

/// An authenticator that is not confirmed yet.
#[derive(Serialize, JsonSchema)]
struct Pending {
    /// The secret in base32, for typing.
    secret: String,
    /// The same as `otpauth://` URL, for a picture to be scanned.
    url: String,
}

async fn begin(State(api): State<Api>, signed_in: SignedIn) -> Result<impl IntoResponse, Problem> {
    signed_in.whole()?;
    signed_in.lasting()?;
    let (account, members) = own(&api, &signed_in).await?;
    if account.has_totp() {
        let detail = "there is an authenticator; take it away before you set up another";
        return Err(Problem::new("conflict", detail));
    }
    let (secret, sealed) = api.vault().new_totp(account.id)?;
    let secret = secret.reveal().to_owned();
    let url = url(&account.email, &secret);
    let pending = Account { totp: Some(sealed), totp_confirmed: false, ..account };
    change(&api, pending, &members, "totp_begun").await?;
    Ok((StatusCode::CREATED, axum::Json(Pending { secret, url })))
}

/// The key URI that authenticators scan.
fn url(email: &str, secret: &str) -> String {
    let email: String = byte_serialize(email.as_bytes()).collect();
    format!("otpauth://totp/Keyward:{email}?secret={secret}&issuer=Keyward")
}

/// A code of an authenticator.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    /// The six digits that it shows now.
    #[schemars(with = "String")]
    code: Incoming,
}

/// The authenticator is asked for from now on.
#[derive(Serialize, JsonSchema)]
struct Confirmed {
    /// Each signs in once in place of a code; shown this once.
    recovery_codes: Vec<String>,
}

async fn confirm(
    State(api): State<Api>,
    signed_in: SignedIn,
    client: Client,
    Json(body): Json<Code>,
) -> Result<axum::Json<Confirmed>, Problem> {
    signed_in.whole()?;
    signed_in.lasting()?;
    let (account, members) = own(&api, &signed_in).await?;
    let Some(totp) = account.totp.as_ref().filter(|_| !account.totp_confirmed) else {
        return Err(Problem::new("conflict", "there is no authenticator to be confirmed"));
    };
    let attempt = Attempt::begin(&api, &client, Some(&account.email)).await?;
    let code = factor::plain(&body.code.into_plain());
    let step = api.vault().totp_step(account.id, totp.as_bytes(), &code, account.totp_step)?;
    let Some(totp_step) = step else {
        let detail = "the code is wrong, or the clocks of server and authenticator differ";
        return Err(Problem::fault("/code", "invalid_value", detail));
    };
    attempt.succeeded(&api).await?;
    let (codes, recovery) = factor::recovery_codes(api.vault())?;
    let confirmed = Account { totp_confirmed: true, totp_step, recovery, ..account };
    change(&api, confirmed, &members, "totp_confirmed").await?;
    let recovery_codes = codes.iter().map(|code| code.reveal().to_owned()).collect();
    Ok(axum::Json(Confirmed { recovery_codes }))
}

/// The account's password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Password {
    /// The password; it may be empty where none is set.
    #[schemars(with = "String")]
    password: Incoming,
}

async fn remove(
    State(api): State<Api>,
    signed_in: SignedIn,
    client: Client,
    Json(body): Json<Password>,
) -> Result<StatusCode, Problem> {
    signed_in.whole()?;
    signed_in.lasting()?;
    let (account, members) = own(&api, &signed_in).await?;
    if !account.password_hash.is_empty() {
        check(&api, &account, body.password, &client).await?;
    }
    if account.totp.is_none() {
        return Err(Problem::not_found());
    }
    let without = Account { totp: None, totp_confirmed: false, recovery: Vec::new(), ..account };
    change(&api, without, &members, "totp_removed").await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_the_account() {
        assert_eq!(
            url("ada+1@example.com", "ABC"),
            "otpauth://totp/Keyward:ada%2B1%40example.com?secret=ABC&issuer=Keyward"
        );
    }
}
