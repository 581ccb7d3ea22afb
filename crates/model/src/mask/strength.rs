//! How much guessing a value withstands, and where a strong one may be cut into blocks.

use std::collections::HashMap;
use std::ops::Range;

/// Fewer bits than this never match inside text, or printing guesses would confirm them.
const STRONG_BITS: f64 = 60.0;
/// Fewer characters than this are hidden as a whole string only.
const WEAK_CHARS: usize = 6;
/// A long value is cut into at most this many blocks; they grow instead.
const MOST_BLOCKS: usize = 256;
/// A public prefix such as `sk_live_` ends within so many characters.
const PREFIX_CHARS: usize = 12;

/// Where a value can be hidden without making logs unreadable or guesses checkable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// 60 bits and more: hidden anywhere, also its blocks.
    Strong,
    /// 6 characters and more: hidden as a whole token. Worth a warning at save.
    Weak,
    /// Shorter: hidden as a whole JSON string or header value. Worth a louder warning.
    Tiny,
}

/// The strength of a value: length x min(log2 of its smallest character class, empirical entropy
/// per character). Characters are Unicode scalar values, or bytes where the value is not UTF-8.
#[must_use]
pub fn strength(value: &[u8]) -> Strength {
    let mut meter = Meter::default();
    characters(value).for_each(|(_, c)| meter.add(c));
    if meter.is_strong() {
        Strength::Strong
    } else if meter.length >= WEAK_CHARS {
        Strength::Weak
    } else {
        Strength::Tiny
    }
}

/// Byte ranges of the disjoint blocks of a strong value, cut greedily after its public prefix.
pub(super) fn blocks(value: &[u8]) -> Vec<Range<usize>> {
    let start = public_prefix(value);
    let rest = value.get(start..).unwrap_or_default();
    let least = characters(rest).count() / MOST_BLOCKS;
    let (mut out, mut meter, mut from) = (Vec::new(), Meter::default(), 0);
    let ends = characters(rest).map(|(i, _)| i).skip(1).chain([rest.len()]);
    for ((_, c), end) in characters(rest).zip(ends) {
        meter.add(c);
        if meter.length >= least && meter.is_strong() {
            out.push(start + from..start + end);
            (meter, from) = (Meter::default(), end);
        }
    }
    out
}

fn public_prefix(value: &[u8]) -> usize {
    let head = characters(value).take(PREFIX_CHARS);
    let last = head.filter(|(_, c)| *c == u32::from('_') || *c == u32::from('-')).last();
    last.map_or(0, |(i, _)| i + 1)
}

/// Offsets and characters; bytes where the value is not UTF-8.
fn characters(value: &[u8]) -> Box<dyn Iterator<Item = (usize, u32)> + '_> {
    match std::str::from_utf8(value) {
        Ok(text) => Box::new(text.char_indices().map(|(i, c)| (i, u32::from(c)))),
        Err(_) => Box::new(value.iter().enumerate().map(|(i, b)| (i, u32::from(*b)))),
    }
}

/// Counts characters and tells bits as it goes.
#[derive(Default)]
struct Meter {
    length: usize,
    counts: HashMap<u32, u32>,
    /// Sum of count x log2(count), from which the entropy follows.
    weighted: f64,
    kinds: u16,
}

const DIGIT: u16 = 1;
const LOWER_HEX: u16 = 2;
const LOWER: u16 = 4;
const UPPER_HEX: u16 = 8;
const UPPER: u16 = 16;
const URL: u16 = 32;
const BASE64: u16 = 64;
const ASCII: u16 = 128;
const OTHER: u16 = 256;

/// Character classes, smallest first: what they hold and how many characters they have.
const CLASSES: &[(u16, f64)] = &[
    (DIGIT, 10.0),
    (DIGIT | LOWER_HEX, 16.0),
    (DIGIT | UPPER_HEX, 16.0),
    (LOWER_HEX | LOWER, 26.0),
    (UPPER_HEX | UPPER, 26.0),
    (DIGIT | LOWER_HEX | LOWER, 36.0),
    (DIGIT | UPPER_HEX | UPPER, 36.0),
    (LOWER_HEX | LOWER | UPPER_HEX | UPPER, 52.0),
    (DIGIT | LOWER_HEX | LOWER | UPPER_HEX | UPPER, 62.0),
    (DIGIT | LOWER_HEX | LOWER | UPPER_HEX | UPPER | URL, 64.0),
    (DIGIT | LOWER_HEX | LOWER | UPPER_HEX | UPPER | BASE64, 65.0),
    (OTHER - 1, 95.0),
];

impl Meter {
    fn add(&mut self, c: u32) {
        let count = self.counts.entry(c).or_default();
        self.weighted += weigh(*count + 1) - weigh(*count);
        *count += 1;
        self.length += 1;
        self.kinds |= match u8::try_from(c) {
            Ok(b'0'..=b'9') => DIGIT,
            Ok(b'a'..=b'f') => LOWER_HEX,
            Ok(b'g'..=b'z') => LOWER,
            Ok(b'A'..=b'F') => UPPER_HEX,
            Ok(b'G'..=b'Z') => UPPER,
            Ok(b'-' | b'_') => URL,
            Ok(b'+' | b'/' | b'=') => BASE64,
            Ok(b' '..=b'~') => ASCII,
            _ => OTHER,
        };
    }

    fn is_strong(&self) -> bool {
        let length = f64::from(u32::try_from(self.length).unwrap_or(u32::MAX));
        let fits = CLASSES.iter().find(|(kinds, _)| self.kinds & !kinds == 0);
        let class = fits.map_or(256.0, |(_, size)| *size).log2();
        let entropy = if self.length == 0 { 0.0 } else { length.log2() - self.weighted / length };
        // Sixteen distinct characters are exactly 60 bits less rounding.
        length * class.min(entropy) >= STRONG_BITS - 1e-9
    }
}

fn weigh(count: u32) -> f64 {
    if count == 0 { 0.0 } else { f64::from(count) * f64::from(count).log2() }
}
