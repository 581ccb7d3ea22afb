//! Resolving keys: rows 1 to 6, one read for all of them. What a step gets and what people are told
//! of it are decided from the same rows.

use crate::run::RunVault;
use crate::vault::VaultError;
use keyward_model::credential::Credential;
use keyward_model::error::StepErrorCode;
use keyward_model::id::CredentialId;
use keyward_model::policy::{Asked, Grant, Refusal, StepContext};
use keyward_model::settings::Settings;
use keyward_model::tag::Tampered;
use keyward_store::StoreError;

/// For each key what was decided.
type Outcomes = Vec<(String, Result<Grant, Refusal>)>;

/// Rows 1 to 6 for each key that a step declares.
pub(super) async fn resolve(
    run: &RunVault,
    context: &StepContext,
    declared: &[String],
) -> Result<Outcomes, VaultError> {
    decide(run, context, declared, true, None).await
}

/// A decision for each key, or for the one credential `wanted` of it: one read for all, tags checked.
pub(crate) async fn decide(
    run: &RunVault,
    context: &StepContext,
    keys: &[String],
    declared: bool,
    wanted: Option<CredentialId>,
) -> Result<Outcomes, VaultError> {
    let (workspace, workflow) = (context.workspace, context.workflow);
    let keys = keys.to_vec();
    let read = run.0.vault.store().read(move |tx| {
        let allowlist = intact(tx.allowlist(workspace, workflow))?;
        let settings = intact(tx.settings(workspace))?;
        let rows = keys
            .iter()
            .map(|key| {
                let found = intact(tx.credentials_by_key(workspace, key))?;
                Ok((key.clone(), found, tx.shares_by_key(workspace, key)?))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok((allowlist, settings, rows))
    });
    let (allowlist, settings, rows) = read.await?;
    // A row that somebody else wrote counts as absent, and absence never widens.
    let allowlist = allowlist.flatten().and_then(|row| run.0.keys.verify(row).ok());
    let settings = settings.flatten().and_then(|row| run.0.keys.verify(row).ok());
    let settings = settings.map_or_else(Settings::strictest, |row| row.settings);
    let standing = run.0.standing;
    let mut outcomes = Vec::new();
    for (key, rows, shares) in rows {
        let shares: Vec<_> =
            shares.into_iter().filter_map(|row| run.0.keys.verify(row).ok()).collect();
        let candidates: Result<Vec<Credential>, _> = match rows {
            Some(rows) => rows.into_iter().map(|row| run.0.keys.verify(row)).collect(),
            None => Err(Tampered),
        };
        let asked = candidates.map(|candidates| Asked {
            context,
            key: &key,
            starter_may_run: standing.starter_may_run,
            owner: standing.owner,
            author: standing.author,
            allowlist: allowlist.as_ref(),
            declared,
            candidates,
            shares: &shares,
            settings: &settings,
        });
        let outcome = match (asked, wanted) {
            (Ok(asked), None) => asked.grant(),
            (Ok(asked), Some(wanted)) => asked.grant_of(wanted),
            (Err(_), _) => {
                Err(Refusal { code: StepErrorCode::CredentialUnusable, reason: "tampered" })
            }
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
