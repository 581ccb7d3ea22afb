//! The `app` step: one action of an app, with inputs from templates.

use super::http::using;
use super::{StepInput, StepResult};
use keyward_model::error::StepErrorCode;
use keyward_model::template::Context;
use keyward_model::workflow::AppStep;
use keyward_vault::{Act, StepFailure, Vault};
use serde_json::{Value, json};

/// Executes one attempt.
pub(crate) async fn execute(
    input: &StepInput,
    vault: &Vault,
    step: &AppStep,
    context: &Context,
) -> StepResult {
    let inputs = match step.inputs.render(context) {
        Ok(inputs) => inputs,
        Err(error) => {
            let message = format!("/inputs{}", error.pointer);
            let error = keyward_model::template::TemplateError { pointer: message, ..error };
            let failure = StepFailure::new(StepErrorCode::TemplateError, error.to_string());
            return input.fail(&failure);
        }
    };
    let shown = json!({ "app": step.app, "action": step.action, "inputs": inputs });
    let mut result = match act(input, vault, step, context, inputs).await {
        Ok(output) => {
            let output = input.run_vault.masker().json(&output);
            let seals = super::seals_in(input, output.as_str());
            StepResult { outcome: Ok(output), input: None, logs: Vec::new(), seals }
        }
        Err(failure) => input.fail(&failure),
    };
    let shown = input.run_vault.masker().json(&shown);
    result.seals.extend(super::seals_in(input, shown.as_str()));
    result.input = Some(shown);
    result
}

async fn act(
    input: &StepInput,
    vault: &Vault,
    step: &AppStep,
    context: &Context,
    inputs: Value,
) -> Result<Value, StepFailure> {
    let app = vault.app(input.context.workspace, &step.app).await.map_err(|error| {
        tracing::error!(run = %input.context.run, %error, "app not read");
        StepFailure::new(StepErrorCode::Internal, "the app cannot be read")
    })?;
    let app = app.ok_or_else(|| {
        let message = format!("there is no app \"{}\" any more", step.app);
        StepFailure::new(StepErrorCode::ValidationFailed, message)
    })?;
    let credential = step.credential.as_ref().ok_or_else(|| {
        let message = "the step names no credential";
        StepFailure::new(StepErrorCode::ValidationFailed, message)
    })?;
    let act = Act {
        app: &app,
        action: &step.action,
        inputs,
        using: using(credential, None, context),
        sealing: &input.sealing,
        fresh: step.fresh,
        idempotency_key: &input.idempotency_key,
        timeout: input.timeout,
    };
    input.vault.act(act).await
}
