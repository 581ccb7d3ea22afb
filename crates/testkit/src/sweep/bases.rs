//! Base64 and base32. A value may lie anywhere in what was encoded, so every alignment is tried.

use super::view::{SHORTEST, View};

/// Both alphabets of base64, padded or not, wrapped or not.
pub(super) fn base64(bytes: &[u8]) -> Vec<View> {
    every_alignment("base64", bytes, 6, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    })
}

/// Base32 of RFC 4648 in either case.
pub(super) fn base32(bytes: &[u8]) -> Vec<View> {
    every_alignment("base32", bytes, 5, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    })
}

fn every_alignment(
    encoding: &'static str,
    bytes: &[u8],
    bits: usize,
    digit: impl Fn(u8) -> Option<u8>,
) -> Vec<View> {
    let found = digit_runs(bytes, (SHORTEST * 8).div_ceil(bits), digit);
    // A group of 4 (base64) or 8 (base32) digits is a whole number of bytes.
    let alignments = if bits == 6 { 4 } else { 8 };
    let view = |skipped: usize| {
        let mut view = View::of_runs(encoding);
        for (start, digits) in &found {
            view.run(*start, &decode(&digits[skipped..], bits));
        }
        view.into_vec()
    };
    (0..alignments).flat_map(view).collect()
}

/// The values of digits that follow each other, with the offset of the first; line breaks and the
/// indentation after them do not end a run.
fn digit_runs(
    bytes: &[u8],
    shortest: usize,
    digit: impl Fn(u8) -> Option<u8>,
) -> Vec<(usize, Vec<u8>)> {
    let mut found = Vec::new();
    let (mut start, mut digits, mut at) = (0, Vec::new(), 0);
    while at < bytes.len() {
        if let Some(value) = digit(bytes[at]) {
            if digits.is_empty() {
                start = at;
            }
            digits.push(value);
            at += 1;
            continue;
        }
        let gap = line_break(&bytes[at..]);
        at += gap.max(1);
        if gap == 0 && !digits.is_empty() {
            let whole = std::mem::take(&mut digits);
            if whole.len() >= shortest {
                found.push((start, whole));
            }
        }
    }
    if digits.len() >= shortest {
        found.push((start, digits));
    }
    found
}

fn line_break(rest: &[u8]) -> usize {
    if !matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
        return 0;
    }
    rest.iter().take_while(|byte| b"\r\n\t ".contains(byte)).count()
}

fn decode(digits: &[u8], bits: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(digits.len() * bits / 8);
    let (mut buffer, mut held) = (0_u32, 0);
    for digit in digits {
        buffer = (buffer << bits | u32::from(*digit)) & 0xffff;
        held += bits;
        if held >= 8 {
            held -= 8;
            decoded.push((buffer >> held & 0xff) as u8);
        }
    }
    decoded
}
