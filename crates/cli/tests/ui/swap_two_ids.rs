//! expect: E0308 mismatched types
use keyward_model::id::{CredentialId, RunId};
fn main() {}
fn needs_credential(_: CredentialId) {}
fn wrong(run: RunId) {
    needs_credential(run);
}
