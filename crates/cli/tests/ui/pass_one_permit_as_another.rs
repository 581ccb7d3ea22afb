//! expect: E0308 mismatched types
use keyward_model::policy::{Exposure, Permit, Use};
fn main() {}
fn needs_use(_: &Permit<Use>) {}
fn wrong(permit: &Permit<Exposure>) {
    needs_use(permit);
}
