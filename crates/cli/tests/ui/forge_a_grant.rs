//! expect: E0451 of struct
use keyward_model::policy::{Grant, StepContext};
use keyward_model::settings::Expose;
fn main() {}
fn wrong(context: StepContext, credential: std::sync::Arc<keyward_model::credential::Credential>) -> Grant {
    Grant { context, credential, require_hosts: false, expose: Expose::On, test: false }
}
