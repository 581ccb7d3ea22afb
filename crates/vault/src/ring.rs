//! A workspace's keys: every generation that is there. The newest active one seals and signs, each
//! that was not retired opens and verifies.

use crate::bytes::Key;
use crate::keys::run_sealing;
use crate::seal;
use crate::vault::VaultError;
use keyward_model::clock::Timestamp;
use keyward_model::id::{Identifier as _, KeyId, RunId, WorkspaceId};
use keyward_model::tag::{Granting, Tag, Tagged, Tampered};
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Clocks of several servers differ a little.
const TOLERANCE_MILLIS: i64 = 60_000;

/// One generation of a workspace's keys, one key per purpose.
pub(crate) struct Generation {
    pub(crate) id: KeyId,
    pub(crate) number: i64,
    is_active: bool,
    /// `None` once the generation is retired.
    opening: Option<Opening>,
    audit: Key,
    run: Key,
    request: Key,
    retired_at: Option<Timestamp>,
}

/// What opens records and vouches for rows.
struct Opening {
    /// Wraps version keys, run keys and trigger tokens.
    wrap: Key,
    mac: Key,
}

impl Generation {
    pub(crate) fn live(
        (id, number): (KeyId, i64),
        is_active: bool,
        derive: impl Fn(&str) -> Key,
    ) -> Self {
        Self {
            id,
            number,
            is_active,
            opening: Some(Opening { wrap: derive("wrap"), mac: derive("mac") }),
            audit: derive("audit"),
            run: derive("run"),
            request: derive("request"),
            retired_at: None,
        }
    }

    /// Reads what `remains` wrote.
    pub(crate) fn retired(id: KeyId, number: i64, plain: &[u8]) -> Option<Self> {
        let (audit, rest) = plain.split_at_checked(32)?;
        let (run, rest) = rest.split_at_checked(32)?;
        let (request, millis) = rest.split_at_checked(32)?;
        let millis = i64::from_be_bytes(millis.try_into().ok()?);
        Some(Self {
            id,
            number,
            is_active: false,
            opening: None,
            audit: Key::from_slice(audit)?,
            run: Key::from_slice(run)?,
            request: Key::from_slice(request)?,
            retired_at: Some(Timestamp::from_millis(millis)),
        })
    }

    /// What outlives the generation: the keys of its audit records, its runs' names and its
    /// requests' digests, and when it was retired.
    pub(crate) fn remains(&self, now: Timestamp) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(3 * 32 + 8));
        for key in [&self.audit, &self.run, &self.request] {
            out.extend_from_slice(key.bytes());
        }
        out.extend_from_slice(&now.millis().to_be_bytes());
        out
    }

    /// The key that wraps, where the generation still opens.
    pub(crate) fn wrap(&self) -> Result<&Key, VaultError> {
        self.opening.as_ref().map(|opening| &opening.wrap).ok_or(VaultError::Unreadable)
    }

    /// The tag of a row's content, where the generation still vouches for rows.
    pub(crate) fn tag(&self, content: &[u8]) -> Option<Tag> {
        self.opening.as_ref().map(|opening| opening.mac.mac(&[content]))
    }

    fn audit_mac(&self, previous: &[u8], number: i64, event: &[u8]) -> [u8; 32] {
        let length = u32::try_from(previous.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.audit.mac(&[&length, previous, &number.to_be_bytes(), event])
    }

    /// Whether this generation may have authenticated a record of that time.
    fn audited_at(&self, at: Option<Timestamp>) -> bool {
        let last = self.retired_at.map(|at| at.plus_millis(TOLERANCE_MILLIS));
        at.zip(last).is_none_or(|(at, last)| at <= last)
    }
}

/// The generations that are there, oldest first.
pub(crate) struct Ring {
    generations: Vec<Arc<Generation>>,
    active: Arc<Generation>,
    oldest: Arc<Generation>,
}

impl Ring {
    /// `None` without an active generation.
    pub(crate) fn new(mut generations: Vec<Arc<Generation>>) -> Option<Self> {
        generations.sort_by_key(|generation| generation.number);
        let active = generations.iter().rev().find(|generation| generation.is_active)?.clone();
        let oldest = generations.first()?.clone();
        Some(Self { generations, active, oldest })
    }

    fn find(&self, id: &[u8]) -> Option<&Arc<Generation>> {
        self.generations.iter().find(|generation| generation.id.as_bytes() == id)
    }

    /// Whether the other ring can follow this one: keys only ever go forward.
    fn is_followed_by(&self, next: &Self) -> bool {
        let stays_shut = |generation: &Arc<Generation>| {
            let now = next.find(generation.id.as_bytes());
            generation.opening.is_some() || now.is_some_and(|now| now.opening.is_none())
        };
        next.active.number >= self.active.number && self.generations.iter().all(stays_shut)
    }
}

/// A workspace's keys as everything that uses them holds them; new generations come to all holders.
pub(crate) struct WorkspaceKeys {
    pub(crate) workspace: WorkspaceId,
    ring: RwLock<Arc<Ring>>,
}

impl WorkspaceKeys {
    pub(crate) fn new(workspace: WorkspaceId, ring: Ring) -> Self {
        Self { workspace, ring: RwLock::new(Arc::new(ring)) }
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the database holds by now.
    ///
    /// # Errors
    /// `KeysWentBack` where that is older than what was loaded before; then nothing changes.
    pub(crate) fn follow(&self, next: Ring) -> Result<(), VaultError> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        if !ring.is_followed_by(&next) {
            return Err(VaultError::KeysWentBack);
        }
        *ring = Arc::new(next);
        Ok(())
    }

    /// The keys as they are now; what is followed later does not reach them.
    pub(crate) fn snapshot(&self) -> Self {
        Self { workspace: self.workspace, ring: RwLock::new(self.ring()) }
    }

    /// The generation that seals and signs.
    pub(crate) fn active(&self) -> Arc<Generation> {
        self.ring().active.clone()
    }

    /// The generation that a record lies under.
    pub(crate) fn of(&self, record: &[u8]) -> Result<Arc<Generation>, VaultError> {
        let kid = seal::kid(record).ok_or(VaultError::Unreadable)?;
        self.ring().find(&kid).cloned().ok_or(VaultError::Unreadable)
    }

    /// Whether a record lies under the generation that seals now.
    pub(crate) fn seals_like(&self, record: &[u8]) -> bool {
        seal::kid(record).as_ref() == Some(self.active().id.as_bytes())
    }

    /// Whether a record's generation is there and opens.
    pub(crate) fn opens(&self, record: &[u8]) -> bool {
        self.of(record).is_ok_and(|generation| generation.opening.is_some())
    }

    /// The generations before the active one that still open.
    pub(crate) fn older(&self) -> Vec<Arc<Generation>> {
        let ring = self.ring();
        let is_older = |generation: &&Arc<Generation>| {
            generation.number < ring.active.number && generation.opening.is_some()
        };
        ring.generations.iter().filter(is_older).cloned().collect()
    }

    /// The key under which a run's sealed values are computed: the same on every node. It is the
    /// oldest generation's for all runs, so that a run goes on, and is retried, under the same
    /// names; a name opens nothing.
    pub(crate) fn run_sealing(&self, run: RunId) -> Key {
        run_sealing(&self.ring().oldest.run, run)
    }

    /// `mac_n = HMAC(audit key, mac_(n-1), n, event)`, the first part with its length before it.
    pub(crate) fn audit_mac(&self, previous: &[u8], number: i64, event: &[u8]) -> [u8; 32] {
        self.ring().active.audit_mac(previous, number, event)
    }

    /// The same under the generation that gave `found`, if any did that may have at that time.
    pub(crate) fn audit_mac_like(
        &self,
        found: &[u8],
        at: Option<Timestamp>,
        (previous, number, event): (&[u8], i64, &[u8]),
    ) -> [u8; 32] {
        let ring = self.ring();
        let at_that_time = ring.generations.iter().rev().filter(|key| key.audited_at(at));
        let mut macs = at_that_time.map(|key| key.audit_mac(previous, number, event));
        let like = macs.find(|mac| bool::from(subtle::ConstantTimeEq::ct_eq(&mac[..], found)));
        like.unwrap_or_else(|| ring.active.audit_mac(previous, number, event))
    }

    /// Names a repeated request by what its sender called it. The same under every generation, so
    /// that a request which is sent again is known again; what it hides is no secret.
    pub(crate) fn request_name(&self, parts: &[&[u8]]) -> [u8; 32] {
        digest(&self.ring().oldest.request, parts)
    }

    /// Digests of a request under each generation, the one to store first. Keyed, because a request
    /// may hold a secret that could be guessed from a plain hash.
    pub(crate) fn request_digests(&self, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        let ring = self.ring();
        let active = std::iter::once(&ring.active);
        let all = active.chain(ring.generations.iter().rev());
        all.map(|generation| digest(&generation.request, parts)).collect()
    }

    pub(crate) fn sign<T: Granting>(&self, row: T) -> Tagged<T> {
        let active = self.active();
        // An active generation always has its keys.
        Tagged::sign(row, |content| active.tag(content).unwrap_or_default())
    }

    pub(crate) fn verify<T: Granting>(&self, row: Tagged<T>) -> Result<T, Tampered> {
        let tag = *row.parts().1;
        match self.vouch_for(&row) {
            true => row.open(|_| tag),
            false => Err(Tampered),
        }
    }

    /// Whether a generation that is there gave the row its tag.
    pub(crate) fn vouch_for<T: Granting>(&self, row: &Tagged<T>) -> bool {
        self.signer(&row.authenticated(), row.parts().1).is_some()
    }

    /// The generation that gave a row its tag.
    pub(crate) fn signer(&self, content: &[u8], tag: &Tag) -> Option<Arc<Generation>> {
        let ring = self.ring();
        let gave = |generation: &&Arc<Generation>| {
            let expected = generation.tag(content);
            expected.is_some_and(|expected| {
                subtle::ConstantTimeEq::ct_eq(&expected[..], &tag[..]).into()
            })
        };
        ring.generations.iter().rev().find(gave).cloned()
    }
}

/// Each part with its length before it.
fn digest(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let lengths: Vec<_> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let pairs = lengths.iter().zip(parts);
    let all: Vec<&[u8]> = pairs.flat_map(|(length, part)| [length.as_slice(), part]).collect();
    key.mac(&all)
}
