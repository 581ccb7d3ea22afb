//! One-time codes of an authenticator (RFC 6238): SHA-1, six digits, a new one every 30 seconds.

use crate::bytes::random;
use crate::token::NewToken;
use crate::vault::{Vault, VaultError};
use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use keyward_model::credential::Sealed;
use keyward_model::id::AccountId;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const STEP_MILLIS: i64 = 30_000;
/// Steps to either side that are accepted too, since clocks differ.
const WINDOW: i64 = 1;
const DIGITS: usize = 6;

impl Vault {
    /// A new secret of 160 bits (RFC 4226 §4) in base32, and the same sealed for its account.
    pub fn new_totp(&self, account: AccountId) -> Result<(NewToken, Sealed), VaultError> {
        let secret = Zeroizing::new(random::<20>()?);
        let sealed = self.seal_account_secret(account, secret.as_slice())?;
        Ok((NewToken::of(BASE32_NOPAD.encode(secret.as_slice())), sealed))
    }

    /// The time step of a code that is right now and belongs to a later step than `after`, the one
    /// accepted last: no code is accepted twice.
    pub fn totp_step(
        &self,
        account: AccountId,
        sealed: &[u8],
        code: &str,
        after: i64,
    ) -> Result<Option<i64>, VaultError> {
        let secret = self.open_account_secret(account, sealed)?;
        let now = self.now().millis().div_euclid(STEP_MILLIS);
        let fits = |step: &i64| {
            bool::from(code_at(&secret, *step).as_bytes().ct_eq(code.as_bytes())) && *step > after
        };
        Ok((now - WINDOW..=now + WINDOW).find(fits))
    }
}

/// The code of a step (RFC 4226 §5.3).
fn code_at(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref().last().map_or(0, |last| last & 0xf));
    let picked = tag.as_ref().iter().skip(offset).take(4);
    let number = picked.fold(0u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 10u32.pow(DIGITS as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // RFC 6238, appendix B, the last six of its eight digits.
        let check = |seconds: i64, expected: &str| {
            assert_eq!(code_at(b"12345678901234567890", seconds / 30), expected, "{seconds}");
        };
        check(59, "287082");
        check(1_111_111_109, "081804");
        check(1_111_111_111, "050471");
        check(1_234_567_890, "005924");
        check(2_000_000_000, "279037");
        check(20_000_000_000, "353130");
    }
}
