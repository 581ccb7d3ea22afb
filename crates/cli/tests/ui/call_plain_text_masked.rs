//! expect: E0603 tuple struct constructor `Masked` is private
fn main() {}
fn wrong(output: String) -> keyward_model::mask::Masked {
    keyward_model::mask::Masked(output)
}
