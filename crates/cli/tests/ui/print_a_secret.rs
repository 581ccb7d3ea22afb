//! expect: E0616 field `0` of struct
fn main() {}
fn wrong(exposed: keyward_vault::Exposed) -> String {
    exposed.0.to_string()
}
