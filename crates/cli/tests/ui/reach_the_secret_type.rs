//! expect: E0603 module `secret` is private
fn main() {}
fn wrong(_: keyward_vault::secret::Secret) {}
