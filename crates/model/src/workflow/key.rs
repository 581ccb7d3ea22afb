//! The key by which workflows name a credential.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `[A-Za-z][A-Za-z0-9_.-]{0,127}`, such as `SLACK_BOT_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct CredentialKey(String);

/// Text that is no credential key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is a letter and up to 127 more of A-Z a-z 0-9 _ . -")]
pub struct InvalidKey;

impl CredentialKey {
    /// The longest key, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Reads a key.
    ///
    /// # Errors
    /// Any text of another form.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        let valid = starts && fits && text.len() <= Self::MAX_LENGTH;
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidKey) }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for CredentialKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::parse(text)
    }
}

impl std::borrow::Borrow<str> for CredentialKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for CredentialKey {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for CredentialKey {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CredentialKey".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.-]{0,127}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_form() {
        for text in ["A", "SLACK_BOT_TOKEN", "a.b-c_1", &"k".repeat(128)] {
            assert_eq!(CredentialKey::parse(text).map(|key| key.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1A", "_A", "A B", "Ä", "A\n", "{{ x }}", &"k".repeat(129)] {
            assert_eq!(CredentialKey::parse(text), Err(InvalidKey), "{text}");
        }
    }
}
