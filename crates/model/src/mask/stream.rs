//! Masks text that comes in pieces. The result never depends on where it was cut.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::bytes::{before, cut};
use super::cover::Cover;
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
        let mut out = Vec::new();
        while !piece.is_empty() {
            let room = self.window.saturating_sub(self.held.len()).min(piece.len()).max(1);
            let (head, rest) = piece.split_at(room);
            self.held.extend_from_slice(head);
            piece = rest;
            if let Some(place) = last_cut(&index, &self.held, self.tried) {
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
