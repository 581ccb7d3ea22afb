//! expect: E0308 mismatched types
fn main() {}
async fn wrong(client: keyward_egress::Client, draft: keyward_egress::Draft) {
    let _ = client.send("pool", draft, std::time::Duration::ZERO).await;
}
