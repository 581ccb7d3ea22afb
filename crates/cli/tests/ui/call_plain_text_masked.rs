//! expect: E0423 cannot initialize a tuple struct which contains private fields
fn main() {}
fn wrong(output: String) -> keyward_model::mask::Masked {
    keyward_model::mask::Masked(output)
}
