//! Credentials: one file per operation, and how one is shown.

pub(crate) mod access;
mod audit;
mod create;
mod delete;
pub(crate) mod dependents;
mod discard;
mod explain;
mod fields;
mod form;
mod get;
mod import;
mod links;
mod list;
mod overwrite;
mod patch;
mod promote;
mod restore;
mod review;
mod rollback;
mod rotation;
mod save;
mod sent;
mod settings;
mod shares;
mod stage;
mod suspend;
mod template;
mod test;
mod transfer;
mod usage;
mod versions;
pub(crate) mod view;
mod warnings;

use crate::auth::InWorkspace;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::json::Fault;
use keyward_model::lifecycle::LifecycleError;
use keyward_model::settings::Settings;
use schemars::JsonSchema;
use serde::Serialize;
use view::CredentialView;
use warnings::Warning;

pub(crate) use shares::current_member;
pub(crate) use test::TestLimit;

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        list::operation(),
        create::operation(),
        import::operation(),
        get::operation(),
        patch::operation(),
        delete::operation(),
        restore::operation(),
        overwrite::operation(),
        versions::operation(),
        stage::operation(),
        discard::operation(),
        test::operation(),
        test::of_version(),
        promote::operation(),
        rollback::operation(),
        rotation::operation(),
        dependents::operation(),
        usage::operation(),
        explain::operation(),
        audit::operation(),
        review::operation(),
        review::keep(),
        shares::list(),
        shares::give(),
        shares::take_back(),
        suspend::suspend(),
        suspend::resume(),
        transfer::operation(),
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

/// The workspace's settings.
pub(crate) async fn settings(api: &Api, scope: &InWorkspace) -> Result<Settings, Problem> {
    let workspace = scope.id();
    let row = api.store().read(move |tx| access::read_settings(tx, workspace)).await?;
    access::settings_of(api.vault(), workspace, row).await
}

/// A version's number as a path names it.
fn version_number(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// A version as the audit trail names it.
fn version_reason(version: i64) -> String {
    format!("version {version}")
}

/// Why a step of a credential's life is refused, as a problem.
fn refusal(error: LifecycleError) -> Problem {
    Problem::new("conflict", error.to_string())
}

/// Faults as a problem; a value over the limit has its own code.
fn refused(faults: Vec<Fault>) -> Problem {
    let too_large = faults.iter().any(|fault| fault.code == "value_too_large");
    let problem = Problem::invalid(faults);
    if too_large { problem.coded("value_too_large") } else { problem }
}
