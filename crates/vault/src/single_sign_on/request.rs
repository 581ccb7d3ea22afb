//! Requests to the provider: through the guarded client, small, quick, and JSON.

use super::SignOnError;
use crate::secret::Incoming;
use crate::vault::Vault;
use bytes::Bytes;
use http::header;
use keyward_egress::{Draft, Filled, Response};
use serde::de::DeserializeOwned;
use std::time::Duration;
use zeroize::{Zeroize as _, Zeroizing};

/// For each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Metadata, keys and tokens are far smaller.
const MAX_ANSWER: usize = 1024 * 1024;
/// Which connections these requests share: none with a workspace.
const POOL: &str = "single-sign-on";
const JSON: (&str, &str) = ("accept", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Gets JSON, with an access token where it takes one.
pub(super) async fn get<T: DeserializeOwned>(
    vault: &Vault,
    url: &str,
    access_token: Option<&Incoming>,
) -> Result<T, SignOnError> {
    let draft = Draft::parse("GET", url, [JSON], Bytes::new())?;
    let mut filled = Filled::default();
    if let Some(token) = access_token {
        let value = [b"Bearer ", token.expose()].concat();
        filled.headers.push((header::AUTHORIZATION, Zeroizing::new(value)));
    }
    send(vault, &draft, filled).await
}

/// A form, whose fields are secrets.
pub(super) struct Form {
    /// As `application/x-www-form-urlencoded`.
    pub(super) fields: Zeroizing<String>,
    /// The `Authorization` header.
    pub(super) authorization: Option<Zeroizing<Vec<u8>>>,
}

/// Posts a form.
pub(super) async fn post<T: DeserializeOwned>(
    vault: &Vault,
    url: &str,
    form: Form,
) -> Result<T, SignOnError> {
    let draft = Draft::parse("POST", url, [JSON, FORM], Bytes::new())?;
    let authorization = form.authorization.map(|value| (header::AUTHORIZATION, value));
    let filled = Filled {
        headers: authorization.into_iter().collect(),
        body: Some(Zeroizing::new(form.fields.as_bytes().to_vec())),
        ..Filled::default()
    };
    send(vault, &draft, filled).await
}

async fn send<T: DeserializeOwned>(
    vault: &Vault,
    draft: &Draft,
    filled: Filled,
) -> Result<T, SignOnError> {
    let Response { status, body, .. } =
        vault.egress().send(POOL, draft.fill(filled)?, PATIENCE).await?;
    let read = match status {
        200 if body.len() <= MAX_ANSWER => serde_json::from_slice(&body).ok(),
        _ => None,
    };
    wipe(body);
    read.ok_or_else(|| {
        let destination = draft.destination();
        tracing::warn!(%destination, status, "a provider's answer cannot be used");
        SignOnError::Provider("an answer of the provider is not what it must be")
    })
}

/// The answer may hold tokens.
fn wipe(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.as_mut().zeroize();
    }
}
