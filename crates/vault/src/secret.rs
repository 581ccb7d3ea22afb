//! `Secret`: a credential value in memory. It cannot be printed, cloned or serialised, never leaves
//! this crate, and is wiped when dropped.

use zeroize::Zeroizing;

/// A value opened from the vault.
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A second one of the same value, for whoever keeps the first.
    pub(crate) fn copied(&self) -> Self {
        Self(self.0.clone())
    }

    /// The value as text; fields are text when they are saved, so this fails for foreign bytes alone.
    pub(crate) fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// A value that a person has just sent, on its way into the vault: read from a request body, sealed,
/// and wiped. Deserialises from a JSON string; cannot be printed or serialised.
pub struct Incoming(Zeroizing<String>);

impl Incoming {
    /// Takes over text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// How many bytes the value has, for the limit.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether the value begins as its vendor's do.
    pub fn begins_with_one_of(&self, prefixes: &[String]) -> bool {
        prefixes.iter().any(|prefix| self.0.starts_with(prefix.as_str()))
    }

    /// How well the masker can hide the value, for the warning at save.
    pub fn strength(&self) -> keyward_model::mask::Strength {
        keyward_model::mask::strength(self.0.as_bytes())
    }

    /// Gives the value up as plain configuration, for a field that the caller marked as not secret.
    pub fn into_plain(self) -> String {
        self.0.to_string()
    }
}

impl<'de> serde::Deserialize<'de> for Incoming {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A value handed to code that may read it (`code_access: readable`), on its way into the sandbox.
pub struct Exposed(Zeroizing<String>);

impl Exposed {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// Gives the value up to the one frame that carries it into the step's process.
    pub fn into_frame(self) -> Zeroizing<String> {
        self.0
    }
}
