//! `app` steps: one action of an app from the catalogue.

use super::credential::CredentialInput;
use super::node::Object;
use crate::template::TemplatedValue;
use serde_json::{Value, json};

/// The members of an `app` step.
pub(super) const MEMBERS: &[&str] = &["app", "action", "credential", "inputs", "fresh"];

/// Does one of an app's actions. Which there are, and what they take, is the catalogue's to check.
#[derive(Debug)]
pub struct AppStep {
    /// The app's id.
    pub app: String,
    /// The action's id within the app.
    pub action: String,
    /// What the action is authenticated with.
    pub credential: Option<CredentialInput>,
    /// The action's inputs: an object.
    pub inputs: TemplatedValue,
    /// Whether a secret is read again that the run has read already.
    pub fresh: bool,
    /// The inputs as they are written, for holding them against the action's schema.
    pub written: Value,
}

impl AppStep {
    pub(super) fn read(step: &Object<'_>) -> Option<Self> {
        let app = step.required("app").and_then(|app| app.line(100));
        let action = step.required("action").and_then(|action| action.line(100));
        let credential = step.optional("credential", CredentialInput::read);
        let written = step.get("inputs").map_or_else(|| json!({}), |inputs| inputs.value.clone());
        let inputs = match step.get("inputs") {
            Some(inputs) => inputs.open_object().and_then(|inputs| inputs.node.data()),
            None => TemplatedValue::compile(&json!({}), "").ok(),
        };
        let fresh = step.or_default("fresh", |flag| flag.flag());
        let (app, action, credential) = (app?, action?, credential?);
        Some(Self { app, action, credential, inputs: inputs?, fresh: fresh?, written })
    }
}
