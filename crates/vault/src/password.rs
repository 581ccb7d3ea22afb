//! Passwords: Argon2id with a pepper from the root key, so that a copied or written hash signs
//! nobody in (RFC 9106; OWASP's floor is 19 MiB and two passes).

use crate::bytes::random;
use crate::vault::{Vault, VaultError};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

impl Vault {
    /// Hashes a password as `argon2id$v=19$m=…,t=…,p=…$salt$hash`; takes about a tenth of a second.
    pub async fn hash_password(&self, password: &str) -> Result<String, VaultError> {
        let salt: [u8; 16] = random()?;
        let hash = self.argon2(password, salt).await?;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        Ok(format!("argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
    }

    /// Checks a password against a hash in constant time; an unreadable hash never matches.
    pub async fn check_password(&self, password: &str, stored: &str) -> Result<bool, VaultError> {
        let mut parts = stored.rsplit('$');
        let decode = |text: Option<&str>| STANDARD_NO_PAD.decode(text?).ok();
        let (hash, salt) = (decode(parts.next()), decode(parts.next()));
        let salt: Option<[u8; 16]> = salt.and_then(|salt| salt.try_into().ok());
        let (Some(hash), Some(salt)) = (hash, salt) else { return Ok(false) };
        let found = self.argon2(password, salt).await?;
        Ok(bool::from(found.ct_eq(hash.as_slice())))
    }

    async fn argon2(&self, password: &str, salt: [u8; 16]) -> Result<[u8; 32], VaultError> {
        let pepper = Zeroizing::new(self.pepper());
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let work = move || {
            let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).ok()?;
            let argon2 =
                Argon2::new_with_secret(&*pepper, Algorithm::Argon2id, Version::V0x13, params)
                    .ok()?;
            let mut out = [0; 32];
            argon2.hash_password_into(&password, &salt, &mut out).ok()?;
            Some(out)
        };
        let hash = tokio::task::spawn_blocking(work).await.ok().flatten();
        hash.ok_or(VaultError::Unreadable)
    }
}
