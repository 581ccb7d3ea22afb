//! Byte classes and bounds-free access shared by the masker's parts.

/// The byte at `i`, or NUL past the end: NUL belongs to none of the classes below.
pub(super) fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

/// The byte before `i`, or NUL at the start.
pub(super) fn before(text: &[u8], i: usize) -> u8 {
    i.checked_sub(1).map_or(0, |i| at(text, i))
}

/// `text[from..to]`, clamped to what there is.
pub(super) fn cut(text: &[u8], from: usize, to: usize) -> &[u8] {
    let to = to.min(text.len());
    text.get(from.min(to)..to).unwrap_or_default()
}

/// A character that makes a weak value part of a longer word.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// A character of a base64 or base64url run.
pub(super) fn is_run(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-')
}

/// Space or tab.
pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// The value of a hex digit.
pub(super) fn hex_digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hex digits at `i` stand for.
pub(super) fn hex_pair(text: &[u8], i: usize) -> Option<u8> {
    Some(hex_digit(*text.get(i)?)? << 4 | hex_digit(*text.get(i + 1)?)?)
}

/// The number that exactly `digits` hex digits at `i` stand for.
pub(super) fn hex_number(text: &[u8], i: usize, digits: usize) -> Option<u32> {
    let digits = text.get(i..i + digits)?;
    digits.iter().try_fold(0, |n, b| Some(n << 4 | u32::from(hex_digit(*b)?)))
}

/// A set of byte values.
#[derive(Clone, Copy, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) fn insert(&mut self, b: u8) {
        if let Some(word) = self.0.get_mut(usize::from(b >> 6)) {
            *word |= 1 << (b & 63);
        }
    }

    pub(super) fn contains(&self, b: u8) -> bool {
        self.0.get(usize::from(b >> 6)).is_some_and(|word| word >> (b & 63) & 1 == 1)
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine |= theirs;
        }
    }
}
