//! What people do with credentials: sealing new values, narrowing bindings, trigger tokens, and
//! answers kept for a repeated request.

use crate::seal::{self, Text};
use crate::secret::Incoming;
use crate::vault::{Vault, VaultError};
use keyward_model::credential::{Credential, CredentialVersion, Sealed};
use keyward_model::id::{Identifier as _, WorkflowId, WorkspaceId};
use std::collections::BTreeMap;

impl Vault {
    /// Seals the secret fields of the version that a head stands for: the current one, or, with
    /// `Credential::at_version`, a staged one.
    pub async fn seal_version(
        &self,
        head: &Credential,
        fields: &BTreeMap<String, Incoming>,
    ) -> Result<CredentialVersion, VaultError> {
        let keys = self.keys(head.workspace).await?;
        seal::seal_version(&keys, head, fields, self.now())
    }

    /// Wraps the keys of versions for another scope or a narrowed binding; opens no value.
    pub async fn rebind_versions(
        &self,
        before: &Credential,
        after: &Credential,
        versions: &[CredentialVersion],
    ) -> Result<Vec<CredentialVersion>, VaultError> {
        let keys = self.keys(after.workspace).await?;
        versions.iter().map(|row| seal::rewrap(&keys, before, after, row)).collect()
    }

    /// Seals a trigger's path token, to show its URL again.
    pub async fn seal_trigger_token(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        token: &str,
    ) -> Result<Sealed, VaultError> {
        let keys = self.keys(workspace).await?;
        seal::seal_text(&keys, Text::TriggerToken, workflow.as_bytes(), token.as_bytes())
    }

    /// Opens a trigger's path token.
    pub async fn open_trigger_token(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        sealed: &Sealed,
    ) -> Result<String, VaultError> {
        let keys = self.keys_for(workspace, sealed).await?;
        let bytes = seal::open_text(&keys, Text::TriggerToken, workflow.as_bytes(), sealed)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| VaultError::Unreadable)
    }

    /// Names a repeated request by what its sender called it; the same for ever.
    pub async fn request_name(
        &self,
        workspace: WorkspaceId,
        parts: &[&[u8]],
    ) -> Result<[u8; 32], VaultError> {
        Ok(self.keys(workspace).await?.request_name(parts))
    }

    /// Digests of a request's parts under the workspace's key generations, to know the same request
    /// again; the first is the one to store.
    pub async fn request_digests(
        &self,
        workspace: WorkspaceId,
        parts: &[&[u8]],
    ) -> Result<Vec<[u8; 32]>, VaultError> {
        Ok(self.keys(workspace).await?.request_digests(parts))
    }

    /// Seals an answer that is kept for a repeated request, since it may hold a new token. It opens
    /// for the same owner alone.
    pub async fn seal_reply(
        &self,
        workspace: WorkspaceId,
        owner: &ReplyOwner<'_>,
        body: &[u8],
    ) -> Result<Sealed, VaultError> {
        let keys = self.keys(workspace).await?;
        seal::seal_text(&keys, Text::Reply, &owner.bytes(), body)
    }

    /// Opens a kept answer.
    pub async fn open_reply(
        &self,
        workspace: WorkspaceId,
        owner: &ReplyOwner<'_>,
        sealed: &Sealed,
    ) -> Result<Vec<u8>, VaultError> {
        let keys = self.keys_for(workspace, sealed).await?;
        Ok(seal::open_text(&keys, Text::Reply, &owner.bytes(), sealed)?.to_vec())
    }
}

/// What a kept answer is bound to: who asked what, and how it ended.
#[derive(Debug, Clone, Copy)]
pub struct ReplyOwner<'a> {
    /// Who asked.
    pub caller: &'a str,
    /// The name of the request.
    pub key_hash: &'a [u8],
    /// The digest under which it is stored.
    pub request_digest: &'a [u8],
    /// The answer's HTTP status.
    pub status: i64,
}

impl ReplyOwner<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let Self { caller, key_hash, request_digest, status } = self;
        [key_hash, request_digest, &status.to_be_bytes()[..], caller.as_bytes()].concat()
    }
}
