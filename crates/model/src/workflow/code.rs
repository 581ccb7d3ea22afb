//! `code` steps: a script in the sandbox.

use super::credential::read_keys;
use super::key::CredentialKey;
use super::node::Object;

/// The members of a `code` step.
pub(super) const MEMBERS: &[&str] = &["source", "language", "credentials"];

/// Runs the body of an async function; what it returns is the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeStep {
    /// The function's body.
    pub source: String,
    /// The language of the source.
    pub language: Language,
    /// Keys that the code may use beside those in its string literals.
    pub credentials: Vec<CredentialKey>,
}

/// The language of a code step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// ECMAScript.
    #[default]
    JavaScript,
    /// TypeScript, whose types are stripped when the workflow is saved.
    TypeScript,
}

const LANGUAGES: &[(&str, Language)] =
    &[("javascript", Language::JavaScript), ("typescript", Language::TypeScript)];

impl CodeStep {
    pub(super) fn read(step: &Object<'_>) -> Option<Self> {
        let source = step.required("source").and_then(|source| source.text().map(str::to_owned));
        let language = step.or_default("language", |language| language.word(LANGUAGES));
        let credentials = step.or_default("credentials", read_keys);
        Some(Self { source: source?, language: language?, credentials: credentials? })
    }
}
