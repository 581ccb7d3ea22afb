//! What a browser keeps while a person signs in elsewhere: sealed, so that it can be neither read
//! nor made by anybody else.

use crate::bytes::random;
use crate::seal::{self, Aad};
use crate::vault::{Vault, VaultError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_model::clock::Timestamp;
use zeroize::Zeroizing;

/// How long a person may take.
const MILLIS: i64 = 10 * 60 * 1000;
const LABEL: &str = "keyward/sign-in/v1";

/// A sign-in under way.
pub(super) struct Flow {
    pub(super) ends_at: Timestamp,
    /// Ties the answer to this browser.
    pub(super) state: Zeroizing<String>,
    /// Ties the ID token to this sign-in.
    pub(super) nonce: Zeroizing<String>,
    /// Ties the code to us (RFC 7636).
    pub(super) verifier: Zeroizing<String>,
    /// A path of this server.
    pub(super) return_to: String,
}

impl Flow {
    pub(super) fn new(now: Timestamp, return_to: &str) -> Result<Self, VaultError> {
        Ok(Self {
            ends_at: now.plus_millis(MILLIS),
            state: unguessable()?,
            nonce: unguessable()?,
            verifier: unguessable()?,
            return_to: return_to.to_owned(),
        })
    }

    /// The cookie's value.
    pub(super) fn seal(&self, vault: &Vault) -> Result<String, VaultError> {
        // No part but the last can hold a line break.
        let Self { ends_at, state, nonce, verifier, return_to } = self;
        let (ends_at, state, nonce) = (ends_at.millis(), state.as_str(), nonce.as_str());
        let verifier = verifier.as_str();
        let plain = Zeroizing::new(format!("{ends_at}\n{state}\n{nonce}\n{verifier}\n{return_to}"));
        let key = vault.server().sign_in();
        let sealed = seal::seal(key, [0; 16], &Aad::new(LABEL), plain.as_bytes())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed.as_bytes()))
    }

    /// Reads a cookie; `None` for anything that this server has not sealed.
    pub(super) fn open(vault: &Vault, cookie: &str) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let key = vault.server().sign_in();
        let plain = seal::open(key, [0; 16], &Aad::new(LABEL), &sealed).ok()?;
        let mut parts = std::str::from_utf8(&plain).ok()?.splitn(5, '\n');
        let ends_at = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let mut secret = || Some(Zeroizing::new(parts.next()?.to_owned()));
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        Some(Self { ends_at, state, nonce, verifier, return_to: parts.next()?.to_owned() })
    }
}

/// 256 random bits as 43 characters.
fn unguessable() -> Result<Zeroizing<String>, VaultError> {
    let bits = Zeroizing::new(random::<32>()?);
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bits.as_slice())))
}
