//! Where text can be cut so that masking both sides alone hides the same as masking the whole.

use super::bytes::{before, cut, is_blank};
use super::escape::Escape;
use super::index::Index;
use super::lists::{self, Base};
use super::pattern;
use super::run;
use super::shadow::Shadow;

/// Characters of text that one byte can take in escapes of escapes.
const WIDEST: usize = 16;

/// The last place in `text` after `from` to cut at. Places up to `from` were tried before: whether
/// one is quiet depends on the text before it only.
pub(super) fn last_cut(index: &Index, text: &[u8], from: usize) -> Option<usize> {
    let mut limit = text.len();
    // The start of the line looked at last, and the first header name in it.
    let (mut line, mut name) = (limit, usize::MAX);
    loop {
        let places = text.get(from..limit)?;
        let space = places.iter().rposition(|b| is_blank(*b) || *b == b'\n')?;
        let place = from + space + 1;
        if place <= line {
            let head = cut(text, 0, place - 1);
            line = head.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            name = pattern::first_name(cut(text, line, limit)).map_or(usize::MAX, |i| line + i);
        }
        // After a header's name only its line's end ends the value.
        let within = is_blank(before(text, place)) && (index.has_tiny() || name < place);
        let start = if within { Some(line) } else { unfinished(index, cut(text, 0, place)) };
        match start {
            None => return Some(place),
            Some(start) => limit = start.min(place - 1),
        }
    }
}

/// If the end of `text` may be within something to hide: where that begins, at the earliest. No
/// place after that start is quiet either.
fn unfinished(index: &Index, text: &[u8]) -> Option<usize> {
    if index.is_empty() {
        return None;
    }
    if let Some(line) = run::held_line(text) {
        return Some(line);
    }
    if !index.has_literals() {
        return None;
    }
    let first = text.len().saturating_sub(index.longest());
    if let Some(start) = index.live(cut(text, first, text.len())) {
        return Some(first + start);
    }
    let mut shadow = Shadow::default();
    let live = |shadow: &Shadow| index.live(&shadow.bytes).map(|start| shadow.origin(start));
    if run::joined_tail(text, index.longest(), &mut shadow)
        && let Some(start) = live(&shadow)
    {
        return Some(start);
    }
    for base in [Base::Hex, Base::Decimal] {
        lists::decoded_tail(text, base, index.longest(), &mut shadow);
        if let Some(start) = live(&shadow) {
            return Some(start);
        }
    }
    unfinished_escape(index, text, &mut shadow)
}

fn unfinished_escape(index: &Index, text: &[u8], shadow: &mut Shadow) -> Option<usize> {
    let far = text.len().saturating_sub(WIDEST * (index.longest() + 1));
    let spaces = cut(text, 0, far).iter().rposition(|b| is_blank(*b) || *b == b'\n');
    let from = spaces.map_or(0, |i| i + 1);
    let tail = cut(text, from, text.len());
    let mut twice = Shadow::default();
    for escape in Escape::ALL.into_iter().filter(|escape| escape.occurs(index, tail)) {
        escape.decode(tail, from, shadow);
        if let Some(start) = index.live(&shadow.bytes) {
            return Some(shadow.origin(start));
        }
        for inner in escape.inner() {
            if !inner.occurs(index, &shadow.bytes) {
                continue;
            }
            inner.decode_again(shadow, &mut twice);
            if let Some(start) = index.live(&twice.bytes) {
                return Some(twice.origin(start));
            }
        }
    }
    None
}
