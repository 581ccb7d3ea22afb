//! `agent` steps: a language model with tools.

use super::credential::{CredentialInput, read_keys};
use super::key::CredentialKey;
use super::node::{Node, Object};
use crate::template::Template;
use serde_json::Value;
use url::Url;

/// The members of an `agent` step.
pub(super) const MEMBERS: &[&str] =
    &["model", "prompt", "tools", "credentials", "max_turns", "max_tokens", "output_schema"];

/// Lets a model work on a prompt.
#[derive(Debug)]
pub struct AgentStep {
    /// The model.
    pub model: Model,
    /// What it is asked.
    pub prompt: Template,
    /// What it may do.
    pub tools: Vec<Tool>,
    /// The keys that it may use.
    pub credentials: Vec<CredentialKey>,
    /// How many answers of the model at most, 1 to 100; 20 where none is given.
    pub max_turns: u32,
    /// How many tokens an answer may have at most, if that is limited.
    pub max_tokens: Option<u32>,
    /// The JSON Schema of the `output`, if it is asked for.
    pub output_schema: Option<Value>,
}

/// A model and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Whose interface it speaks.
    pub provider: Provider,
    /// The model's name.
    pub name: String,
    /// Where it is served; `None` for the provider's own place.
    pub base_url: Option<Url>,
    /// What it is authenticated with.
    pub credential: Option<CredentialInput>,
}

/// Whose interface a model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI's, which many servers offer.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// A tool that an agent may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// `http`.
    Http,
    /// `code`.
    Code,
    /// `<app>.<action>`.
    App {
        /// The app's id.
        app: String,
        /// The action's id.
        action: String,
    },
}

const PROVIDERS: &[(&str, Provider)] =
    &[("openai", Provider::OpenAi), ("anthropic", Provider::Anthropic)];
const MAX_TURNS: u32 = 20;

impl AgentStep {
    pub(super) fn read(step: &Object<'_>) -> Option<Self> {
        let model = step.required("model").and_then(|model| Model::read(&model));
        let prompt = step.required("prompt").and_then(|prompt| prompt.template());
        let tools = step.or_default("tools", |tools| {
            let tools: Vec<_> = tools.items()?.iter().map(Tool::read).collect();
            tools.into_iter().collect()
        });
        let credentials = step.or_default("credentials", read_keys);
        let max_turns = step.optional("max_turns", |turns| turns.integer(1..=100));
        let max_tokens = step.optional("max_tokens", |tokens| tokens.integer(1..=1_000_000));
        let schema = step.optional("output_schema", |schema| {
            schema.open_object().map(|schema| schema.node.value.clone())
        });
        Some(Self {
            model: model?,
            prompt: prompt?,
            tools: tools?,
            credentials: credentials?,
            max_turns: max_turns?.unwrap_or(MAX_TURNS),
            max_tokens: max_tokens?,
            output_schema: schema?,
        })
    }
}

impl Model {
    fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["provider", "name", "base_url", "credential"])?;
        let provider = object.required("provider").and_then(|p| p.word(PROVIDERS));
        let name = object.required("name").and_then(|name| name.line(200));
        let base_url = object.optional("base_url", |url| {
            let parsed = Url::parse(url.text()?).ok();
            let fits = |u: &Url| u.has_host() && matches!(u.scheme(), "http" | "https");
            parsed.filter(fits).or_else(|| url.fault("invalid_url", "must be an http or https URL"))
        });
        let credential = object.optional("credential", CredentialInput::read);
        let (provider, name) = (provider?, name?);
        Some(Self { provider, name, base_url: base_url?, credential: credential? })
    }
}

impl Tool {
    fn read(node: &Node<'_>) -> Option<Self> {
        match node.text()? {
            "http" => Some(Self::Http),
            "code" => Some(Self::Code),
            text => match text.split_once('.') {
                Some((app, action)) if !app.is_empty() && !action.is_empty() => {
                    Some(Self::App { app: app.to_owned(), action: action.to_owned() })
                }
                _ => node.fault("invalid_value", "must be http, code, or <app>.<action>"),
            },
        }
    }
}
