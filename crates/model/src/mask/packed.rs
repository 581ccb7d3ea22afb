//! Gzip and zlib in base64: unpacked within bounds and searched.

use std::io::{self, BufReader, Read};

use flate2::bufread::{GzDecoder, ZlibDecoder};
use zeroize::Zeroizing;

use super::bytes::{at, before, cut, hex_pair, is_run};
use super::run;

/// Unpacked bytes that are looked at, in all and for each packed one.
const MOST: u64 = 1 << 20;
const RATIO: u64 = 100;

/// The unpacked content of the run `start..end`, where base64 of a gzip or zlib header was seen.
pub(super) fn unpacked(text: &[u8], start: usize, end: usize) -> Option<Zeroizing<Vec<u8>>> {
    let is_gzip = at(text, start) == b'H';
    let beside = before(text, start);
    let escaped = beside == b'n' && text.get(start.wrapping_sub(2)) == Some(&b'\\');
    // The four characters of gzip's header are rare; the three of zlib's begin a run.
    if !is_gzip && beside.is_ascii_alphanumeric() && !escaped {
        return None;
    }
    let packed = Packed { text, at: start, end, bits: 0, held: 0 };
    let most = MOST.min(RATIO * (end - start) as u64);
    // Most of what looks like a header is none, which shows within a few bytes.
    let packed = BufReader::with_capacity(256, packed);
    let mut out = Zeroizing::new(Vec::new());
    // What came out before an error counts as well.
    let _ = if is_gzip {
        GzDecoder::new(packed).take(most).read_to_end(&mut out)
    } else {
        ZlibDecoder::new(packed).take(most).read_to_end(&mut out)
    };
    (!out.is_empty()).then_some(out)
}

/// Decodes a base64 run over wrapped lines.
struct Packed<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    bits: u32,
    held: u32,
}

impl Iterator for Packed<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.at < self.end {
            if let Some(next) = run::line_break(self.text, self.at) {
                self.at = next;
                continue;
            }
            let (taken, b) = match cut(self.text, self.at, self.at + 3) {
                [b'%', ..] => (3, hex_pair(self.text, self.at + 1).unwrap_or(0)),
                _ => (1, at(self.text, self.at)),
            };
            self.at += taken;
            let Some(value) = digit(b) else { continue };
            self.bits = self.bits << 6 | u32::from(value);
            self.held += 6;
            if self.held >= 8 {
                self.held -= 8;
                return u8::try_from(self.bits >> self.held & 0xff).ok();
            }
        }
        None
    }
}

impl Read for Packed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        Ok(out.iter_mut().zip(self).map(|(to, b)| *to = b).count())
    }
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
