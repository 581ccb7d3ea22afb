//! A new root key: every workspace key and the server key are wrapped anew, in one transaction, and
//! only then does the new key's file take the place of the old one's.

use super::{ATTEMPTS, RotateError};
use crate::keyring::SERVER_KEY;
use crate::keys::RootKeys;
use crate::root_file::NewRootKey;
use crate::vault::{Vault, VaultError};
use keyward_model::actor::Actor;
use keyward_model::id::WorkspaceId;
use keyward_store::{Audited, ROOT_KEY, StoreError, Tx};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A change of the root key that has taken place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRotated {
    /// The fingerprint of the key before.
    pub before: String,
    /// The fingerprint of the key in use now.
    pub after: String,
    /// Where that key lies.
    pub path: PathBuf,
    /// How many workspace keys were wrapped anew.
    pub keys: usize,
}

/// How the one transaction ended.
enum Commit {
    Done(usize),
    /// A workspace or generation was added meanwhile.
    Again,
}

/// Whether nothing can be written any more after that error. Where the database itself failed, a
/// commit may take place after somebody has looked for it, and the key must be there then.
fn is_over(error: &RotateError) -> bool {
    !matches!(error, RotateError::Unknown { .. } | RotateError::Vault(VaultError::Store(_)))
}

impl Vault {
    /// Makes another root key the one in use. It is made beside the old one, whose place it takes; or
    /// it is made, or taken, where `elsewhere` says, and stays there.
    ///
    /// # Errors
    /// Before anything is written where the new key cannot be put down; `Unknown` and `NotInPlace`
    /// where the next start has to finish.
    pub async fn rotate_root(
        &self,
        elsewhere: Option<&Path>,
        actor: &Actor,
    ) -> Result<RootRotated, RotateError> {
        self.follow_keys().await?;
        let before = self.keyring().root();
        let new = self.keyring().file().prepare(elsewhere)?;
        let after = RootKeys::new(&new.key, self.keyring().instance());
        if after.fingerprint() == before.fingerprint() {
            return Err(RotateError::SameKey(new.written));
        }
        for _ in 0..ATTEMPTS {
            let keys = match self.wrap_all((&before, &after), &new, actor).await {
                Ok(Commit::Done(keys)) => keys,
                Ok(Commit::Again) => continue,
                Err(error) => {
                    if is_over(&error) {
                        new.discard();
                    }
                    return Err(error);
                }
            };
            let names = (before.fingerprint().to_owned(), after.fingerprint().to_owned());
            self.keyring().take_root(after);
            self.follow_keys().await?;
            let path = new.put_in_place().map_err(RotateError::NotInPlace)?;
            return Ok(RootRotated { before: names.0, after: names.1, path, keys });
        }
        new.discard();
        Err(RotateError::Changed)
    }

    async fn wrap_all(
        &self,
        (before, after): (&Arc<RootKeys>, &RootKeys),
        new: &NewRootKey,
        actor: &Actor,
    ) -> Result<Commit, RotateError> {
        let rows = self.store().read(|tx| tx.all_workspace_keys()).await?;
        let workspaces: BTreeSet<WorkspaceId> = rows.iter().map(|row| row.workspace).collect();
        if workspaces.is_empty() {
            return Err(RotateError::NoWorkspace);
        }
        let mut events = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            // Its audit key must be at hand when the event is chained.
            self.load(workspace).await?;
            events.push(self.event(workspace, actor, "root"));
        }
        let count = rows.len();
        let wrap = |row| before.rewrap(row, after).map(|wrapped| (row.clone(), wrapped));
        let pairs = rows.iter().map(wrap).collect::<Result<Vec<_>, VaultError>>()?;
        let server_key = after.seal_server_key(self.keyring().server_key())?;
        let names = (before.fingerprint().to_owned(), after.fingerprint().to_owned());
        let write = move |tx: &mut Tx<'_>| {
            tx.change_root_key((&names.0, &names.1), &pairs)?;
            tx.put_meta(SERVER_KEY, server_key.as_bytes())?;
            Ok(Audited::new((), events.clone()))
        };
        match self.store().write(write).await {
            Ok(_) => Ok(Commit::Done(count)),
            Err(StoreError::Conflict { what: ROOT_KEY }) => Err(RotateError::Changed),
            Err(StoreError::Conflict { .. }) => Ok(Commit::Again),
            Err(error) => self.look((before, after), (new, count), error).await,
        }
    }

    /// After a failure during which the commit may have taken place all the same.
    async fn look(
        &self,
        (before, after): (&RootKeys, &RootKeys),
        (new, count): (&NewRootKey, usize),
        error: StoreError,
    ) -> Result<Commit, RotateError> {
        let state = self.store().read(|tx| tx.keys_state()).await;
        match state.ok().and_then(|state| state.root) {
            Some(root) if root == after.fingerprint() => Ok(Commit::Done(count)),
            Some(root) if root == before.fingerprint() => Err(error.into()),
            _ => Err(RotateError::Unknown { written: new.written.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_commit_may_still_bring_in_is_kept() {
        let check = |error: RotateError, over: bool| {
            assert_eq!(is_over(&error), over, "{error}");
        };
        let store = |error| RotateError::Vault(VaultError::Store(error));
        check(RotateError::NoWorkspace, true);
        check(RotateError::Changed, true);
        check(RotateError::Vault(VaultError::Unreadable), true);
        check(RotateError::Unknown { written: "next".into() }, false);
        check(store(StoreError::AuditUnavailable), false);
    }
}
