//! Bytes written as lists of numbers: hex with or without separators, decimal.

use std::ops::Range;

use super::bytes::{at, before, cut, hex_digit, hex_pair, is_blank};
use super::shadow::Shadow;

/// Bytes of the shortest value that is looked for as a token.
pub(super) const FEWEST: usize = 6;
/// Bytes of the shortest strong value or block. Digits without separators are found without lists.
pub(super) const FEWEST_STRONG: usize = 16;
/// Characters between two numbers of one list.
const SEPARATORS: usize = 16;
/// Characters that one number can take at most, with separators and an index.
const WIDEST: usize = 32;

/// How the numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Hex,
    Decimal,
}

/// Characters that lists are written with.
const LISTED: [bool; 256] = {
    let mut table = [false; 256];
    let all = b"0123456789abcdefABCDEFxX\\:,; \t\r\n-[]{}\"'";
    let mut i = 0;
    while i < all.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[all[i] as usize] = true;
        }
        i += 1;
    }
    table
};

fn is_listed(b: u8) -> bool {
    LISTED.get(usize::from(b)).copied().unwrap_or(false)
}

/// A character that numbers are made of, `x` of `0x` and `\x` too.
fn is_digit(b: u8) -> bool {
    hex_digit(b).is_some() || matches!(b, b'x' | b'X')
}

/// Calls `each` with every list of at least `fewest` bytes in `text`, decoded.
pub(super) fn decoded(text: &[u8], fewest: usize, out: &mut Shadow, mut each: impl FnMut(&Shadow)) {
    // A run of the shortest length that can hold the list has so many sampled places in a row.
    let (step, streak) = if fewest > FEWEST { (fewest / 2, 4) } else { (FEWEST, 2) };
    let (mut i, mut seen, mut done) = (0, 0, 0);
    while i < text.len() {
        seen = if is_listed(at(text, i)) { seen + 1 } else { 0 };
        if seen >= streak {
            let head = cut(text, done, i).iter().rev().take_while(|b| is_listed(**b)).count();
            let tail = cut(text, i, text.len()).iter().take_while(|b| is_listed(**b)).count();
            let run = i - head..i + tail;
            done = run.end;
            lists(text, run.clone(), Base::Hex, out, &mut each);
            lists(text, run, Base::Decimal, out, &mut each);
            i += tail / step * step;
            seen = 0;
        }
        i += step;
    }
}

/// Decodes the list that the end of `text` may be part of, going back at least `reach` bytes.
pub(super) fn decoded_tail(text: &[u8], base: Base, reach: usize, out: &mut Shadow) {
    let limit = text.len().saturating_sub(WIDEST * (reach + 1));
    let run = cut(text, limit, text.len()).iter().rev().take_while(|b| is_listed(**b)).count();
    let mut start = text.len() - run;
    if start == limit && start > 0 {
        // Within a list: begin at a number.
        let whole = cut(text, start, text.len()).iter().position(|b| is_blank(*b) || *b == b',');
        start += whole.unwrap_or(0);
    }
    parse(text, start..text.len(), base, out, |_| {});
}

fn lists(
    text: &[u8],
    run: Range<usize>,
    base: Base,
    out: &mut Shadow,
    each: &mut impl FnMut(&Shadow),
) {
    let mut check = |list: &Shadow| {
        if list.bytes.len() >= FEWEST {
            each(list);
        }
    };
    parse(text, run, base, out, &mut check);
    check(out);
}

/// Parses a run into lists; each but the last goes to `broken`, the last stays in `out`.
fn parse(
    text: &[u8],
    run: Range<usize>,
    base: Base,
    out: &mut Shadow,
    mut broken: impl FnMut(&Shadow),
) {
    out.clear();
    let (mut i, mut last) = (run.start, run.start);
    while i < run.end {
        if !is_digit(at(text, i)) {
            i += 1;
            continue;
        }
        let far = i - last > SEPARATORS;
        if far && !out.bytes.is_empty() {
            broken(out);
            out.clear();
        }
        let (end, fits) = match base {
            Base::Hex => hex_group(text, i, run.end, out),
            Base::Decimal => decimal(text, i, run.end, out),
        };
        if !fits {
            broken(out);
            out.clear();
        }
        (i, last) = (end, end);
    }
}

/// Adds the bytes of a group of hex digits, `0x` and `x` before it left out.
fn hex_group(text: &[u8], mut i: usize, limit: usize, out: &mut Shadow) -> (usize, bool) {
    let mut marked = false;
    match (at(text, i), at(text, i + 1)) {
        (b'0', b'x' | b'X') => (i, marked) = (i + 2, true),
        (b'x' | b'X', _) => (i, marked) = (i + 1, true),
        _ => {}
    }
    let digits = cut(text, i, limit).iter().take_while(|b| hex_digit(**b).is_some()).count();
    let end = i + digits;
    if digits == 1 && marked {
        out.push(&[hex_digit(at(text, i)).unwrap_or(0)], i, end);
        return (end, true);
    }
    if digits == 0 || digits % 2 == 1 {
        return (end.max(i), false);
    }
    for pair in (i..end).step_by(2) {
        out.push(&[hex_pair(text, pair).unwrap_or(0)], pair, pair + 2);
    }
    (end, true)
}

/// Adds a decimal byte, unless it is the index of one (`"12":107`).
fn decimal(text: &[u8], i: usize, limit: usize, out: &mut Shadow) -> (usize, bool) {
    let number = cut(text, i, limit);
    let number = cut(number, 0, number.iter().take_while(|b| is_digit(**b)).count());
    let end = i + number.len();
    let index = match (at(text, end), at(text, end + 1)) {
        (b'"' | b'\'', b':') | (b':', b' ') => true,
        (b'\\', b'"') => at(text, end + 2) == b':',
        _ => false,
    };
    let digits = std::str::from_utf8(number).ok().filter(|n| n.len() <= 7);
    let Some(value) = digits.and_then(|n| n.parse::<u32>().ok()) else {
        return (end, false);
    };
    if index {
        return (end, true);
    }
    // Java and some databases print bytes signed.
    let signed = before(text, i) == b'-' && (1..=128).contains(&value);
    let value = if signed { 256 - value } else { value };
    match u8::try_from(value) {
        Ok(byte) if number.len() <= 3 => {
            out.push(&[byte], i - usize::from(signed), end);
            (end, true)
        }
        _ => (end, false),
    }
}
