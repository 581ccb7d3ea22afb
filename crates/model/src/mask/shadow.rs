//! Decoded copies of text that remember where each byte came from.

use std::ops::Range;

use zeroize::Zeroizing;

use super::bytes::{at, before, is_run};

/// Decoded bytes, and for each the range of the original text that it stands for.
#[derive(Default)]
pub(super) struct Shadow {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    spans: Vec<(u32, u32)>,
}

impl Shadow {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Adds a byte. Texts are at most a window long, so their offsets fit 32 bits.
    pub(super) fn push(&mut self, byte: u8, from: usize, to: usize) {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.bytes.push(byte);
        self.spans.push((narrow(from), narrow(to)));
    }

    /// Adds bytes that stand for themselves.
    pub(super) fn extend(&mut self, bytes: &[u8], from: usize) {
        for (i, b) in (from..).zip(bytes) {
            self.push(*b, i, i + 1);
        }
    }

    /// Where in the original the byte at `i` begins.
    pub(super) fn origin(&self, i: usize) -> usize {
        self.spans.get(i).map_or(0, |span| span.0 as usize)
    }

    /// The original range of the decoded run around `start..end`. It ends where something was left
    /// out, such as a soft line break.
    pub(super) fn run(&self, mut start: usize, mut end: usize) -> Range<usize> {
        let joins = |i: usize| match (self.spans.get(i), self.spans.get(i + 1)) {
            (Some(one), Some(next)) => one == next || one.1 == next.0,
            _ => false,
        };
        while is_run(before(&self.bytes, start)) && joins(start - 1) {
            start -= 1;
        }
        while end > 0 && is_run(at(&self.bytes, end)) && joins(end - 1) {
            end += 1;
        }
        self.range(start, end)
    }

    /// The original range of a decoded one.
    pub(super) fn range(&self, start: usize, end: usize) -> Range<usize> {
        let last = end.checked_sub(1).and_then(|i| self.spans.get(i));
        self.origin(start)..last.map_or(0, |span| span.1 as usize)
    }
}
