//! The name of a step within its workflow.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `[A-Za-z][A-Za-z0-9_]{0,63}`, so that `steps.<id>` is an expression in templates and code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StepId(String);

/// Text that is no step id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a step's id is a letter and up to 63 more of A-Z a-z 0-9 _")]
pub struct InvalidStepId;

impl StepId {
    /// Reads an id.
    ///
    /// # Errors
    /// Any text of another form.
    pub fn parse(text: &str) -> Result<Self, InvalidStepId> {
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if starts && fits && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidStepId)
        }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StepId> for String {
    fn from(id: StepId) -> Self {
        id.0
    }
}

impl std::borrow::Borrow<str> for StepId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for StepId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StepId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,63}$" })
    }
}
