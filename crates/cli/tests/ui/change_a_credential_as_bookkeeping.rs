//! expect: E0599 no method named `delete_credential`
use keyward_model::id::{CredentialId, WorkspaceId};
fn main() {}
async fn wrong(store: keyward_store::Store, workspace: WorkspaceId, id: CredentialId) {
    let delete = move |tx: &mut keyward_store::RunTx<'_>| tx.delete_credential(workspace, id);
    let _ = store.record(delete).await;
}
