//! Rows of the whole server, which belong to no workspace: accounts and sessions are signed under
//! a key of their own, and what an account keeps secret is sealed under another.

use crate::seal::{self, Aad};
use crate::vault::{Vault, VaultError};
use keyward_model::credential::Sealed;
use keyward_model::id::{AccountId, Identifier as _};
use keyward_model::tag::{Granting, Tagged};
use zeroize::Zeroizing;

impl Vault {
    /// Signs a row that grants something on the whole server.
    pub fn sign_server<T: Granting>(&self, row: T) -> Tagged<T> {
        Tagged::sign(row, |bytes| self.server().account_tag(bytes))
    }

    /// Checks the tag of a stored row of the whole server and gives the row.
    pub fn verify_server<T: Granting>(&self, row: Tagged<T>) -> Result<T, VaultError> {
        Ok(row.open(|bytes| self.server().account_tag(bytes))?)
    }

    /// Seals the secret of an account's one-time codes; it opens for the same account alone.
    pub(crate) fn seal_account_secret(
        &self,
        account: AccountId,
        secret: &[u8],
    ) -> Result<Sealed, VaultError> {
        seal::seal(self.server().account_secrets(), [0; 16], &aad(account), secret)
    }

    /// Opens the secret of an account's one-time codes.
    pub(crate) fn open_account_secret(
        &self,
        account: AccountId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        seal::open(self.server().account_secrets(), [0; 16], &aad(account), sealed)
    }
}

fn aad(account: AccountId) -> Aad {
    let mut aad = Aad::new("keyward/account-secret/v1");
    aad.part(account.as_bytes());
    aad
}
