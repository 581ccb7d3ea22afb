//! Texts that fit simple regular expressions, such as `^AC[0-9a-f]{32}$`: the first alternative, the
//! first character of each class. Whether the text fits is for the caller to check.

use std::iter::Peekable;
use std::str::Chars;

/// The longest text made, in characters.
const MAX_LENGTH: usize = 1000;
/// How many groups may stand within each other.
const MAX_DEPTH: usize = 10;

/// A text for a pattern, each repetition taken `extra` times more often than it must be.
pub(super) fn text(pattern: &str, extra: usize) -> Option<String> {
    let mut out = String::new();
    let mut maker = Maker { rest: pattern.chars().peekable(), extra };
    maker.alternatives(&mut out, 0)?;
    maker.rest.next().is_none().then_some(out)
}

struct Maker<'p> {
    rest: Peekable<Chars<'p>>,
    extra: usize,
}

impl Maker<'_> {
    /// Up to the end or a closing bracket; only the first alternative is kept.
    fn alternatives(&mut self, out: &mut String, depth: usize) -> Option<()> {
        self.sequence(out, depth)?;
        while self.rest.next_if_eq(&'|').is_some() {
            self.sequence(&mut String::new(), depth)?;
        }
        Some(())
    }

    fn sequence(&mut self, out: &mut String, depth: usize) -> Option<()> {
        while let Some(next) = self.rest.next_if(|next| !"|)".contains(*next)) {
            let piece = match next {
                '^' | '$' => continue,
                '.' => "a".to_owned(),
                '\\' => escaped(self.rest.next()?)?.to_string(),
                '[' => self.class()?.to_string(),
                '(' if depth < MAX_DEPTH => self.group(depth)?,
                '(' | '*' | '+' | '?' | '{' => return None,
                literal => literal.to_string(),
            };
            let times = self.times()?;
            if piece.len().saturating_mul(times) > MAX_LENGTH - out.len() {
                return None;
            }
            out.push_str(&piece.repeat(times));
        }
        Some(())
    }

    fn group(&mut self, depth: usize) -> Option<String> {
        // Only `(?:`; look-around and the like say more than a text can show.
        if self.rest.next_if_eq(&'?').is_some() && self.rest.next() != Some(':') {
            return None;
        }
        let mut inner = String::new();
        self.alternatives(&mut inner, depth + 1)?;
        self.rest.next_if_eq(&')').map(|_| inner)
    }

    /// One character of a class.
    fn class(&mut self) -> Option<char> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let from = match self.rest.next()? {
                ']' if !ranges.is_empty() => break,
                '\\' => escaped(self.rest.next()?)?,
                literal => literal,
            };
            let mut to = from;
            if self.rest.peek() == Some(&'-') {
                self.rest.next();
                match self.rest.next()? {
                    ']' => {
                        ranges.extend([(from, from), ('-', '-')]);
                        break;
                    }
                    '\\' => to = escaped(self.rest.next()?)?,
                    end => to = end,
                }
            }
            ranges.push((from, to));
        }
        let holds = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
        match negated {
            true => "a1-_ A.".chars().find(|c| !holds(*c)),
            false => ranges.first().map(|(from, _)| *from),
        }
    }

    /// How often what stands before is taken.
    fn times(&mut self) -> Option<usize> {
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') => {
                self.rest.next();
                let inside: String =
                    std::iter::from_fn(|| self.rest.next_if(|c| *c != '}')).collect();
                self.lazy()?;
                return self.count(&inside);
            }
            _ => return Some(1),
        };
        self.lazy()?;
        Some((least + self.extra).min(most))
    }

    /// Passes the sign of a repetition and a `?` behind it, which changes nothing here.
    fn lazy(&mut self) -> Option<()> {
        self.rest.next()?;
        self.rest.next_if_eq(&'?');
        Some(())
    }

    fn count(&self, inside: &str) -> Option<usize> {
        let (least, most): (usize, usize) = match inside.split_once(',') {
            None => return inside.parse().ok(),
            Some((least, "")) => (least.parse().ok()?, usize::MAX),
            Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
        };
        Some(least.saturating_add(self.extra).min(most))
    }
}

/// A character that an escape stands for.
fn escaped(letter: char) -> Option<char> {
    match letter {
        'd' => Some('1'),
        'w' | 'D' | 'S' => Some('a'),
        's' | 'W' => Some(' '),
        letter if letter.is_ascii_punctuation() => Some(letter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_simple_patterns() {
        let check = |pattern: &str, extra: usize, expected: Option<&str>| {
            assert_eq!(text(pattern, extra).as_deref(), expected, "{pattern}");
            if let Some(found) = text(pattern, extra) {
                assert!(regex_lite::Regex::new(pattern).unwrap().is_match(&found), "{pattern}");
            }
        };
        check("^AC[0-9a-f]{4}$", 0, Some("AC0000"));
        check(r"^\d{4}-\d{2}$", 0, Some("1111-11"));
        check(r"^\+?[1-9]\d{1,14}$", 1, Some("+111"));
        check("^[a-z]+(-[a-z]+)*$", 0, Some("a"));
        check("^[a-z]+(-[a-z]+)*$", 1, Some("aa-aa"));
        check("^(?:open|shut)$", 0, Some("open"));
        check("^[^a-z@]+$", 0, Some("1"));
        check(r"^[-\w]*$", 2, Some("--"));
        check("^.{3,}?x$", 0, Some("aaax"));
        check("^[]a]$", 0, Some("]"));
        for odd in [
            "(?=a)b",
            "a{2",
            "[a",
            "(a",
            "a)",
            r"\bword",
            r"\p{L}",
            "a{5000}",
            "a{18446744073709551615}",
            "*",
        ] {
            check(odd, 0, None);
        }
    }
}
