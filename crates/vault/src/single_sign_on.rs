//! Single sign-on: the conversation with the one configured OpenID provider. The code flow with
//! PKCE (RFC 6749, RFC 7636), by the rules of RFC 9700; every request goes through the guarded client.

mod discovery;
mod exchange;
mod flow;
mod request;
mod token;

use crate::bytes::sha256;
use crate::secret::Incoming;
use crate::vault::{Vault, VaultError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use discovery::{Discovered, Discovery};
use flow::Flow;
use keyward_egress::EgressError;
use keyward_model::clock::Timestamp;
use keyward_model::single_sign_on::{Claims, Expected, Mapping, Refused, check};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use url::Url;

/// The provider and our client there, as the operator says.
pub struct ProviderSettings {
    /// The issuer, exactly as its metadata says it.
    pub issuer: String,
    /// Our client id.
    pub client_id: String,
    /// Our client's secret; without one it is a public client.
    pub client_secret: Option<Incoming>,
    /// What is asked for, with spaces between.
    pub scopes: String,
    /// Where the provider sends browsers back to.
    pub redirect_uri: String,
}

/// Settings that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The issuer.
    #[error("the issuer is not an http or https URL without query and fragment")]
    Issuer,
    /// The scopes.
    #[error("the scopes must hold `openid`")]
    Scopes,
    /// The client id.
    #[error("the client id is empty")]
    ClientId,
}

/// Why nobody was signed in. No text holds what the provider or the browser sent.
#[derive(Debug, thiserror::Error)]
pub enum SignOnError {
    /// The answer belongs to no sign-in that this browser has begun, or to one that is over.
    #[error("the answer does not belong to a sign-in that this browser has under way")]
    State,
    /// The answer comes from another issuer (RFC 9207).
    #[error("the answer is not from the configured issuer")]
    Issuer,
    /// The provider sent an error in place of a code.
    #[error("the provider did not sign the person in")]
    Denied,
    /// The provider cannot be reached.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The provider's metadata, keys or answer are not as they must be.
    #[error("{0}")]
    Provider(&'static str),
    /// The ID token is not believed.
    #[error(transparent)]
    Claims(#[from] Refused),
    /// Sealing.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl SignOnError {
    /// A fixed word for logs and pages.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Issuer => "issuer",
            Self::Denied => "denied",
            Self::Egress(_) => "unreachable",
            Self::Provider(_) => "provider",
            Self::Claims(_) => "token",
            Self::Vault(_) => "internal",
        }
    }
}

/// A sign-in that has begun.
pub struct Begun {
    /// Where the browser is sent.
    pub location: String,
    /// What the browser keeps until it comes back: sealed, of the cookie alphabet.
    pub cookie: String,
}

/// What the browser brings back.
#[derive(Default)]
pub struct Returned {
    /// `state`
    pub state: Option<Incoming>,
    /// `code`
    pub code: Option<Incoming>,
    /// `iss`
    pub iss: Option<String>,
}

/// A person whom the provider has signed in.
pub struct SignedOn {
    /// Checked claims.
    pub claims: Claims,
    /// Where the browser wanted to go.
    pub return_to: String,
}

/// The one provider that people sign in at.
pub struct Provider {
    settings: ProviderSettings,
    discovery: Discovery,
    /// States that were answered, until they are too old anyway.
    answered: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Provider {
    /// A provider by its settings; nothing is asked of it yet.
    ///
    /// # Errors
    /// The setting that cannot work.
    pub fn new(settings: ProviderSettings) -> Result<Self, SettingsError> {
        let issuer = Url::parse(&settings.issuer).map_err(|_| SettingsError::Issuer)?;
        let plain = issuer.query().is_none() && issuer.fragment().is_none();
        if !plain || !["http", "https"].contains(&issuer.scheme()) {
            return Err(SettingsError::Issuer);
        }
        if !settings.scopes.split(' ').any(|scope| scope == "openid") {
            return Err(SettingsError::Scopes);
        }
        if settings.client_id.is_empty() {
            return Err(SettingsError::ClientId);
        }
        let discovery = Discovery::new(&settings.issuer);
        Ok(Self { settings, discovery, answered: Mutex::default() })
    }

    /// Begins a sign-in that ends at a path of this server.
    ///
    /// # Errors
    /// Where the provider's metadata cannot be had, or is not what it must be.
    pub async fn begin(&self, vault: &Vault, return_to: &str) -> Result<Begun, SignOnError> {
        let known = self.discovery.get(vault).await?;
        let flow = Flow::new(vault.now(), return_to)?;
        let mut location = known.authorization_endpoint.clone();
        let challenge = URL_SAFE_NO_PAD.encode(sha256(flow.verifier.as_bytes()));
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect_uri)
            .append_pair("scope", &self.settings.scopes)
            .append_pair("state", &flow.state)
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(Begun { location: location.into(), cookie: flow.seal(vault)? })
    }

    /// Ends a sign-in: checks what came back against the browser's cookie, exchanges the code, and
    /// verifies the ID token. Claims that the mapping needs are asked for where the token lacks them.
    ///
    /// # Errors
    /// The first rule that is broken; before the state has been found right, nothing is sent.
    pub async fn complete(
        &self,
        vault: &Vault,
        cookie: &str,
        returned: &Returned,
        mapping: &Mapping,
    ) -> Result<SignedOn, SignOnError> {
        let flow = Flow::open(vault, cookie).ok_or(SignOnError::State)?;
        self.answer_once(&flow, returned.state.as_ref(), vault.now())?;
        let known = self.discovery.get(vault).await?;
        self.check_issuer(&known, returned.iss.as_deref())?;
        let code = returned.code.as_ref().ok_or(SignOnError::Denied)?;
        let tokens = self.exchange(vault, &known, code, &flow).await?;
        let mut claims = self.verified(vault, tokens.id_token()).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: &flow.nonce,
            now: vault.now(),
        };
        check(&claims, &expected)?;
        if !claims.contains_key("email") || !mapping.has_claim(&claims) {
            self.add_user_info(vault, &known, &tokens, &mut claims).await?;
        }
        Ok(SignedOn { claims, return_to: flow.return_to.clone() })
    }

    /// The state must be this browser's, young, and not answered before.
    fn answer_once(
        &self,
        flow: &Flow,
        state: Option<&Incoming>,
        now: Timestamp,
    ) -> Result<(), SignOnError> {
        let sent = state.ok_or(SignOnError::State)?.expose();
        if flow.ends_at <= now || !bool::from(sent.ct_eq(flow.state.as_bytes())) {
            return Err(SignOnError::State);
        }
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.retain(|_, ends_at| *ends_at > now);
        match answered.insert(sha256(sent), flow.ends_at) {
            None => Ok(()),
            Some(_) => Err(SignOnError::State),
        }
    }

    /// Compared as plain text (RFC 9207 §2.4), and demanded of who says that they send it.
    fn check_issuer(&self, known: &Discovered, iss: Option<&str>) -> Result<(), SignOnError> {
        match iss {
            Some(iss) if iss == self.settings.issuer => Ok(()),
            None if !known.sends_issuer => Ok(()),
            _ => Err(SignOnError::Issuer),
        }
    }

    /// The claims of an ID token, after its signature has been verified. A key that is not known is
    /// looked for once more.
    async fn verified(&self, vault: &Vault, id_token: &[u8]) -> Result<Claims, SignOnError> {
        let keys = self.discovery.keys(vault, false).await?;
        let found = match token::verify(id_token, &keys) {
            Err(token::Fault::UnknownKey) => {
                token::verify(id_token, &self.discovery.keys(vault, true).await?)
            }
            found => found,
        };
        found.map_err(|fault| SignOnError::Provider(fault.text()))
    }
}
