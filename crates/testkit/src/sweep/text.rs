//! Encodings that leave most of a text as it is and write some characters in another way.

use super::view::{SHORTEST, View, hex_byte, runs};

/// Percent-encoding: all characters or some.
pub(super) fn percent(bytes: &[u8]) -> Vec<View> {
    unescape("percent", bytes, is_graphic, |rest| match rest {
        [b'%', digits @ ..] => Some((3, Some(hex_byte(digits)?))),
        _ => None,
    })
}

/// Escapes that begin with a backslash: JSON's, and those of shells and programming languages.
pub(super) fn backslash(bytes: &[u8]) -> Vec<View> {
    unescape("backslash", bytes, is_graphic, |rest| {
        let [b'\\', kind, tail @ ..] = rest else { return None };
        match kind {
            b'u' if tail.first() == Some(&b'{') => {
                braced(&tail[1..]).map(|(length, byte)| (3 + length, byte))
            }
            b'u' => match (hex_byte(tail), hex_byte(tail.get(2..)?)) {
                (Some(0), Some(low)) => Some((6, Some(low))),
                _ => None,
            },
            b'x' => Some((4, Some(hex_byte(tail)?))),
            b'0'..=b'7' => octal(&rest[1..]),
            b'n' => Some((2, Some(b'\n'))),
            b'r' => Some((2, Some(b'\r'))),
            b't' => Some((2, Some(b'\t'))),
            other => Some((2, Some(*other))),
        }
    })
}

fn braced(rest: &[u8]) -> Option<(usize, Option<u8>)> {
    let end = rest.iter().take(8).position(|byte| *byte == b'}')?;
    let code = u32::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
    Some((end + 1, Some(u8::try_from(code).ok()?)))
}

fn octal(digits: &[u8]) -> Option<(usize, Option<u8>)> {
    let digits: Vec<u8> =
        digits.iter().copied().take(3).take_while(|d| (b'0'..=b'7').contains(d)).collect();
    let code = digits.iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0'));
    Some((1 + digits.len(), Some(u8::try_from(code).ok()?)))
}

/// HTML and XML entities: decimal, hexadecimal, and the names of ASCII characters.
pub(super) fn entities(bytes: &[u8]) -> Vec<View> {
    unescape("entities", bytes, is_graphic, |rest| {
        let [b'&', tail @ ..] = rest else { return None };
        let end = tail.iter().take(10).position(|byte| *byte == b';')?;
        let name = std::str::from_utf8(&tail[..end]).ok()?;
        Some((end + 2, Some(entity(name)?)))
    })
}

fn entity(name: &str) -> Option<u8> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return u8::try_from(code).ok();
    }
    let named = [("amp", b'&'), ("lt", b'<'), ("gt", b'>'), ("quot", b'"'), ("apos", b'\'')];
    let more =
        [("lowbar", b'_'), ("UnderBar", b'_'), ("equals", b'='), ("sol", b'/'), ("plus", b'+')];
    named.into_iter().chain(more).find(|(known, _)| *known == name).map(|(_, byte)| byte)
}

/// Quoted-printable with its soft line breaks.
pub(super) fn quoted_printable(bytes: &[u8]) -> Vec<View> {
    let belongs = |byte| is_graphic(byte) || byte == b'\r' || byte == b'\n';
    unescape("quoted-printable", bytes, belongs, |rest| match rest {
        [b'=', b'\r', b'\n', ..] => Some((3, None)),
        [b'=', b'\n', ..] => Some((2, None)),
        [b'=', digits @ ..] => Some((3, Some(hex_byte(digits)?))),
        _ => None,
    })
}

/// UTF-16 in either byte order: every other byte is NUL.
pub(super) fn utf16(bytes: &[u8]) -> Vec<View> {
    let mut view = View::of_runs("utf-16");
    let mut at = 0;
    while at + 1 < bytes.len() {
        let (pairs, _) = bytes[at..].as_chunks::<2>();
        let little: Vec<u8> = pairs.iter().map_while(|[low, high]| ascii(*low, *high)).collect();
        view.run(at, &little);
        // A big-endian run begins one byte earlier than the little-endian pairs seen in it.
        at += if little.len() < SHORTEST { 1 } else { 2 * little.len() };
    }
    view.into_vec()
}

fn ascii(low: u8, high: u8) -> Option<u8> {
    (high == 0 && low != 0 && low.is_ascii()).then_some(low)
}

fn is_graphic(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte >= 0x80
}

/// Decodes the runs that hold an escape. `escape` says how long the escape is that its argument
/// begins with, and which byte it stands for, if any.
fn unescape(
    encoding: &'static str,
    bytes: &[u8],
    belongs: impl Fn(u8) -> bool,
    escape: impl Fn(&[u8]) -> Option<(usize, Option<u8>)>,
) -> Vec<View> {
    let mut view = View::of_text(encoding);
    for (start, run) in runs(bytes, SHORTEST, belongs) {
        let before = view.bytes.len();
        let mut decoded = false;
        let mut at = 0;
        view.mark(start);
        while at < run.len() {
            match escape(&run[at..]) {
                Some((length, byte)) => {
                    view.mark(start + at);
                    view.bytes.extend(byte);
                    at += length;
                    view.mark(start + at);
                    decoded = true;
                }
                None => {
                    view.bytes.push(run[at]);
                    at += 1;
                }
            }
        }
        if decoded { view.bytes.push(0) } else { view.take_back(before) }
    }
    view.into_vec()
}
