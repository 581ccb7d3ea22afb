//! The credentials behind a key that a workflow names, as the server itself wrote them.

use crate::credentials::access::verified_shares;
use crate::problem::Problem;
use crate::router::Api;
use keyward_model::credential::Credential;
use keyward_model::id::{MemberId, WorkflowId, WorkspaceId};
use keyward_model::resolution::{Reach, nearest};
use keyward_model::share::Share;
use keyward_store::StoreError;

/// All credentials of a key, with the shares in them.
pub(super) struct Behind {
    candidates: Vec<Credential>,
    /// The shares.
    pub(super) shares: Vec<Share>,
}

impl Behind {
    /// Reads them; a row that somebody else wrote is none.
    pub(super) async fn read(
        api: &Api,
        workspace: WorkspaceId,
        key: &str,
    ) -> Result<Self, Problem> {
        let key = key.to_owned();
        let read = api.store().read(move |tx| {
            let rows = match tx.credentials_by_key(workspace, &key) {
                Err(StoreError::Corrupt { .. }) => Vec::new(),
                rows => rows?,
            };
            Ok((rows, tx.shares_by_key(workspace, &key)?))
        });
        let (rows, shares) = read.await?;
        let mut candidates = Vec::with_capacity(rows.len());
        for row in rows {
            candidates.extend(api.vault().verify(workspace, row).await);
        }
        Ok(Self { candidates, shares: verified_shares(api.vault(), workspace, shares).await })
    }

    /// The one that a workflow of that owner gets.
    pub(super) fn nearest(&self, workflow: WorkflowId, owner: MemberId) -> Option<&Credential> {
        let reach = Reach { workflow, owner: Some(owner), shares: &self.shares };
        nearest(&self.candidates, &reach)
    }
}
