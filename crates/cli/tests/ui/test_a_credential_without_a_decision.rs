//! expect: E0451 of struct
use keyward_model::id::{CredentialId, WorkspaceId};
use keyward_model::permission::{Act, Allowed};
fn main() {}
fn wrong(workspace: WorkspaceId, credential: CredentialId) -> Allowed {
    Allowed { workspace, credential, act: Act::Test }
}
