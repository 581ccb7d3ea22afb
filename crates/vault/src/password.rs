//! Passwords: Argon2id with a pepper from the root key and the account's id as associated data, so
//! that a copied or written hash signs nobody in (RFC 9106; OWASP's floor is 19 MiB, two passes).

use crate::bytes::random;
use crate::secret::Incoming;
use crate::vault::{Vault, VaultError};
use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keyward_model::id::{AccountId, Identifier as _};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// Each takes 64 MiB and a core, so who asks often must not take them all.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

impl Vault {
    /// Hashes an account's password as `argon2id$v=19$m=…,t=…,p=…$salt$hash`; takes about a tenth
    /// of a second, and longer where many are asked for.
    pub async fn hash_password(
        &self,
        account: AccountId,
        password: &Incoming,
    ) -> Result<String, VaultError> {
        let salt: [u8; 16] = random()?;
        let hash = self.argon2(account, password, salt).await?;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        Ok(format!("argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
    }

    /// Checks a password against an account's hash in constant time. Where there is no account, or
    /// its hash cannot be read, the same work is done and nothing matches.
    pub async fn check_password(
        &self,
        password: &Incoming,
        stored: Option<(AccountId, &str)>,
    ) -> Result<bool, VaultError> {
        let nobody = AccountId::from_bytes([0; 16]);
        let (account, stored) = stored.unwrap_or((nobody, ""));
        let mut parts = stored.rsplit('$');
        let decode = |text: Option<&str>| STANDARD_NO_PAD.decode(text?).ok();
        let (hash, salt) = (decode(parts.next()), decode(parts.next()));
        let hash = hash.filter(|hash| hash.len() == 32);
        let salt: Option<[u8; 16]> = salt.and_then(|salt| salt.try_into().ok());
        let found = self.argon2(account, password, salt.unwrap_or_default()).await?;
        let same = bool::from(found.ct_eq(hash.as_deref().unwrap_or(&[0; 32])));
        Ok(same && hash.is_some() && salt.is_some())
    }

    async fn argon2(
        &self,
        account: AccountId,
        password: &Incoming,
        salt: [u8; 16],
    ) -> Result<[u8; 32], VaultError> {
        // The semaphore is never closed.
        let _permit = AT_ONCE.acquire().await.map_err(|_| VaultError::Unreadable)?;
        let pepper = Zeroizing::new(self.pepper());
        let password = Zeroizing::new(password.expose().to_vec());
        let work = move || {
            let mut params = ParamsBuilder::new();
            params.m_cost(MEMORY_KIB).t_cost(PASSES).p_cost(LANES).output_len(32);
            params.data(AssociatedData::new(account.as_bytes()).ok()?);
            let params = params.build().ok()?;
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
