//! expect: E0624 associated function `new` is private
fn main() {}
fn wrong() {
    let _ = keyward_store::AuditReceipt::new(Default::default());
}
