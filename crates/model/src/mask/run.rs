//! Base64 runs: how far one goes around a hit, over line breaks where the text was wrapped.

use std::ops::Range;

use super::bytes::{at, before, cut, hex_number, hex_pair, is_blank, is_run};
use super::shadow::Shadow;

/// A line of base64 that goes on in the next one has at least so many characters.
const WRAPPED: usize = 24;
/// A cover goes on over line breaks only from lines as long as encoders make them.
const FULL_LINE: usize = 56;
/// A line continues a full one when its run ends the line or has so many characters.
const CONTINUED: usize = 16;
/// Indentation of wrapped lines.
const INDENT: usize = 16;

/// The run around `hit`, with padding and wrapped lines. It is known to hold `around`.
pub(super) fn cover(text: &[u8], hit: &Range<usize>, around: &Range<usize>) -> Range<usize> {
    let start = back(text, around.start);
    let mut start = after_escape(text, start).min(hit.start);
    let mut end = forward(text, around.end);
    loop {
        let length = end - run_start(text, end, 0);
        let (padded, next) = (padding(text, end), line_break(text, end));
        match next {
            Some(next) if padded == end && length >= FULL_LINE && continues(text, next) => {
                end = forward(text, next);
            }
            _ => {
                end = padded;
                break;
            }
        }
    }
    while let Some(previous) = wrapped_before(text, start, FULL_LINE) {
        if !continues(text, start) {
            break;
        }
        start = previous;
    }
    start..end
}

/// Where the plain run that ends at `end` begins, not before `least`.
fn run_start(text: &[u8], end: usize, least: usize) -> usize {
    let run = cut(text, least, end).iter().rev().take_while(|b| is_run(**b)).count();
    end - run
}

/// The end of the run at `i`: run characters, also `\/`, `%2B` and `%2F`.
pub(super) fn forward(text: &[u8], mut i: usize) -> usize {
    loop {
        let b = at(text, i);
        i += if is_run(b) {
            1
        } else if b == b'\\' && at(text, i + 1) == b'/' {
            2
        } else if b == b'%' && is_escaped(text, i) {
            3
        } else {
            return i;
        };
    }
}

/// The start of the run that ends at `i`.
fn back(text: &[u8], end: usize) -> usize {
    let mut i = end;
    loop {
        let b = before(text, i);
        let goes_on = is_run(b)
            || (b == b'\\' && at(text, i) == b'/')
            || (b == b'%' && is_escaped(text, i - 1));
        if !goes_on {
            break;
        }
        i -= 1;
    }
    i
}

/// What is left of an escape such as `\n` or `%2e` is not part of the run that seems to begin
/// with it.
fn after_escape(text: &[u8], i: usize) -> usize {
    let left = match (before(text, i), at(text, i)) {
        (b'\\', b'n' | b'r' | b't' | b'b' | b'f') => 1,
        (b'\\', b'x') if hex_pair(text, i + 1).is_some() => 3,
        (b'\\', b'u') if hex_number(text, i + 1, 4).is_some() => 5,
        (b'%', _) if hex_pair(text, i).is_some() => 2,
        _ => 0,
    };
    i + left
}

/// Whether `%2B` or `%2F` stands at `i`.
fn is_escaped(text: &[u8], i: usize) -> bool {
    matches!(cut(text, i, i + 3), [b'%', b'2', b'B' | b'F' | b'b' | b'f'])
}

/// The end of the padding at `i`: `=` or `%3D`, at most six.
pub(super) fn padding(text: &[u8], mut i: usize) -> usize {
    for _ in 0..6 {
        i += match cut(text, i, i + 3) {
            [b'=', ..] => 1,
            [b'%', b'3', b'D' | b'd'] => 3,
            _ => break,
        };
    }
    i
}

/// The offset after the line break and indentation at `i`, if there is one.
pub(super) fn line_break(text: &[u8], i: usize) -> Option<usize> {
    let percent = |i| match cut(text, i, i + 3) {
        [b'%', b'0', b'A' | b'a'] => Some(i + 3),
        _ => None,
    };
    match at(text, i) {
        b'\n' => Some(indented(text, i + 1)),
        b'\r' if at(text, i + 1) == b'\n' => Some(indented(text, i + 2)),
        b'\\' => {
            let letter = |i: usize| {
                let slashes = cut(text, i, i + 4).iter().take_while(|b| **b == b'\\').count();
                (i + slashes + 1, if slashes > 0 { at(text, i + slashes) } else { 0 })
            };
            match letter(i) {
                (end, b'n') => Some(end),
                (end, b'r') => Some(letter(end)).filter(|l| l.1 == b'n').map(|l| l.0),
                _ => None,
            }
        }
        b'%' => match cut(text, i, i + 3) {
            [b'%', b'0', b'D' | b'd'] => percent(i + 3),
            _ => percent(i),
        },
        _ => None,
    }
}

fn indented(text: &[u8], i: usize) -> usize {
    i + cut(text, i, i + INDENT).iter().take_while(|b| is_blank(**b)).count()
}

/// Whether the run at `i` looks like the next line of something wrapped.
fn continues(text: &[u8], i: usize) -> bool {
    let end = forward(text, i);
    let closed = end == text.len() || padding(text, end) > end || line_break(text, end).is_some();
    end > i && (closed || end - i >= CONTINUED)
}

/// If a line break stands right before `i` and before it a plain run of at least `least`
/// characters: where that run begins.
fn wrapped_before(text: &[u8], i: usize, least: usize) -> Option<usize> {
    let end = break_start(text, i)?;
    let start = run_start(text, end, 0);
    let start = after_escape(text, start);
    (end.saturating_sub(start) >= least).then_some(start)
}

/// Where the line break that ends at `i` begins.
fn break_start(text: &[u8], i: usize) -> Option<usize> {
    let head = cut(text, 0, i);
    let blanks = head.iter().rev().take(INDENT).take_while(|b| is_blank(**b)).count();
    let longest = blanks + 12;
    // The longest spelling that reaches exactly here.
    let first = i.saturating_sub(longest);
    let breaks = |start: &usize| !is_run(at(text, *start)) && line_break(text, *start) == Some(i);
    (first..i).find(breaks)
}

/// If the text ends in a line break within what may be one long run: where the run's line begins.
pub(super) fn held_line(text: &[u8]) -> Option<usize> {
    wrapped_before(text, text.len(), FULL_LINE)
}

/// Joins the wrapped lines of base64 at the end of `text`, going back at least `reach` characters.
pub(super) fn joined_tail(text: &[u8], reach: usize, out: &mut Shadow) -> bool {
    out.clear();
    let (mut pieces, mut end, mut length) = (Vec::new(), text.len(), 0);
    while let Some(start) = wrapped_before(text, end, WRAPPED) {
        let stop = break_start(text, end).unwrap_or(end);
        pieces.push(start..stop);
        length += stop - start;
        end = start;
        if length > reach {
            break;
        }
    }
    for piece in pieces.iter().rev() {
        out.extend(text.get(piece.clone()).unwrap_or_default(), piece.start);
    }
    !pieces.is_empty()
}

/// Calls `each` with every stretch of wrapped base64, joined.
pub(super) fn joined(text: &[u8], out: &mut Shadow, mut each: impl FnMut(&Shadow)) {
    // A line that is long enough has so many sampled places in a row.
    const STEP: usize = 8;
    let (mut i, mut seen, mut done) = (0, 0, 0);
    while i < text.len() {
        seen = if is_run(at(text, i)) { seen + 1 } else { 0 };
        if seen < WRAPPED / STEP {
            i += STEP;
            continue;
        }
        let start = run_start(text, i, done);
        out.clear();
        let (mut line, mut broken) = (start, false);
        loop {
            let end = line + cut(text, line, text.len()).iter().take_while(|b| is_run(**b)).count();
            out.extend(cut(text, line, end), line);
            done = end;
            match line_break(text, end).filter(|_| end - line >= WRAPPED) {
                Some(next) if is_run(at(text, next)) => (line, broken) = (next, true),
                _ => break,
            }
        }
        if broken {
            each(out);
        }
        i = done.next_multiple_of(STEP);
        seen = 0;
    }
}
