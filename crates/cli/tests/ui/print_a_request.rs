//! expect: E0277 doesn't implement
fn main() {}
fn wrong(request: &keyward_egress::Request) -> String {
    format!("{request:?}")
}
