//! expect: E0603 module `seal` is private
fn main() {}
fn wrong() {
    let _ = keyward_vault::seal::open_field;
}
