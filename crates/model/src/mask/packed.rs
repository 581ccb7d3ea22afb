//! Gzip and zlib in base64: unpacked within bounds and searched.

use std::io::Read;

use flate2::read::{GzDecoder, ZlibDecoder};
use zeroize::Zeroizing;

use super::bytes::{at, before, cut, hex_digit, is_run};
use super::run;

/// Unpacked bytes that are looked at, in all and for each packed one.
const MOST: u64 = 1 << 20;
const RATIO: u64 = 100;

/// The unpacked content of the run at `start`, where base64 of a gzip or zlib header was seen.
pub(super) fn unpacked(text: &[u8], start: usize) -> Option<Zeroizing<Vec<u8>>> {
    let is_gzip = at(text, start) == b'H';
    let beside = before(text, start);
    let escaped = beside == b'n' && text.get(start.wrapping_sub(2)) == Some(&b'\\');
    // The four characters of gzip's header are rare; the three of zlib's begin a run.
    if !is_gzip && beside.is_ascii_alphanumeric() && !escaped {
        return None;
    }
    let packed = bytes(text, start);
    let mut out = Zeroizing::new(Vec::new());
    let most = MOST.min(RATIO * packed.len() as u64);
    // What came out before an error counts as well.
    let _ = if is_gzip {
        GzDecoder::new(packed.as_slice()).take(most).read_to_end(&mut out)
    } else {
        ZlibDecoder::new(packed.as_slice()).take(most).read_to_end(&mut out)
    };
    (!out.is_empty()).then_some(out)
}

/// Decodes the base64 run at `start` over wrapped lines.
fn bytes(text: &[u8], start: usize) -> Zeroizing<Vec<u8>> {
    let end = run::cover(text, &(start..start), &(start..start)).end;
    let mut out = Zeroizing::new(Vec::with_capacity((end - start) / 4 * 3));
    let (mut i, mut bits, mut held) = (start, 0_u32, 0_u32);
    while i < end {
        if let Some(next) = run::line_break(text, i) {
            i = next;
            continue;
        }
        let (taken, b) = match cut(text, i, i + 3) {
            [b'%', high, low] => {
                (3, hex_digit(*high).zip(hex_digit(*low)).map_or(0, |(h, l)| h << 4 | l))
            }
            _ => (1, at(text, i)),
        };
        i += taken;
        let Some(value) = digit(b) else { continue };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

fn digit(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Whether a run of base64 that is worth unpacking goes on at `i`.
pub(super) fn is_long(text: &[u8], i: usize) -> bool {
    cut(text, i, i + 24).iter().take_while(|b| is_run(**b) || **b == b'\\').count() >= 24
}
