//! Replies of a mail server (RFC 5321 section 4.2). Of their text only keywords and status codes are
//! kept: the rest is the server's own and may repeat what it was sent.

use std::fmt;

/// A reply's code with its enhanced status code (RFC 3463), such as `550 5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyCode {
    basic: u16,
    enhanced: Option<(u16, u16, u16)>,
}

impl ReplyCode {
    pub(super) fn new(basic: u16, text: &str) -> Self {
        Self { basic, enhanced: enhanced(text).filter(|(class, ..)| *class == basic / 100) }
    }

    /// The three digits.
    pub(crate) fn basic(self) -> u16 {
        self.basic
    }

    /// Whether the command was taken and done.
    pub(super) fn is_success(self) -> bool {
        self.basic / 100 == 2
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.basic)?;
        match self.enhanced {
            Some((class, subject, detail)) => write!(f, " {class}.{subject}.{detail}"),
            None => Ok(()),
        }
    }
}

/// `2.1.5` at the start of a text (RFC 2034 section 4).
fn enhanced(text: &str) -> Option<(u16, u16, u16)> {
    let first = text.split(' ').next()?;
    let mut parts = first.splitn(3, '.').map(|part| {
        let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    });
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// A whole reply.
pub(super) struct Reply {
    pub(super) code: ReplyCode,
    /// The text of each line behind its code.
    pub(super) lines: Vec<String>,
}

/// One line of a reply.
pub(super) struct Line {
    pub(super) basic: u16,
    pub(super) is_last: bool,
    pub(super) text: String,
}

impl Line {
    /// Reads a line without its end; `None` where it is none of a reply.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_code = digits.bytes().all(|b| b.is_ascii_digit());
        let basic: u16 =
            digits.parse().ok().filter(|basic| is_code && (200..600).contains(basic))?;
        let (is_last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return None,
        };
        Some(Self { basic, is_last, text: String::from_utf8_lossy(text).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_strictly() {
        let check = |line: &[u8], expected: Option<(u16, bool, &str)>| {
            let found = Line::parse(line);
            let found = found.as_ref().map(|l| (l.basic, l.is_last, l.text.as_str()));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(line));
        };
        check(b"250 OK", Some((250, true, "OK")));
        check(b"250-SIZE 1", Some((250, false, "SIZE 1")));
        check(b"354", Some((354, true, "")));
        check(b"250 \xff", Some((250, true, "\u{fffd}")));
        for wrong in ["", "25", "25x", "+50 OK", "199 OK", "600 OK", "250OK", "HTTP/1.1 200 OK"] {
            check(wrong.as_bytes(), None);
        }
    }

    #[test]
    fn only_status_codes_are_kept_of_a_text() {
        let check = |basic: u16, text: &str, expected: &str| {
            assert_eq!(ReplyCode::new(basic, text).to_string(), expected, "{text}");
        };
        check(550, "5.1.1 no such user", "550 5.1.1");
        check(550, "5.1.1", "550 5.1.1");
        check(550, "no such user", "550");
        check(550, "2.1.1 of another class", "550");
        check(550, "5.1.1234 too long", "550");
        check(550, "5.1", "550");
        check(550, "5.1.1.2.3.4", "550");
        check(550, "5.+1.1 signed", "550");
        check(421, "4.7.0\tbye", "421");
    }
}
