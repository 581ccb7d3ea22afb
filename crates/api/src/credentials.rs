//! Credentials: one file per operation, and how one is shown.

mod audit;
mod create;
mod delete;
mod dependents;
mod fields;
mod get;
mod list;
mod overwrite;
mod patch;
mod sent;
mod settings;
mod template;
mod versions;
mod view;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use fields::Warning;
use keyward_model::credential::Credential;
use keyward_model::id::CredentialId;
use keyward_model::json::Fault;
use keyward_model::tag::Tagged;
use keyward_store::StoreError;
use keyward_vault::VaultError;
use schemars::JsonSchema;
use serde::Serialize;
use view::CredentialView;

/// How many versions are kept, the current one included; a new one pushes out the oldest.
const KEPT_VERSIONS: i64 = 10;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        list::operation(),
        create::operation(),
        get::operation(),
        patch::operation(),
        delete::operation(),
        overwrite::operation(),
        versions::operation(),
        dependents::operation(),
        audit::operation(),
    ]
}

/// A credential that was just saved.
#[derive(Serialize, JsonSchema)]
struct Saved {
    #[serde(flatten)]
    credential: CredentialView,
    /// Values that masking can hide only in part.
    warnings: Vec<Warning>,
}

/// A credential's row as it was found.
enum Found {
    Row(Box<Tagged<Credential>>),
    /// There is one, but it cannot be read.
    Unreadable(CredentialId),
}

/// The row that a path names, unchecked; `not_found` where there is none.
async fn row(api: &Api, scope: &InWorkspace, id: &str) -> Result<Found, Problem> {
    let id: CredentialId = id.parse().map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    match api.store().read(move |tx| tx.credential(workspace, id)).await {
        Ok(Some(row)) => Ok(Found::Row(Box::new(row))),
        Ok(None) => Err(Problem::not_found()),
        Err(StoreError::Corrupt { .. }) => Ok(Found::Unreadable(id)),
        Err(error) => Err(error.into()),
    }
}

/// The credential that a path names, its tag checked.
async fn find(api: &Api, scope: &InWorkspace, id: &str) -> Result<Credential, Problem> {
    let Found::Row(row) = row(api, scope, id).await? else { return Err(broken()) };
    match api.vault().verify(scope.id(), *row).await {
        Ok(credential) => Ok(credential),
        Err(VaultError::Tampered(_)) => Err(broken()),
        Err(error) => Err(error.into()),
    }
}

fn broken() -> Problem {
    let detail = "this credential's row was written by somebody else than the server; \
        delete the credential and make it anew";
    Problem::new("conflict", detail)
}

/// Faults as a problem; a value over the limit has its own code.
fn refused(faults: Vec<Fault>) -> Problem {
    let too_large = faults.iter().any(|fault| fault.code == "value_too_large");
    let problem = Problem::invalid(faults);
    if too_large { problem.coded("value_too_large") } else { problem }
}
