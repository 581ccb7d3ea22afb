//! expect: E0451 of struct
use keyward_model::policy::{Grant, StepContext};
fn main() {}
fn wrong(context: StepContext, credential: std::sync::Arc<keyward_model::credential::Credential>) -> Grant {
    Grant { context, credential }
}
