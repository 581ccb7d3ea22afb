//! expect: E0451 of struct
fn main() {}
fn wrong() -> keyward_store::AuditReceipt {
    keyward_store::AuditReceipt { events: Default::default() }
}
