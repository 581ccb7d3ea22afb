//! Accounts: tagged rows of the whole server, changed by compare-and-set on their revision.

use crate::dialect::statements;
use crate::error::StoreError;
use crate::tx::{Reader, Tx};
use crate::value::{Cells, Row, values};
use keyward_model::credential::Sealed;
use keyward_model::id::AccountId;
use keyward_model::people::Account;
use keyward_model::tag::Tagged;

macro_rules! columns {
    () => {
        "id, email, name, password_hash, totp, totp_confirmed, totp_step, recovery, oidc_subject, \
         set_up, created_at, revision, tag"
    };
}

statements! {
    INSERT = concat!("INSERT INTO accounts (", columns!(), ")
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)");
    UPDATE = "UPDATE accounts SET email = $2, name = $3, password_hash = $4, totp = $5,
        totp_confirmed = $6, totp_step = $7, recovery = $8, oidc_subject = $9, revision = $10,
        tag = $11 WHERE id = $1 AND revision = $12";
    BY_ID = concat!("SELECT ", columns!(), " FROM accounts WHERE id = $1");
    BY_EMAIL = concat!("SELECT ", columns!(), " FROM accounts WHERE email = $1");
    BY_SUBJECT = concat!("SELECT ", columns!(), " FROM accounts WHERE oidc_subject = $1");
}

fn account(row: Row) -> Result<Tagged<Account>, StoreError> {
    let mut cells = Cells::new("accounts", row);
    let account = Account {
        id: cells.parsed()?,
        email: cells.text()?,
        name: cells.text()?,
        password_hash: cells.text()?,
        totp: cells.optional_bytes()?.map(Sealed::from_bytes),
        totp_confirmed: cells.flag()?,
        totp_step: cells.number()?,
        recovery: hashes(&cells.bytes()?).ok_or_else(|| cells.corrupt())?,
        oidc_subject: cells.optional_text()?,
        set_up: cells.flag()?,
        created_at: cells.time()?,
        revision: cells.number()?,
    };
    Ok(Tagged::stored(account, cells.tag()?))
}

fn hashes(bytes: &[u8]) -> Option<Vec<[u8; 32]>> {
    let (hashes, rest) = bytes.as_chunks();
    rest.is_empty().then(|| hashes.to_vec())
}

impl Reader<'_> {
    /// The account of that id.
    pub fn account(&mut self, id: AccountId) -> Result<Option<Tagged<Account>>, StoreError> {
        self.session.one(BY_ID, values![id])?.map(account).transpose()
    }

    /// The account of that address, lower-case.
    pub fn account_by_email(&mut self, email: &str) -> Result<Option<Tagged<Account>>, StoreError> {
        self.session.one(BY_EMAIL, values![email])?.map(account).transpose()
    }

    /// The account of that subject of a single sign-on service.
    pub fn account_by_subject(
        &mut self,
        subject: &str,
    ) -> Result<Option<Tagged<Account>>, StoreError> {
        self.session.one(BY_SUBJECT, values![subject])?.map(account).transpose()
    }
}

impl Tx<'_> {
    /// Adds an account; an address or subject that is taken is `Conflict` (`email`).
    pub fn insert_account(&mut self, account: &Tagged<Account>) -> Result<(), StoreError> {
        let (a, tag) = account.parts();
        let (email, name, hash) = (a.email.as_str(), a.name.as_str(), a.password_hash.as_str());
        let (totp, subject) = (a.totp.as_ref().map(Sealed::as_bytes), a.oidc_subject.as_deref());
        let recovery = a.recovery.as_flattened();
        let values = values![
            a.id, email, name, hash, totp, a.totp_confirmed, a.totp_step, recovery, subject,
            a.set_up, a.created_at, a.revision, tag,
        ];
        self.session.execute(INSERT, values).map_err(|error| error.named("email"))?;
        Ok(())
    }

    /// Replaces an account that is still at the revision before this one; otherwise `Conflict`
    /// (`revision`).
    pub fn update_account(&mut self, account: &Tagged<Account>) -> Result<(), StoreError> {
        let (a, tag) = account.parts();
        let (email, name, hash) = (a.email.as_str(), a.name.as_str(), a.password_hash.as_str());
        let (totp, subject) = (a.totp.as_ref().map(Sealed::as_bytes), a.oidc_subject.as_deref());
        let recovery = a.recovery.as_flattened();
        let values = values![
            a.id,
            email,
            name,
            hash,
            totp,
            a.totp_confirmed,
            a.totp_step,
            recovery,
            subject,
            a.revision,
            tag,
            a.revision.saturating_sub(1),
        ];
        match self.session.execute(UPDATE, values).map_err(|error| error.named("email"))? {
            0 => Err(StoreError::Conflict { what: "revision" }),
            _ => Ok(()),
        }
    }
}
