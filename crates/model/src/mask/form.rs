//! The fixed encodings of a needle, computed a character at a time so that none is stored.

use super::bytes::hex_digit;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// How the bytes of a needle stand in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are; ASCII case is ignored.
    Raw,
    /// Two digits a byte, any case.
    Hex,
    /// Base64 or base64url after so many bytes modulo 3; only the characters that no neighbour
    /// has a part in.
    Base64(u8),
    /// Base64 from a boundary to the value's own end.
    Base64End,
    /// Base32 after so many bytes modulo 5, any case.
    Base32(u8),
    /// Base32 from a boundary to the value's own end.
    Base32End,
}

impl Form {
    /// Bits a character and number of the first character, for the bit-packed forms.
    fn packing(self) -> (usize, usize) {
        let (width, shift) = match self {
            Form::Base64(shift) => (6, usize::from(shift)),
            Form::Base32(shift) => (5, usize::from(shift)),
            Form::Base64End => (6, 0),
            Form::Base32End => (5, 0),
            Form::Raw | Form::Hex => (8, 0),
        };
        (width, (8 * shift).div_ceil(width))
    }

    fn shift(self) -> usize {
        match self {
            Form::Base64(shift) | Form::Base32(shift) => usize::from(shift),
            _ => 0,
        }
    }

    /// Characters that `bytes` bytes take.
    pub(super) fn length(self, bytes: usize) -> usize {
        let (width, first) = self.packing();
        match self {
            Form::Raw => bytes,
            Form::Hex => 2 * bytes,
            Form::Base64(_) | Form::Base32(_) => {
                (8 * (self.shift() + bytes) / width).saturating_sub(first)
            }
            Form::Base64End | Form::Base32End => (8 * bytes).div_ceil(width),
        }
    }

    /// The canonical character at `i`.
    pub(super) fn character(self, bytes: &[u8], i: usize) -> u8 {
        let byte = |i: usize| bytes.get(i).copied().unwrap_or(0);
        let (width, first) = self.packing();
        match self {
            Form::Raw => byte(i),
            Form::Hex => {
                let digit = if i & 1 == 0 { byte(i / 2) >> 4 } else { byte(i / 2) & 15 };
                char::from_digit(u32::from(digit), 16).map_or(b'0', |c| c as u8)
            }
            _ => {
                let bit = (first + i) * width - 8 * self.shift();
                let pair = u16::from(byte(bit / 8)) << 8 | u16::from(byte(bit / 8 + 1));
                let value = usize::from(pair << (bit % 8)) >> (16 - width);
                let table: &[u8] = if width == 6 { BASE64 } else { BASE32 };
                table.get(value).copied().unwrap_or(b'=')
            }
        }
    }

    /// Whether `seen` may stand where the canonical character is `own`.
    pub(super) fn same(self, own: u8, seen: u8) -> bool {
        match self {
            Form::Raw | Form::Base32(_) | Form::Base32End => own.eq_ignore_ascii_case(&seen),
            Form::Hex => hex_digit(own) == hex_digit(seen),
            Form::Base64(_) | Form::Base64End => own == seen || url_character(own) == seen,
        }
    }

    /// Whether the characters are base64 or base32: then a hit covers the run around it.
    pub(super) fn is_packed(self) -> bool {
        !matches!(self, Form::Raw | Form::Hex)
    }
}

/// The base64url character for a base64 one.
pub(super) fn url_character(b: u8) -> u8 {
    match b {
        b'+' => b'-',
        b'/' => b'_',
        b => b,
    }
}
