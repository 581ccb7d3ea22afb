//! expect: E0308 mismatched types
fn main() {}
async fn wrong(store: keyward_store::Store) {
    let _ = store.write(|tx: &mut keyward_store::Tx<'_>| tx.put_meta("name", b"value")).await;
}
