//! Small pieces around aws-lc-rs: random bytes, HKDF, HMAC, SHA-256, and keys that are wiped.

use crate::vault::VaultError;
use aws_lc_rs::{digest, hkdf, hmac, rand};
use keyward_model::clock::Timestamp;
use keyward_model::id::Identifier;
use zeroize::Zeroizing;

/// A 256-bit key, wiped when dropped. It has its own place on the heap, so that moving it leaves no
/// copy behind and its page stays locked.
pub(crate) struct Key(Box<Zeroizing<[u8; 32]>>);

impl Key {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        let key = Self(Box::new(Zeroizing::new(bytes)));
        lock_memory(key.0.as_slice());
        key
    }

    pub(crate) fn random() -> Result<Self, VaultError> {
        Ok(Self::new(random()?))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HKDF-SHA-256 (RFC 5869): info = `keyward/v1/<purpose>` 00 context. One label, one use.
    pub(crate) fn derive(&self, salt: &[u8], purpose: &str, context: &[u8]) -> Key {
        let info: [&[u8]; 4] = [b"keyward/v1/", purpose.as_bytes(), &[0], context];
        let mut out = [0; 32];
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.bytes());
        // 32 bytes are far below HKDF's limit of 255 blocks, so neither call can fail.
        let filled = extracted.expand(&info, hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut out));
        debug_assert!(filled.is_ok());
        Key::new(out)
    }

    /// HMAC-SHA-256 over the parts, one after the other.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.bytes()));
        parts.iter().for_each(|part| context.update(part));
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// Random bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| VaultError::Randomness)?;
    Ok(bytes)
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// A new identifier: UUIDv7 (RFC 9562 §5.7) from the given time and fresh random bits.
pub fn fresh_id<T: Identifier>(now: Timestamp) -> T {
    // Ids need uniqueness, not secrecy; should the generator fail, the time part still orders them.
    let mut bytes = random::<16>().unwrap_or_default();
    let millis = u64::try_from(now.millis()).unwrap_or(0).to_be_bytes();
    let [_, _, time @ ..] = millis;
    let [a, b, c, d, e, f, version, _, variant, ..] = &mut bytes;
    for (slot, value) in [a, b, c, d, e, f].into_iter().zip(time) {
        *slot = value;
    }
    *version = 0x70 | (*version & 0x0f);
    *variant = 0x80 | (*variant & 0x3f);
    T::from_bytes(bytes)
}

/// Keeps a key's page out of swap, best effort: without the right to lock, work goes on.
#[expect(unsafe_code, reason = "mlock has no safe wrapper in the standard library")]
fn lock_memory(bytes: &[u8]) {
    // SAFETY: the range is one live allocation; mlock changes no content and its failure is harmless.
    unsafe {
        libc::mlock(bytes.as_ptr().cast(), bytes.len());
    }
}
