//! expect: E0624 associated function `stored` is private
fn main() {}
fn wrong(output: String) -> keyward_model::mask::Masked {
    keyward_model::mask::Masked::stored(output)
}
