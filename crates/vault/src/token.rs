//! Bearer tokens: made of 256 random bits, shown once, kept as an HMAC alone.

use crate::bytes::random;
use crate::vault::VaultError;
use data_encoding::BASE64URL_NOPAD;
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
}

impl TokenKind {
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Trigger => "trigger",
            Self::SetUp => "set-up",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Api => "kwa_",
            Self::Trigger => "",
            Self::SetUp => "kws_",
        }
    }
}

/// A new token in full, to be shown once.
pub struct NewToken(Zeroizing<String>);

impl NewToken {
    pub(crate) fn generate(kind: TokenKind) -> Result<Self, VaultError> {
        let bits = Zeroizing::new(random::<32>()?);
        let text = format!("{}{}", kind.prefix(), BASE64URL_NOPAD.encode(bits.as_slice()));
        Ok(Self(Zeroizing::new(text)))
    }

    /// The token, for the one answer, file or link that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
