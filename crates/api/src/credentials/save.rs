//! Writing a changed credential: the new head, its versions, the events, in one commit. The keys of
//! versions that the new head does not hold any more are destroyed with it.

use super::access::event;
use crate::auth::InWorkspace;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::audit::{Action, Event};
use keyward_model::credential::{Credential, CredentialVersion};
use keyward_model::share::Sharee;
use keyward_model::tag::Tagged;
use keyward_store::{Audited, StoreError, Tx};

/// A credential before and after, with what goes into the database beside its head.
pub(super) struct Change {
    /// As it was read.
    pub(super) before: Credential,
    /// As it shall be; its revision is another one.
    pub(super) after: Credential,
    /// The new version, where there is one.
    pub(super) new: Option<CredentialVersion>,
    /// Versions with their keys wrapped for another scope or a narrower binding.
    pub(super) rewrapped: Vec<CredentialVersion>,
    /// A version that its service was seen to take.
    pub(super) accepted: Option<i64>,
    /// A share that it makes needless.
    pub(super) unshared: Option<Sharee>,
}

impl Change {
    /// A change of the head alone.
    pub(super) fn of_head(before: Credential, after: Credential) -> Self {
        Self { before, after, new: None, rewrapped: Vec::new(), accepted: None, unshared: None }
    }
}

/// Saves a change with its events; one of somebody else's in between is `conflict`.
pub(super) async fn save(
    api: &Api,
    scope: &InWorkspace,
    change: Change,
    mut events: Vec<Event>,
) -> Result<(), Problem> {
    let ready = ready(api, scope, change, &mut events).await?;
    let write = move |tx: &mut Tx<'_>| {
        ready.write(tx)?;
        Ok(Audited::new((), events.clone()))
    };
    api.store().write(write).await?;
    Ok(())
}

/// A change with its head signed, ready to be written together with others.
pub(super) struct Ready {
    head: Tagged<Credential>,
    before: Credential,
    dropped: Vec<i64>,
    new: Option<CredentialVersion>,
    rewrapped: Vec<CredentialVersion>,
    accepted: Option<i64>,
    unshared: Option<Sharee>,
}

/// Signs a change; adds an event for each version that it gives up.
pub(super) async fn ready(
    api: &Api,
    scope: &InWorkspace,
    change: Change,
    events: &mut Vec<Event>,
) -> Result<Ready, Problem> {
    let Change { before, after, new, rewrapped, accepted, unshared } = change;
    let kept = after.kept_versions();
    let dropped: Vec<_> =
        before.kept_versions().into_iter().filter(|version| !kept.contains(version)).collect();
    events.extend(dropped.iter().map(|version| Event {
        reason: super::version_reason(*version),
        ..event(api, scope, &after, Action::CredentialShredded)
    }));
    let head = api.vault().sign(after.workspace, after).await?;
    Ok(Ready { head, before, dropped, new, rewrapped, accepted, unshared })
}

impl Ready {
    /// Writes it, within a commit of the caller's.
    pub(super) fn write(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Self { head, before, dropped, new, rewrapped, accepted, unshared } = self;
        tx.update_credential(head, before.revision)?;
        for row in rewrapped {
            let (id, number) = (row.credential, row.version);
            tx.rewrap_credential_version(row.workspace, id, number, &row.wrapped_key)?;
        }
        for version in dropped {
            tx.delete_credential_version(before.workspace, before.id, *version)?;
        }
        if let Some(sharee) = unshared {
            tx.delete_share(before.workspace, before.id, *sharee)?;
        }
        if let Some(new) = new {
            tx.insert_credential_version(new)?;
        }
        if let Some(version) = accepted {
            tx.clear_rejection(before.workspace, before.id, *version)?;
        }
        Ok(())
    }
}
