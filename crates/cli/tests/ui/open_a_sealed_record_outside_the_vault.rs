//! expect: E0603 module `seal` is private
use keyward_vault::seal;
fn main() {}
