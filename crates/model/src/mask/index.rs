//! Finds the needles of a whole run in text: fingerprints of fixed windows, then verification.

use std::sync::Arc;

use zeroize::{Zeroize, Zeroizing};

use super::bytes::{ByteSet, cut};
use super::needles::{LOOKING, Match, Needles, WINDOW, fingerprint};

/// Case folding for a window at once; coarse, as verification follows.
const FOLD: u64 = 0x20_2020_2020;
const MASK: u64 = 0xff_ffff_ffff;
/// Windows that are looked at together, one at every second place: each needle has two.
const BLOCK: usize = 16;
const STRIDE: usize = 2;

/// All needles of a run.
#[derive(Default)]
pub(super) struct Index {
    secrets: Vec<Secret>,
    /// Fingerprints in order, and beside each what it belongs to.
    keys: Zeroizing<Vec<u64>>,
    owners: Vec<Owner>,
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

/// The literal that a fingerprint belongs to.
#[derive(Clone, Copy)]
struct Owner {
    secret: u32,
    literal: u32,
    /// Where in the literal the window is.
    offset: u8,
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
        let mut entries: Vec<(u64, Owner)> = Vec::new();
        for (number, secret) in (0..).zip(&secrets) {
            let needles = &secret.needles;
            let secret = number;
            let owner = |(key, literal, offset)| (key, Owner { secret, literal, offset });
            entries.extend(needles.keys().map(owner));
            index.longest = index.longest.max(needles.longest());
            index.longest_value = index.longest_value.max(needles.longest_value());
            index.bytes.extend(needles.bytes());
            index.has_weak |= needles.has_weak();
            index.has_tiny |= needles.tiny().next().is_some();
        }
        entries.sort_unstable_by_key(|(key, _)| *key);
        index.filter = Filter::build(&entries);
        index.keys.extend(entries.iter().map(|(key, _)| *key));
        index.owners.extend(entries.iter().map(|(_, owner)| *owner));
        entries.iter_mut().for_each(|(key, _)| key.zeroize());
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
        let mut check = |place: usize| {
            let Some(head) = cut(text, place, place + WINDOW).first_chunk() else { return };
            for Owner { secret, literal, offset } in self.owners_of(fingerprint(head), 0) {
                let Some(known) = self.secret(secret) else { continue };
                let Some(start) = place.checked_sub(usize::from(offset)) else { continue };
                if let Match::Hit { length, exact, padded } =
                    known.needles.compare(literal, text, start, prior)
                {
                    found(Hit { secret, start, end: start + length, exact, padded });
                }
            }
        };
        const WIDTH: usize = BLOCK * STRIDE;
        let blocks = text.windows(WIDTH + 6).step_by(WIDTH);
        for (block, start) in blocks.zip((0..).step_by(WIDTH)) {
            let mut seen = 0_u32;
            for (bit, window) in block.windows(8).step_by(STRIDE).enumerate() {
                let window = window.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
                seen |= u32::from(self.filter.may_hold(window)) << bit;
            }
            while seen != 0 {
                check(start + STRIDE * seen.trailing_zeros() as usize);
                seen &= seen - 1;
            }
        }
        // What no block fits on.
        let done = text.len().saturating_sub(6) / WIDTH * WIDTH;
        (done..text.len()).step_by(STRIDE).for_each(check);
    }

    /// Whether a needle may begin at `start`: true for all that do, and seldom for others.
    pub(super) fn may_start(&self, text: &[u8], start: usize) -> bool {
        let window = cut(text, start, start + WINDOW).first_chunk::<WINDOW>();
        window.is_some_and(|window| self.filter.may_hold(fingerprint(window).swap_bytes()))
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
        let missing = 8 * (WINDOW - head.len()) + 24;
        let (key, open) = (fingerprint(&padded), (1 << missing) - 1);
        if head.len() == WINDOW && !self.filter.may_hold(key.swap_bytes()) {
            return false;
        }
        self.owners_of(key & !open, open).filter(|owner| owner.offset == 0).any(|owner| {
            let known = self.secret(owner.secret).map(|known| &known.needles);
            let compare =
                |needles: &Arc<Needles>| needles.compare(owner.literal, text, start, LOOKING);
            matches!(known.map(compare), Some(Match::Live))
        })
    }

    /// What has a fingerprint from `key` to `key | open`.
    fn owners_of(&self, key: u64, open: u64) -> impl Iterator<Item = Owner> + '_ {
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
    fn build(entries: &[(u64, Owner)]) -> Self {
        let count = (entries.len() / 4).next_power_of_two().max(64);
        let mut filter = Self { words: vec![0; count], shift: 64 - count.trailing_zeros() };
        for (key, _) in entries {
            let (word, bits) = filter.place(key.swap_bytes());
            if let Some(word) = filter.words.get_mut(word) {
                *word |= bits;
            }
        }
        filter
    }

    /// The word and the bits for a text that begins with these bytes, the first one lowest.
    fn place(&self, window: u64) -> (usize, u64) {
        let hash = ((window | FOLD) & MASK).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = 1 << (hash >> 34 & 63) | 1 << (hash >> 40 & 63);
        ((hash >> self.shift) as usize, bits)
    }

    fn may_hold(&self, window: u64) -> bool {
        let (word, bits) = self.place(window);
        self.words.get(word).is_some_and(|word| word & bits == bits)
    }
}
