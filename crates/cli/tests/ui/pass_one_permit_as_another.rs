//! expect: E0308 mismatched types
use keyward_model::policy::{Expose, Permit, Use};
fn main() {}
fn needs_use(_: &Permit<Use>) {}
fn wrong(permit: &Permit<Expose>) {
    needs_use(permit);
}
