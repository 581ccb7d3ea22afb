//! Decoded copies of text that remember where each byte came from.

use std::ops::Range;

use zeroize::Zeroizing;

use super::bytes::{at, before, cut, is_run};

/// Decoded bytes, and where in the original text each stood.
#[derive(Default)]
pub(super) struct Shadow {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pieces: Vec<Piece>,
}

/// A stretch of decoded bytes up to the next piece. Offsets fit 32 bits, as texts are at most a
/// window or an unpacked text long.
#[derive(Clone, Copy)]
struct Piece {
    /// The first decoded byte.
    at: u32,
    /// Where in the original it stands.
    from: u32,
    /// Length of the one escape that the piece decodes; 0 for bytes that stand for themselves.
    taken: u32,
}

impl Shadow {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
    }

    /// Adds what the original range `from..to` decodes to.
    pub(super) fn push(&mut self, decoded: &[u8], from: usize, to: usize) {
        if !decoded.is_empty() {
            self.piece(from, to - from);
            self.bytes.extend_from_slice(decoded);
        }
    }

    /// Adds bytes that stand for themselves, in the original from `from` on.
    pub(super) fn extend(&mut self, bytes: &[u8], from: usize) {
        if !bytes.is_empty() {
            self.piece(from, 0);
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Adds a range of another shadow, unchanged.
    pub(super) fn extend_from(&mut self, other: &Shadow, range: Range<usize>) {
        let mut i = range.start;
        while i < range.end {
            let (number, piece) = other.piece_of(i);
            let next = other.pieces.get(number + 1).map_or(range.end, |next| next.at as usize);
            let bytes = cut(&other.bytes, i, next.min(range.end));
            if piece.taken == 0 {
                self.extend(bytes, piece.from as usize + i - piece.at as usize);
            } else {
                self.push(bytes, piece.from as usize, (piece.from + piece.taken) as usize);
            }
            i = next;
        }
    }

    fn piece(&mut self, from: usize, taken: usize) {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at = narrow(self.bytes.len());
        self.pieces.push(Piece { at, from: narrow(from), taken: narrow(taken) });
    }

    /// The piece that byte `i` belongs to, and its number.
    fn piece_of(&self, i: usize) -> (usize, Piece) {
        let after = self.pieces.partition_point(|piece| piece.at as usize <= i);
        let number = after.saturating_sub(1);
        let none = Piece { at: 0, from: 0, taken: 0 };
        (number, self.pieces.get(number).copied().unwrap_or(none))
    }

    /// Where in the original the byte at `i` stands.
    fn span(&self, i: usize) -> Range<usize> {
        let (_, piece) = self.piece_of(i);
        let from = piece.from as usize;
        if piece.taken > 0 {
            return from..from + piece.taken as usize;
        }
        let from = from + i - piece.at as usize;
        from..from + 1
    }

    /// Where in the original the byte at `i` begins.
    pub(super) fn origin(&self, i: usize) -> usize {
        self.span(i).start
    }

    /// The original range of the decoded run around `start..end`. It ends where something was left
    /// out, such as a soft line break.
    pub(super) fn run(&self, mut start: usize, mut end: usize) -> Range<usize> {
        let joins = |i: usize| {
            let (one, next) = (self.span(i), self.span(i + 1));
            one == next || one.end == next.start
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
        self.origin(start)..end.checked_sub(1).map_or(0, |last| self.span(last).end)
    }
}
