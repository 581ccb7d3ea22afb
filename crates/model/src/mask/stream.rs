//! Masks text that comes in pieces. The result never depends on where it was cut.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::bytes::{before, cut};
use super::cover::{Cover, Grows};
use super::detect::{Carry, covers};
use super::index::Index;
use super::quiet::last_cut;
use super::{Inner, MARK};

/// Text without a place to cut is held back up to this size.
pub(super) const WINDOW: usize = 256 * 1024;

/// Where masked text goes, which decides what stands for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    /// Logs and errors: asterisks.
    Text,
    /// Outputs: placeholders for values, asterisks for patterns.
    Output,
    /// What is handed back to code: placeholders for values; patterns stay.
    Code,
}

/// Masks a text that comes in pieces, for logs: what is hidden shows as `***`. Gives out what can
/// no longer become part of anything to hide; holds the rest, wiped on drop.
pub struct MaskStream {
    masker: Arc<Inner>,
    surface: Surface,
    window: usize,
    held: Zeroizing<Vec<u8>>,
    /// No place up to here can be cut at.
    tried: usize,
    carry: Carry,
}

impl MaskStream {
    pub(super) fn new(masker: Arc<Inner>, surface: Surface, window: usize) -> Self {
        let held = Zeroizing::default();
        Self { masker, surface, window, held, tried: 0, carry: Carry::default() }
    }

    /// Takes the next piece; returns what is safe to give out by now, in order.
    #[must_use]
    pub fn push(&mut self, mut piece: &[u8]) -> Vec<u8> {
        let index = self.masker.index();
        let mut out = Vec::with_capacity(piece.len());
        while !piece.is_empty() {
            let room = self.window.saturating_sub(self.held.len()).min(piece.len()).max(1);
            let (head, rest) = piece.split_at(room);
            self.held.extend_from_slice(head);
            piece = rest;
            let place = last_cut(&index, &self.held, self.tried);
            if let Some(place) = place.filter(|place| self.is_past_carry(*place)) {
                self.release(&index, place, &mut out);
            } else if self.held.len() >= self.window {
                self.force(&index, &mut out);
            }
            self.tried = self.held.len();
        }
        out
    }

    /// Ends the text; returns the rest of it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let index = self.masker.index();
        let mut out = Vec::new();
        let end = self.held.len();
        self.release(&index, end, &mut out);
        out
    }

    /// Whether a cover that began before the held text ends before `place`.
    fn is_past_carry(&self, place: usize) -> bool {
        let rest = cut(&self.held, self.carry.covered, place);
        !rest.is_empty() && (self.carry.grows != Grows::Line || rest.contains(&b'\n'))
    }

    /// Gives out the text before a quiet place.
    fn release(&mut self, index: &Index, place: usize, out: &mut Vec<u8>) {
        let text = cut(&self.held, 0, place);
        let covers = covers(index, text, self.surface != Surface::Code, self.carry);
        replace(index, self.surface, text, &covers, out);
        self.carry = Carry::default();
        drop(self.held.drain(..place));
    }

    /// Gives out part of a text so long that it cannot be held: what is found in all of it counts,
    /// and the next text knows how far the last cover went.
    fn force(&mut self, index: &Index, out: &mut Vec<u8>) {
        let end = self.held.len();
        let keep = (6 * index.longest()).clamp(end / 8, end / 2);
        let place = calm(&self.held, end - keep);
        let mut found = covers(index, &self.held, self.surface != Surface::Code, self.carry);
        let across = found.iter().rfind(|cover| cover.range.start < place).cloned();
        found.retain(|cover| cover.range.start < place);
        if let Some(last) = found.last_mut() {
            last.range.end = last.range.end.min(place);
        }
        replace(index, self.surface, cut(&self.held, 0, place), &found, out);
        // 0xff asks another question; any byte of no word will do.
        self.carry = Carry { prior: before(&self.held, place).min(0xfe), ..Carry::default() };
        if let Some(cover) = across.filter(|cover| cover.range.end > place) {
            self.carry.covered = cover.range.end - place;
            self.carry.grows = cover.grows;
        }
        drop(self.held.drain(..place));
    }
}

/// A place at or somewhat before `place` that is not within an escape.
fn calm(text: &[u8], place: usize) -> usize {
    let is_calm = |place: &usize| {
        let beside = cut(text, place.saturating_sub(12), *place);
        !beside.iter().any(|b| matches!(b, b'%' | b'\\' | b'&' | b'=' | b'\'' | b'"'))
    };
    (place.saturating_sub(256)..=place).rev().find(is_calm).unwrap_or(place)
}

/// Writes `text` with what stands for each cover.
pub(super) fn replace(
    index: &Index,
    surface: Surface,
    text: &[u8],
    covers: &[Cover],
    out: &mut Vec<u8>,
) {
    let mut done = 0;
    for cover in covers {
        out.extend_from_slice(cut(text, done, cover.range.start));
        done = cover.range.end;
        if cover.continued {
            continue;
        }
        let secret = cover.secret.and_then(|secret| index.secret(secret));
        match secret.filter(|_| surface != Surface::Text) {
            Some(secret) => out.extend_from_slice(secret.placeholder.as_bytes()),
            None => out.extend_from_slice(MARK.as_bytes()),
        }
    }
    out.extend_from_slice(cut(text, done, text.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{Masker, Needles};

    const VALUE: &str = "kwtest_8HlrwYMfvea9lkxwkkMxzwwM5hpA6eEfu";

    fn masked(text: &str, window: usize, piece: usize) -> String {
        let masker = Masker::new();
        masker.learn(Arc::new(Needles::build(VALUE.as_bytes())), "kws1_a");
        masker.learn(Arc::new(Needles::build(b"passw0rd")), "kws1_b");
        let inner = Arc::clone(&masker.inner);
        let mut stream = MaskStream::new(inner, Surface::Text, window);
        let mut out: Vec<u8> =
            text.as_bytes().chunks(piece).flat_map(|piece| stream.push(piece)).collect();
        out.extend(stream.finish());
        String::from_utf8(out).unwrap()
    }

    /// Text without a place to cut is given out in parts that do not depend on the pieces.
    #[test]
    fn long_text_without_a_place_to_cut() {
        let filler = "x1-".repeat(700);
        let line = "{\"a\":\"b%20\\\"\"},".repeat(160);
        let encoded = data_encoding::BASE64.encode(VALUE.as_bytes());
        let check = |text: &str, expected: &str| {
            for piece in [1, 7, 100, 1000, usize::MAX] {
                let out = masked(text, 1024, piece.min(text.len()));
                assert!(
                    out == expected,
                    "{piece} of {}...",
                    &text[text.len().min(900)..text.len().min(1100)]
                );
            }
        };
        check(&filler, &filler);
        check(&line, &line);
        for before in (0..120).step_by(7) {
            let before = &line[..1000 - before];
            check(&format!("{before}{VALUE}{line}"), &format!("{before}***{line}"));
            check(&format!("{before} {encoded} {line}"), &format!("{before} *** {line}"));
            check(&format!("{before},passw0rd,{line}"), &format!("{before},***,{line}"));
        }
        // A run longer than the window is covered as far back as it is held, and to its end.
        let shifted = data_encoding::BASE64URL_NOPAD.encode(format!("u{VALUE}").as_bytes());
        for piece in [1, 100, 5000] {
            let out = masked(&format!("{filler}{shifted}{filler} end"), 1024, piece);
            let before = out.strip_suffix("*** end").unwrap();
            assert!(filler.starts_with(before) && before.len() + 128 < filler.len(), "{out}");
        }
        // A header's value goes on to the end of its line.
        let cookie = format!("Authorization: Hawk {}", "id=x, ".repeat(500));
        check(&format!("{cookie}\nnext"), "Authorization: Hawk ***\nnext");
    }
}
