//! Resolving the keys that a step declares: rows 1 to 6, one read for all of them.

use crate::run::RunVault;
use crate::vault::VaultError;
use keyward_model::credential::Credential;
use keyward_model::error::StepErrorCode;
use keyward_model::policy::{Asked, Grant, Refusal, StepContext};
use keyward_model::tag::Tampered;
use keyward_store::StoreError;

/// Rows 1 to 6 for each key: one read for all, tags checked.
pub(super) async fn resolve(
    run: &RunVault,
    context: &StepContext,
    declared: &[String],
) -> Result<Vec<(String, Result<Grant, Refusal>)>, VaultError> {
    let (workspace, workflow) = (context.workspace, context.workflow);
    let keys = declared.to_vec();
    let read = run.0.vault.store().read(move |tx| {
        let allowlist = intact(tx.allowlist(workspace, workflow))?;
        let rows = keys
            .iter()
            .map(|key| Ok((key.clone(), intact(tx.credentials_by_key(workspace, key))?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok((allowlist, rows))
    });
    let (allowlist, rows) = read.await?;
    // A row that somebody else wrote counts as absent, and absence never widens.
    let allowlist = allowlist.flatten().and_then(|row| run.0.keys.verify(row).ok());
    let mut outcomes = Vec::new();
    for (key, rows) in rows {
        let candidates: Result<Vec<Credential>, _> = match rows {
            Some(rows) => rows.into_iter().map(|row| run.0.keys.verify(row)).collect(),
            None => Err(Tampered),
        };
        let outcome = match candidates {
            Ok(candidates) => Asked {
                context,
                key: &key,
                starter_may_run: run.0.starter_may_run,
                allowlist: allowlist.as_ref(),
                declared: true,
                candidates,
            }
            .grant(),
            Err(_) => Err(Refusal { code: StepErrorCode::CredentialUnusable, reason: "tampered" }),
        };
        outcomes.push((key, outcome));
    }
    Ok(outcomes)
}

/// `None` for a row that cannot even be read: somebody else wrote it.
fn intact<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
