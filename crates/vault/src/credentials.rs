//! What people do with credentials: sealing new values, narrowing bindings, trigger tokens, and
//! answers kept for a repeated request.

use crate::seal;
use crate::secret::Incoming;
use crate::vault::{Vault, VaultError};
use keyward_model::credential::{Credential, CredentialVersion, Sealed};
use keyward_model::id::{Identifier as _, WorkflowId, WorkspaceId};
use keyward_model::tag::Tagged;
use std::collections::BTreeMap;

impl Vault {
    /// Seals the secret fields of `credential.version` and signs the head that points to it.
    pub async fn seal_credential(
        &self,
        credential: Credential,
        fields: BTreeMap<String, Incoming>,
    ) -> Result<(Tagged<Credential>, CredentialVersion), VaultError> {
        let keys = self.keys(credential.workspace).await?;
        let version = seal::seal_version(&keys, &credential, &fields, self.now())?;
        Ok((keys.sign(credential), version))
    }

    /// Binds versions to a narrowed policy: rewraps their keys and signs the new head.
    pub async fn rebind_credential(
        &self,
        before: &Credential,
        after: Credential,
        versions: &[CredentialVersion],
    ) -> Result<(Tagged<Credential>, Vec<CredentialVersion>), VaultError> {
        let keys = self.keys(after.workspace).await?;
        let rewrap = |row| seal::rewrap(&keys, before, &after, row);
        let versions = versions.iter().map(rewrap).collect::<Result<_, _>>()?;
        Ok((keys.sign(after), versions))
    }

    /// Seals a trigger's path token, to show its URL again.
    pub async fn seal_trigger_token(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        token: &str,
    ) -> Result<Sealed, VaultError> {
        let keys = self.keys(workspace).await?;
        seal::seal_text(&keys, "trigger-token", workflow.as_bytes(), token.as_bytes())
    }

    /// Opens a trigger's path token.
    pub async fn open_trigger_token(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        sealed: &Sealed,
    ) -> Result<String, VaultError> {
        let keys = self.keys(workspace).await?;
        let bytes = seal::open_text(&keys, "trigger-token", workflow.as_bytes(), sealed)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| VaultError::Unreadable)
    }

    /// Digest of a request's parts under a key of the workspace, to know the same request again.
    pub async fn request_digest(
        &self,
        workspace: WorkspaceId,
        parts: &[&[u8]],
    ) -> Result<[u8; 32], VaultError> {
        Ok(self.keys(workspace).await?.request_digest(parts))
    }

    /// Seals an answer that is kept for a repeated request, since it may hold a new token. It opens
    /// for the same `owner` alone, which names caller, request and status.
    pub async fn seal_reply(
        &self,
        workspace: WorkspaceId,
        owner: &[u8],
        body: &[u8],
    ) -> Result<Sealed, VaultError> {
        let keys = self.keys(workspace).await?;
        seal::seal_text(&keys, "reply", owner, body)
    }

    /// Opens a kept answer.
    pub async fn open_reply(
        &self,
        workspace: WorkspaceId,
        owner: &[u8],
        sealed: &Sealed,
    ) -> Result<Vec<u8>, VaultError> {
        let keys = self.keys(workspace).await?;
        Ok(seal::open_text(&keys, "reply", owner, sealed)?.to_vec())
    }
}
