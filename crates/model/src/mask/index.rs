//! Finds the needles of a whole run in text: fingerprints of fixed windows, then verification.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::bytes::{ByteSet, cut};
use super::needles::{LOOKING, Match, Needles, WINDOW, fingerprint};

/// Case folding for eight bytes at once; coarse, as verification follows.
const FOLD: u64 = 0x2020_2020_2020_2020;

/// All needles of a run.
#[derive(Default)]
pub(super) struct Index {
    secrets: Vec<Secret>,
    /// Fingerprints in order, and beside each its secret and literal.
    keys: Zeroizing<Vec<u64>>,
    owners: Vec<(u32, u32)>,
    filter: Filter,
    longest: usize,
    longest_value: usize,
    bytes: ByteSet,
    has_weak: bool,
    has_tiny: bool,
}

/// One value that the run knows, and what stands for it in outputs.
#[derive(Clone)]
pub(super) struct Secret {
    pub(super) needles: Arc<Needles>,
    pub(super) placeholder: Arc<str>,
}

/// A needle found, in offsets of the text searched.
pub(super) struct Hit {
    pub(super) secret: u32,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Covers just itself; otherwise the run around it.
    pub(super) exact: bool,
    /// Padding may follow.
    pub(super) padded: bool,
}

impl Index {
    pub(super) fn build(secrets: Vec<Secret>) -> Self {
        let mut index = Self::default();
        let mut entries: Vec<(u64, u32, u32)> = Vec::new();
        for (number, secret) in (0..).zip(&secrets) {
            let needles = &secret.needles;
            entries.extend(needles.keys().map(|(key, literal)| (key, number, literal)));
            index.longest = index.longest.max(needles.longest());
            index.longest_value = index.longest_value.max(needles.longest_value());
            index.bytes.extend(needles.bytes());
            index.has_weak |= needles.has_weak();
            index.has_tiny |= needles.tiny().next().is_some();
        }
        entries.sort_unstable();
        index.filter = Filter::build(&entries);
        index.keys.extend(entries.iter().map(|(key, ..)| *key));
        index.owners.extend(entries.iter().map(|(_, secret, literal)| (*secret, *literal)));
        entries.iter_mut().for_each(|(key, ..)| key.zeroize());
        index.secrets = secrets;
        index
    }

    pub(super) fn secret(&self, number: u32) -> Option<&Secret> {
        self.secrets.get(usize::try_from(number).ok()?)
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = (u32, &Secret)> {
        (0..).zip(&self.secrets)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub(super) fn has_literals(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(super) fn has_weak(&self) -> bool {
        self.has_weak
    }

    pub(super) fn has_tiny(&self) -> bool {
        self.has_tiny
    }

    pub(super) fn bytes(&self) -> &ByteSet {
        &self.bytes
    }

    /// No needle is longer in any fixed form.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// No value is longer, not encoded.
    pub(super) fn longest_value(&self) -> usize {
        self.longest_value
    }

    /// Every needle in `text`, overlapping ones too. `prior` is the byte before the text.
    pub(super) fn search(&self, text: &[u8], prior: u8, mut found: impl FnMut(Hit)) {
        if self.keys.is_empty() {
            return;
        }
        let mut check = |start, key| {
            for (secret, literal) in self.owners_of(key, 0xffff) {
                let Some(known) = self.secret(secret) else { continue };
                if let Match::Hit { length, exact, padded } =
                    known.needles.compare(literal, text, start, prior)
                {
                    found(Hit { secret, start, end: start + length, exact, padded });
                }
            }
        };
        for (start, window) in text.windows(8).enumerate() {
            if let Some(eight) = window.first_chunk::<8>() {
                let key = (u64::from_be_bytes(*eight) | FOLD) & !0xffff;
                if self.filter.may_hold(key) {
                    check(start, key);
                }
            }
        }
        for start in text.len().saturating_sub(7)..text.len() {
            if let Some(head) = cut(text, start, text.len()).first_chunk::<WINDOW>() {
                check(start, fingerprint(head));
            }
        }
    }

    /// Where the earliest needle begins that the end of `text` leaves unfinished.
    pub(super) fn live(&self, text: &[u8]) -> Option<usize> {
        if self.keys.is_empty() {
            return None;
        }
        let first = text.len().saturating_sub(self.longest);
        (first..text.len()).find(|start| self.is_live(text, *start))
    }

    fn is_live(&self, text: &[u8], start: usize) -> bool {
        let head = cut(text, start, start + WINDOW);
        let mut padded = [0; WINDOW];
        for (to, from) in padded.iter_mut().zip(head) {
            *to = *from;
        }
        let missing = 8 * (WINDOW - head.len()) + 16;
        let (key, open) = (fingerprint(&padded), (1 << missing) - 1);
        if head.len() == WINDOW && !self.filter.may_hold(key) {
            return false;
        }
        self.owners_of(key & !open, open).any(|(secret, literal)| {
            let known = self.secret(secret).map(|known| &known.needles);
            known.is_some_and(|n| matches!(n.compare(literal, text, start, LOOKING), Match::Live))
        })
    }

    /// Literals with a fingerprint from `key` to `key | open`.
    fn owners_of(&self, key: u64, open: u64) -> impl Iterator<Item = (u32, u32)> + '_ {
        let from = self.keys.partition_point(|known| *known < key);
        let keys = self.keys.get(from..).unwrap_or_default();
        let owners = self.owners.get(from..).unwrap_or_default();
        let within = keys.iter().take_while(move |known| **known <= key | open);
        within.zip(owners).map(|(_, owner)| *owner)
    }
}

/// A blocked Bloom filter: two bits in one word for each fingerprint.
#[derive(Default)]
struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn build(entries: &[(u64, u32, u32)]) -> Self {
        let count = (entries.len() / 4).next_power_of_two().max(64);
        let mut filter = Self { words: vec![0; count], shift: 64 - count.trailing_zeros() };
        for (key, ..) in entries {
            let (word, bits) = filter.place(*key);
            if let Some(word) = filter.words.get_mut(word) {
                *word |= bits;
            }
        }
        filter
    }

    #[expect(clippy::cast_possible_truncation, reason = "shifted to fewer bits than a usize has")]
    fn place(&self, key: u64) -> (usize, u64) {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = 1 << (hash >> 20 & 63) | 1 << (hash >> 26 & 63);
        ((hash >> self.shift) as usize, bits)
    }

    fn may_hold(&self, key: u64) -> bool {
        let (word, bits) = self.place(key);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}
