//! The second factor: a code of the account's authenticator, or one of its recovery codes.

use crate::problem::Problem;
use keyward_model::people::Account;
use keyward_vault::{Incoming, NewToken, TokenKind, Vault, VaultError};

/// How many recovery codes an account gets.
const RECOVERY_CODES: usize = 10;

/// What came of the second factor.
pub(crate) enum Proof {
    /// The account asks for none.
    Unneeded,
    /// It was right; the account as it is to be written, since no code is right twice.
    Given(Account),
    /// None was sent.
    Missing,
    /// It was wrong.
    Wrong,
}

/// Checks what was sent as second factor.
pub(crate) fn prove(
    vault: &Vault,
    account: &Account,
    sent: Option<Incoming>,
) -> Result<Proof, Problem> {
    let Some(totp) = account.totp.as_ref().filter(|_| account.has_totp()) else {
        return Ok(Proof::Unneeded);
    };
    let Some(sent) = sent.filter(|sent| !sent.is_empty()) else { return Ok(Proof::Missing) };
    let code = plain(&sent.into_plain());
    let mut used = Account { revision: account.revision.saturating_add(1), ..account.clone() };
    if let Some(step) = vault.totp_step(account.id, totp.as_bytes(), &code, account.totp_step)? {
        used.totp_step = step;
        return Ok(Proof::Given(used));
    }
    let hash = vault.token_hash(TokenKind::Recovery, &code);
    used.recovery.retain(|left| *left != hash);
    match used.recovery.len() < account.recovery.len() {
        true => Ok(Proof::Given(used)),
        false => Ok(Proof::Wrong),
    }
}

/// New recovery codes, and the hashes that are kept of them.
pub(crate) fn recovery_codes(vault: &Vault) -> Result<(Vec<NewToken>, Vec<[u8; 32]>), VaultError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        codes.push(vault.new_token(TokenKind::Recovery)?.0);
    }
    let hash = |code: &NewToken| vault.token_hash(TokenKind::Recovery, &plain(code.reveal()));
    let hashes = codes.iter().map(hash).collect();
    Ok((codes, hashes))
}

/// A code as it is compared: without the spaces, dashes and capitals that people add.
pub(crate) fn plain(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_compared_without_ornament() {
        let check = |code: &str, expected: &str| assert_eq!(plain(code), expected, "{code}");
        check("123 456", "123456");
        check(" ABCD-efgh-2345-7abc ", "abcdefgh23457abc");
        check("１２３", "");
    }
}
