//! What the provider says of itself: its metadata (OpenID Connect Discovery 1.0) and its keys, kept
//! for an hour.

use super::SignOnError;
use super::request;
use crate::vault::Vault;
use jsonwebtoken::jwk::Jwk;
use keyward_model::clock::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Mutex;
use url::Url;

/// How long metadata and keys are kept.
const KEEP_MILLIS: i64 = 60 * 60 * 1000;
/// How soon keys may be asked for again because of one that is not known.
const AGAIN_MILLIS: i64 = 60 * 1000;

/// The metadata that is used.
pub(super) struct Discovered {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: String,
    pub(super) user_info_endpoint: Option<String>,
    /// How our client may show its secret.
    pub(super) authentication: Vec<String>,
    /// Whether answers carry `iss` (RFC 9207).
    pub(super) sends_issuer: bool,
    keys_endpoint: String,
    found_at: Timestamp,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Default)]
struct Known {
    metadata: Option<Arc<Discovered>>,
    keys: Option<(Arc<Vec<Jwk>>, Timestamp)>,
}

/// The provider's metadata and keys, asked for when they are needed.
pub(super) struct Discovery {
    issuer: String,
    known: Mutex<Known>,
}

impl Discovery {
    pub(super) fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), known: Mutex::default() }
    }

    /// The metadata.
    pub(super) async fn get(&self, vault: &Vault) -> Result<Arc<Discovered>, SignOnError> {
        let mut known = self.known.lock().await;
        self.metadata(vault, &mut known).await
    }

    /// The keys; `again`: one was not among them, so they are asked for again, once a minute at most.
    pub(super) async fn keys(
        &self,
        vault: &Vault,
        again: bool,
    ) -> Result<Arc<Vec<Jwk>>, SignOnError> {
        let mut known = self.known.lock().await;
        let (now, keep) = (vault.now(), if again { AGAIN_MILLIS } else { KEEP_MILLIS });
        if let Some((keys, found_at)) = &known.keys
            && found_at.plus_millis(keep) > now
        {
            return Ok(keys.clone());
        }
        let metadata = self.metadata(vault, &mut known).await?;
        let set: KeySet = request::get(vault, &metadata.keys_endpoint, None).await?;
        // Keys of other kinds than ours may stand beside them.
        let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys = Arc::new(keys.collect::<Vec<Jwk>>());
        known.keys = Some((keys.clone(), now));
        Ok(keys)
    }

    async fn metadata(
        &self,
        vault: &Vault,
        known: &mut Known,
    ) -> Result<Arc<Discovered>, SignOnError> {
        let now = vault.now();
        if let Some(metadata) = &known.metadata
            && metadata.found_at.plus_millis(KEEP_MILLIS) > now
        {
            return Ok(metadata.clone());
        }
        let issuer = self.issuer.trim_end_matches('/');
        let url = format!("{issuer}/.well-known/openid-configuration");
        let said: Metadata = request::get(vault, &url, None).await?;
        // Character by character (OpenID Connect Discovery 1.0 §4.3).
        if said.issuer != self.issuer {
            return Err(SignOnError::Provider("the provider's metadata is of another issuer"));
        }
        // A browser goes there, but by the same rules: no plain http that is not allowed.
        let authorization_endpoint = Url::parse(&said.authorization_endpoint)
            .map_err(|_| SignOnError::Provider("the provider's metadata cannot be read"))?;
        vault.egress().check_url(&authorization_endpoint)?;
        let basic = || vec!["client_secret_basic".to_owned()];
        let metadata = Arc::new(Discovered {
            authorization_endpoint,
            token_endpoint: said.token_endpoint,
            user_info_endpoint: said.userinfo_endpoint,
            authentication: said.token_endpoint_auth_methods_supported.unwrap_or_else(basic),
            sends_issuer: said.authorization_response_iss_parameter_supported,
            keys_endpoint: said.jwks_uri,
            found_at: now,
        });
        known.metadata = Some(metadata.clone());
        Ok(metadata)
    }
}
