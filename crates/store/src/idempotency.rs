//! Answers kept under `Idempotency-Key`, so that a repeated POST changes nothing twice.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, RunTx};
use crate::value::{Cells, values};
use keyward_model::clock::Timestamp;
use keyward_model::id::WorkspaceId;

statements! {
    GET = "SELECT request_digest, status, body, created_at FROM idempotency
        WHERE workspace_id = $1 AND caller = $2 AND key_hash = $3";
    PUT = "INSERT INTO idempotency
        (workspace_id, caller, key_hash, request_digest, status, body, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    SETTLE = "UPDATE idempotency SET status = $4, body = $5
        WHERE workspace_id = $1 AND caller = $2 AND key_hash = $3";
    RELEASE = "DELETE FROM idempotency
        WHERE workspace_id = $1 AND caller = $2 AND key_hash = $3";
    PURGE = "DELETE FROM idempotency WHERE created_at < $1";
}

/// The answer to a POST, kept for its repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Digest of the request; another request under the same key is a mistake.
    pub request_digest: Vec<u8>,
    /// The HTTP status; 0 while the request is being worked on.
    pub status: i64,
    /// The body. Holds no secret: what is shown once only is sealed by the caller.
    pub body: Vec<u8>,
    /// When it was given.
    pub created_at: Timestamp,
}

impl Reader<'_> {
    /// The answer kept for a caller's key.
    pub fn idempotent_reply(
        &mut self,
        workspace: WorkspaceId,
        caller: &str,
        key_hash: &[u8],
    ) -> Result<Option<Reply>, StoreError> {
        let row = self.session.one(GET, values![workspace, caller, key_hash])?;
        let Some(row) = row else { return Ok(None) };
        let mut cells = Cells::new("idempotency", row);
        Ok(Some(Reply {
            request_digest: cells.bytes()?,
            status: cells.number()?,
            body: cells.bytes()?,
            created_at: cells.time()?,
        }))
    }
}

impl RunTx<'_> {
    /// Keeps an answer, or takes the key for one that is to come (status 0); one that is there is
    /// `Conflict`.
    pub fn put_idempotent_reply(
        &mut self,
        workspace: WorkspaceId,
        caller: &str,
        key_hash: &[u8],
        reply: &Reply,
    ) -> Result<(), StoreError> {
        let (digest, body) = (reply.request_digest.as_slice(), reply.body.as_slice());
        let (status, at) = (reply.status, reply.created_at);
        let values = values![workspace, caller, key_hash, digest, status, body, at];
        let result = self.session.execute(PUT, values);
        result.map(|_| ()).map_err(|error| error.named("idempotency key"))
    }

    /// Puts the answer in the place that was taken for it.
    pub fn settle_idempotent_reply(
        &mut self,
        workspace: WorkspaceId,
        caller: &str,
        key_hash: &[u8],
        status: i64,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let values = values![workspace, caller, key_hash, status, body];
        self.session.execute(SETTLE, values).map(|_| ())
    }

    /// Gives a key back: nothing was done under it.
    pub fn release_idempotency_key(
        &mut self,
        workspace: WorkspaceId,
        caller: &str,
        key_hash: &[u8],
    ) -> Result<(), StoreError> {
        self.session.execute(RELEASE, values![workspace, caller, key_hash]).map(|_| ())
    }

    /// Forgets answers given before `before`; gives their number.
    pub fn purge_idempotent_replies(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.session.execute(PURGE, values![before])
    }
}
