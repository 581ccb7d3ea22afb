//! expect: E0616 field `row` of struct
use keyward_model::saved_workflow::Allowlist;
use keyward_model::tag::Tagged;
fn main() {}
fn wrong(stored: Tagged<Allowlist>) -> Allowlist {
    stored.row
}
