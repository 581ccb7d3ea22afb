//! expect: E0616 field `headers` of struct
fn main() {}
fn wrong(request: &keyward_egress::Request) -> usize {
    request.headers.len()
}
