//! Step kinds: each file executes one kind and gives what came out, masked.

pub(crate) mod app;
pub(crate) mod code;
pub(crate) mod http;

use crate::live::Live;
use keyward_model::error::StepErrorCode;
use keyward_model::mask::Masked;
use keyward_model::policy::StepContext;
use keyward_model::sealing::Sealing;
use keyward_model::template::Root;
use keyward_vault::{RunVault, StepFailure, StepVault};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What every kind is given.
pub(crate) struct StepInput {
    /// The step's id.
    pub(crate) step: String,
    /// From 1.
    pub(crate) attempt: u32,
    /// The same for each attempt at the same piece of work.
    pub(crate) idempotency_key: String,
    /// The time that the attempt has.
    pub(crate) timeout: Duration,
    /// What the attempt may log, in bytes.
    pub(crate) log_left: usize,
    /// The vault's side of the run.
    pub(crate) run_vault: RunVault,
    /// The vault's side of the step.
    pub(crate) vault: StepVault,
    /// The step as the vault knows it.
    pub(crate) context: StepContext,
    /// What is sealed of its output.
    pub(crate) sealing: Sealing,
    /// Where log lines go as they happen; none for no-store runs.
    pub(crate) live: Option<Arc<Live>>,
    /// The clock.
    pub(crate) clock: keyward_model::clock::Clock,
}

/// What an attempt gave off.
pub(crate) struct StepResult {
    /// The output as JSON, or the failure.
    pub(crate) outcome: Result<Masked, Failed>,
    /// What the step was given, where that is worth showing.
    pub(crate) input: Option<Masked>,
    /// Log lines.
    pub(crate) logs: Vec<LogLine>,
    /// Placeholders in the output and logs, with the keys that they stand for.
    pub(crate) seals: BTreeMap<String, String>,
}

/// A failure with its text masked.
pub(crate) struct Failed {
    pub(crate) code: StepErrorCode,
    pub(crate) message: Masked,
}

/// One line of a step's log, masked.
#[derive(Debug, Clone)]
pub(crate) struct LogLine {
    pub(crate) at: keyward_model::clock::Timestamp,
    pub(crate) level: &'static str,
    pub(crate) message: Masked,
    pub(crate) attempt: u32,
}

impl LogLine {
    /// The line as a JSON object; `message` was masked before it is quoted.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "at": self.at,
            "level": self.level,
            "message": self.message.as_str(),
            "attempt": self.attempt,
        })
    }
}

impl StepInput {
    /// Masks a failure's text and ends the attempt with it.
    pub(crate) fn failed(&self, failure: &StepFailure) -> Failed {
        Failed { code: failure.code, message: self.told(&failure.message) }
    }

    /// Masks an error's text, which names sealed values by their keys.
    pub(crate) fn told(&self, message: &str) -> Masked {
        self.run_vault.masker().text(&self.named(message))
    }

    /// Writes `[sealed:KEY]` where a sealed value stands: for people, who cannot use it.
    pub(crate) fn named(&self, text: &str) -> String {
        let seals = seals_in(self, text);
        let name = |text: String, (seal, key): (&String, &String)| {
            text.replace(seal.as_str(), &format!("[sealed:{key}]"))
        };
        seals.iter().fold(text.to_owned(), name)
    }

    /// Takes out of an output what is secret in it; the masker knows it from then on.
    pub(crate) fn receive(&self, output: &mut Value) -> Result<(), StepFailure> {
        let root = Root::Step(self.step.clone());
        let received = self.run_vault.receive(&self.context, &root, output, &self.sealing);
        received.map_err(|error| {
            tracing::error!(run = %self.context.run, %error, "output not sealed");
            StepFailure::not_sealed(&error)
        })
    }

    /// An attempt that failed before it gave anything else off.
    pub(crate) fn fail(&self, failure: &StepFailure) -> StepResult {
        StepResult {
            outcome: Err(self.failed(failure)),
            input: None,
            logs: Vec::new(),
            seals: BTreeMap::new(),
        }
    }
}

/// Which sealed values stand in a text, with their keys or origins: those that the step could use, and
/// those that it has received itself.
pub(crate) fn seals_in(input: &StepInput, text: &str) -> BTreeMap<String, String> {
    let mut seals = input.run_vault.received_in(text);
    seals.extend(input.vault.seals_in(text));
    seals
}
