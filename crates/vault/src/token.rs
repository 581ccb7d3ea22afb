//! Bearer tokens: made of 256 random bits, shown once, kept as an HMAC alone.

use crate::bytes::random;
use crate::vault::VaultError;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use zeroize::Zeroizing;

/// What a token is for: part of its hash, so that one kind never passes as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An API token, `kwa_…`.
    Api,
    /// The path token of an HTTP trigger.
    Trigger,
    /// The set-up link.
    SetUp,
    /// The cookie of a session.
    Session,
    /// What a write by cookie sends beside it: the hash of the session's token, kept nowhere.
    Csrf,
    /// An invitation's link.
    Invitation,
    /// A code that replaces an authenticator once.
    Recovery,
    /// An address or e-mail whose failed sign-ins are counted.
    SignIn,
}

impl TokenKind {
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Trigger => "trigger",
            Self::SetUp => "set-up",
            Self::Session => "session",
            Self::Csrf => "csrf",
            Self::Invitation => "invitation",
            Self::Recovery => "recovery",
            Self::SignIn => "sign-in",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Api => "kwa_",
            Self::SetUp => "kws_",
            Self::Session => "kwc_",
            Self::Invitation => "kwi_",
            Self::Trigger | Self::Csrf | Self::Recovery | Self::SignIn => "",
        }
    }
}

/// A new token in full, to be shown once.
pub struct NewToken(Zeroizing<String>);

impl NewToken {
    pub(crate) fn generate(kind: TokenKind) -> Result<Self, VaultError> {
        if kind == TokenKind::Recovery {
            return Self::written_down();
        }
        let bits = Zeroizing::new(random::<32>()?);
        let text = format!("{}{}", kind.prefix(), BASE64URL_NOPAD.encode(bits.as_slice()));
        Ok(Self(Zeroizing::new(text)))
    }

    /// 80 bits in four groups, since people copy it from paper.
    fn written_down() -> Result<Self, VaultError> {
        let bits = Zeroizing::new(random::<10>()?);
        let text = Zeroizing::new(BASE32_NOPAD.encode(bits.as_slice()).to_lowercase());
        let grouped = text.chars().enumerate().flat_map(|(at, letter)| {
            let dash = (at > 0 && at % 4 == 0).then_some('-');
            dash.into_iter().chain([letter])
        });
        Ok(Self::of(grouped.collect()))
    }

    pub(crate) fn of(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The token, for the one answer, file or link that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
