//! The JSON Schema (draft 2020-12) of a definition, for editors.

use serde_json::Value;

/// The schema of the document that [`super::Definition::parse`] reads. It says less than that
/// checks: templates, references between steps and what a server lacks are beyond it.
pub fn json_schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<document::Workflow>().to_value()
}

/// The document's form, for the schema alone; reading lists every fault and so goes another way.
#[expect(dead_code, reason = "only the schema that is derived from these types is used")]
mod document {
    use crate::workflow::{CredentialKey, Method, StepId};
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde_json::{Map, Value};
    use std::collections::BTreeMap;

    /// A workflow: what starts it and the steps that follow.
    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Workflow {
        /// The name that people read.
        #[schemars(length(min = 1, max = 200))]
        name: String,
        /// What the workflow is for.
        description: Option<String>,
        /// What starts the workflow; by hand where this is left out.
        trigger: Option<Trigger>,
        /// What holds for each run.
        settings: Option<Settings>,
        /// The steps, in order.
        #[schemars(length(max = 200))]
        steps: Vec<Step>,
    }

    /// What starts a workflow.
    #[derive(JsonSchema, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
    enum Trigger {
        /// A request to the workflow's own URL.
        Http {
            /// The only method that is taken; any where this is left out.
            method: Option<Method>,
            /// What the request is answered: 202 at once (the default), or the last output.
            respond: Option<Respond>,
        },
        /// The clock.
        Schedule {
            /// Minute, hour, day of the month, month, day of the week.
            cron: String,
            /// An IANA time zone; UTC where this is left out.
            timezone: Option<String>,
        },
        /// A person or a token.
        Manual {},
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Respond {
        Accepted,
        Result,
    }

    /// What holds for each run of the workflow.
    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        /// For how many days run data is kept.
        #[schemars(range(min = 1, max = 3650))]
        retention_days: Option<u32>,
        /// Whether runs leave nothing readable behind.
        no_store: Option<bool>,
    }

    /// One step.
    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Step {
        /// The step's name, as in `steps.<id>.output`.
        id: StepId,
        /// Runs the step only where this expression is true.
        when: Option<Expression>,
        /// Runs the step for each item of this array.
        for_each: Option<Expression>,
        /// What follows a failed attempt.
        retry: Option<Retry>,
        /// How long an attempt may take.
        #[schemars(range(min = 0.1, max = 3600.0))]
        timeout_seconds: Option<f64>,
        /// What follows when no attempt is left: the run fails (the default) or goes on.
        on_error: Option<OnError>,
        /// What follows when the server dies in the middle: the step runs again (the default) or fails.
        on_interrupt: Option<OnInterrupt>,
        #[serde(flatten)]
        kind: Kind,
    }

    /// One `{{ expression }}` and nothing else.
    #[derive(JsonSchema, Serialize)]
    #[serde(transparent)]
    struct Expression(#[schemars(regex(pattern = r"^\s*\{\{[\s\S]*\}\}\s*$"))] String);

    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Retry {
        /// Attempts in all.
        #[schemars(range(min = 1, max = 10))]
        attempts: u32,
        /// The time before the second attempt; 1 where this is left out.
        #[schemars(range(min = 0, max = 3600))]
        delay_seconds: Option<f64>,
        /// Whether the time stays (the default) or doubles.
        backoff: Option<Backoff>,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Backoff {
        Fixed,
        Exponential,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum OnError {
        Fail,
        Continue,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum OnInterrupt {
        Retry,
        Fail,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Kind {
        /// Runs a script.
        Code {
            /// The body of an async function; what it returns is the output.
            source: String,
            /// The language of the source; JavaScript where this is left out.
            language: Option<Language>,
            /// Keys that the code may use beside those in its string literals.
            credentials: Option<Vec<CredentialKey>>,
        },
        /// Sends a request.
        Http {
            /// What the request is authenticated with.
            credential: Option<Credential>,
            /// The request.
            request: Request,
        },
        /// Does an app's action.
        App {
            /// The app's id.
            app: String,
            /// The action's id.
            action: String,
            /// What the action is authenticated with.
            credential: Option<Credential>,
            /// The action's inputs; strings are templates.
            inputs: Option<Map<String, Value>>,
            /// Whether a secret is read again that the run has read already; it is not, unless said.
            fresh: Option<bool>,
        },
        /// Lets a model work with tools.
        Agent {
            /// The model.
            model: Model,
            /// What it is asked; a template.
            prompt: String,
            /// `http`, `code` or `<app>.<action>`.
            tools: Option<Vec<String>>,
            /// The keys that it may use.
            credentials: Option<Vec<CredentialKey>>,
            /// How many answers at most; 20 where this is left out.
            #[schemars(range(min = 1, max = 100))]
            max_turns: Option<u32>,
            /// How many tokens an answer may have at most.
            #[schemars(range(min = 1, max = 1_000_000))]
            max_tokens: Option<u32>,
            /// The JSON Schema of the output.
            output_schema: Option<Map<String, Value>>,
        },
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Language {
        JavaScript,
        TypeScript,
    }

    /// Where a credential comes from.
    #[derive(JsonSchema, Serialize)]
    enum Credential {
        /// A key in the vault.
        #[serde(rename = "$credential")]
        Stored(CredentialKey),
        /// The run's own data.
        #[serde(rename = "$external")]
        External(External),
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct External {
        /// The scheme or type; may be left out where the app has one only.
        scheme: Option<String>,
        /// Each secret field as a path into the run's data, such as `{{ trigger.body.token }}`; one that
        /// is not secret may be written out.
        fields: BTreeMap<String, String>,
    }

    /// A request; strings are templates. It has one of `json`, `form` and `text` at most.
    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        /// `GET` where this is left out.
        method: Option<Method>,
        /// An http or https URL.
        url: String,
        /// Header names and values.
        headers: Option<BTreeMap<String, Scalar>>,
        /// Query parameters beside the URL's own.
        query: Option<BTreeMap<String, Parameter>>,
        /// A JSON body.
        json: Option<Value>,
        /// A body of form fields.
        form: Option<BTreeMap<String, Parameter>>,
        /// A body of text.
        text: Option<String>,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Number(f64),
        Flag(bool),
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(untagged)]
    enum Parameter {
        One(Scalar),
        Many(Vec<Scalar>),
        None(()),
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Model {
        /// Whose interface it speaks.
        provider: Provider,
        /// The model's name.
        name: String,
        /// Where it is served; the provider's own place where this is left out.
        base_url: Option<String>,
        /// What it is authenticated with.
        credential: Option<Credential>,
    }

    #[derive(JsonSchema, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Provider {
        OpenAi,
        Anthropic,
    }
}
