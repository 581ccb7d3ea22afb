//! expect: E0451 of struct
use keyward_model::policy::{Permit, Use};
fn main() {}
fn wrong(
    credential: std::sync::Arc<keyward_model::credential::Credential>,
    event: keyward_model::audit::Event,
) -> Permit<Use> {
    Permit { credential, event, purpose: std::marker::PhantomData }
}
