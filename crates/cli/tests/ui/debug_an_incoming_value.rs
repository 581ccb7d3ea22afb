//! expect: E0277 doesn't implement
fn main() {}
fn wrong(value: &keyward_vault::Incoming) -> String {
    format!("{value:?}")
}
