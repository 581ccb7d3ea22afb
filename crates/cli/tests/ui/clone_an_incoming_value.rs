//! expect: E0599 no method named `clone`
fn main() {}
fn wrong(value: keyward_vault::Incoming) -> keyward_vault::Incoming {
    value.clone()
}
