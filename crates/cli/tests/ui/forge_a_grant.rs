//! expect: E0451 of struct
use keyward_model::policy::Grant;
use keyward_model::settings::Expose;
fn main() {}
fn wrong(other: Grant) -> Grant {
    Grant { require_hosts: false, expose: Expose::On, ..other }
}
