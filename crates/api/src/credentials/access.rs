//! Which credential a path names, and whether whoever asks may do with it what they want. Every
//! operation on one credential begins here; a refused attempt is recorded here, and nowhere else.

use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::credential::Credential;
use keyward_model::id::{CredentialId, WorkspaceId};
use keyward_model::permission::{Act, Allowed, Denied, decide};
use keyward_model::policy::Ability;
use keyward_model::settings::Settings;
use keyward_model::share::Share;
use keyward_model::tag::Tagged;
use keyward_store::{Audited, Reader, StoreError, Tx};
use keyward_vault::{Vault, VaultError};

/// A credential that the caller may do something with.
pub(crate) struct Found {
    /// The head, its tag checked.
    pub(crate) credential: Credential,
    /// The shares in it, tags checked.
    pub(crate) shares: Vec<Share>,
    /// The workspace's settings.
    pub(crate) settings: Settings,
    /// The decision.
    pub(crate) allowed: Allowed,
}

impl Found {
    /// Fails where the caller may not do this as well.
    pub(crate) fn require(&self, scope: &InWorkspace, act: Act) -> Result<Allowed, Problem> {
        let decision = decide(act, &scope.caller, &self.credential, &self.shares, &self.settings);
        decision.map_err(problem)
    }
}

/// What a path names.
pub(crate) enum Named {
    /// A credential.
    Found(Box<Found>),
    /// A row that somebody else than the server wrote.
    Broken(Box<Broken>),
}

/// What can still be said of a row that cannot be believed.
pub(crate) struct Broken {
    /// Its id.
    pub(crate) id: CredentialId,
    /// The row, where it can be read at all.
    pub(crate) row: Option<Tagged<Credential>>,
}

/// Whether deleted credentials count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// They are not found.
    Hidden,
    /// They are found like the others.
    Shown,
}

/// The credential that a path names, for an act that the caller may do.
///
/// # Errors
/// `not_found` also where the caller may not know of it; `forbidden`; `conflict` for a broken row.
pub(crate) async fn find(
    api: &Api,
    scope: &InWorkspace,
    id: &str,
    act: Act,
) -> Result<Found, Problem> {
    match named(api, scope, id, act, Deleted::Hidden).await? {
        Named::Found(found) => Ok(*found),
        Named::Broken(_) => Err(broken()),
    }
}

/// As `find`, with broken rows, and where wanted with deleted credentials.
pub(crate) async fn named(
    api: &Api,
    scope: &InWorkspace,
    id: &str,
    act: Act,
    deleted: Deleted,
) -> Result<Named, Problem> {
    let id: CredentialId = id.parse().map_err(|_| Problem::not_found())?;
    let workspace = scope.id();
    let read = api.store().read(move |tx| {
        let row = match tx.credential(workspace, id) {
            Ok(row) => row.map(Ok),
            Err(StoreError::Corrupt { .. }) => Some(Err(())),
            Err(error) => return Err(error),
        };
        Ok((row, tx.shares(workspace, &[id])?, read_settings(tx, workspace)?))
    });
    let (row, shares, settings) = read.await?;
    let settings = settings_of(api.vault(), workspace, settings).await?;
    let row = match row.ok_or_else(Problem::not_found)? {
        Ok(row) => row,
        Err(()) => return broken_row(scope, Broken { id, row: None }, act),
    };
    let credential = match api.vault().verify(workspace, row.clone()).await {
        Ok(credential) => credential,
        Err(VaultError::Tampered(_)) => {
            return broken_row(scope, Broken { id, row: Some(row) }, act);
        }
        Err(error) => return Err(error.into()),
    };
    if credential.lifecycle.deleted.is_some() && deleted == Deleted::Hidden {
        return Err(Problem::not_found());
    }
    let shares = verified_shares(api.vault(), workspace, shares).await;
    let allowed = match decide(act, &scope.caller, &credential, &shares, &settings) {
        Ok(allowed) => allowed,
        Err(denied) => {
            record_refused(api, scope, &credential, act, "role").await?;
            return Err(problem(denied));
        }
    };
    if let Err(refused) = scope.within_scopes(ability(act)) {
        record_refused(api, scope, &credential, act, "scopes").await?;
        return Err(refused);
    }
    Ok(Named::Found(Box::new(Found { credential, shares, settings, allowed })))
}

/// Nothing of a broken row is believed, so only those who may do everything see that it is there.
fn broken_row(scope: &InWorkspace, broken: Broken, act: Act) -> Result<Named, Problem> {
    scope.may(Ability::ManageCredentials).map_err(|_| Problem::not_found())?;
    scope.within_scopes(ability(act))?;
    Ok(Named::Broken(Box::new(broken)))
}

/// The problem that a refusal is told as.
pub(crate) fn problem(denied: Denied) -> Problem {
    match denied {
        Denied::Hidden => Problem::not_found(),
        Denied::Forbidden => Problem::forbidden(),
    }
}

fn broken() -> Problem {
    let detail = "this credential's row was written by somebody else than the server; \
        delete the credential and make it anew";
    Problem::new("conflict", detail)
}

/// What of a token's scopes an act needs.
pub(crate) fn ability(act: Act) -> Ability {
    match act {
        Act::List => Ability::ListCredentials,
        Act::View => Ability::ViewCredential,
        Act::Create | Act::Test => Ability::CreateCredentials,
        _ => Ability::ManageCredentials,
    }
}

/// An event about a credential, of the caller's making.
pub(crate) fn event(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    action: Action,
) -> Event {
    let mut event = scope.event(api, action);
    event.credential = Some(credential.id);
    event.key = Some(credential.key.clone());
    event
}

async fn record_refused(
    api: &Api,
    scope: &InWorkspace,
    credential: &Credential,
    act: Act,
    reason: &str,
) -> Result<(), Problem> {
    let mut event = event(api, scope, credential, act.action());
    event.outcome = Outcome::Refused;
    event.reason = reason.into();
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
    api.store().write(write).await?;
    Ok(())
}

/// Settings as they are stored.
pub(crate) type SettingsRow = Tagged<keyward_model::settings::WorkspaceSettings>;

/// The settings' row; one that cannot be read counts as absent.
pub(crate) fn read_settings(
    tx: &mut Reader<'_>,
    workspace: WorkspaceId,
) -> Result<Option<SettingsRow>, StoreError> {
    match tx.settings(workspace) {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        row => row,
    }
}

/// The settings that count: the strictest where the row is absent or not the server's.
pub(crate) async fn settings_of(
    vault: &Vault,
    workspace: WorkspaceId,
    row: Option<SettingsRow>,
) -> Result<Settings, Problem> {
    let Some(row) = row else { return Ok(Settings::strictest()) };
    match vault.verify(workspace, row).await {
        Ok(row) => Ok(row.settings),
        Err(VaultError::Tampered(_)) => Ok(Settings::strictest()),
        Err(error) => Err(error.into()),
    }
}

/// The shares that the server wrote.
pub(crate) async fn verified_shares(
    vault: &Vault,
    workspace: WorkspaceId,
    rows: Vec<Tagged<Share>>,
) -> Vec<Share> {
    let mut shares = Vec::with_capacity(rows.len());
    for row in rows {
        shares.extend(vault.verify(workspace, row).await);
    }
    shares
}
