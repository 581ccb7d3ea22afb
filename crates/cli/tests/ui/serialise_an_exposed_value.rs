//! expect: E0277 the trait bound
fn main() {}
fn wrong(value: keyward_vault::Exposed) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}
