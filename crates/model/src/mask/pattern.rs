//! Secrets that are known by where they stand: passwords in URLs, credential and cookie headers.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, Match, packed};

use super::bytes::{at, before, cut, is_blank};

/// The authority of a URL is looked at so far.
const AUTHORITY: usize = 2048;
/// Schemes whose credentials are one word.
const ONE_WORD: [&str; 6] = ["basic", "bearer", "token", "negotiate", "apikey", "key"];
/// Schemes that are followed by parameters.
const PARAMETERS: [&str; 5] = ["digest", "aws4-hmac-sha256", "hawk", "oauth", "signature"];
/// Attributes of `Set-Cookie`, which tell nothing.
const ATTRIBUTES: [&str; 9] = [
    "path", "domain", "expires", "max-age", "samesite", "priority", "secure", "httponly",
    "partitioned",
];

/// A header whose value is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Authorization,
    Cookie,
}

/// A place worth a closer look.
pub(super) enum Place {
    /// `://`
    Url(usize),
    /// A header's name, from its first letter.
    Header(Header, Range<usize>),
    /// Base64 of a gzip or zlib header.
    Packed(usize),
}

/// Three characters suffice to find each, and let the search run many bytes at a time.
const TRIGGERS: [&str; 35] = [
    "://", ":\\/", "riz", "riZ", "rIz", "rIZ", "Riz", "RiZ", "RIz", "RIZ", "oki", "okI", "oKi",
    "oKI", "Oki", "OkI", "OKi", "OKI", "H4s", "eAE", "eAF", "eAG", "eAH", "eF4", "eF5", "eF6",
    "eF7", "eJw", "eJx", "eJy", "eJz", "eNo", "eNp", "eNq", "eNr",
];

/// Searches with vector instructions, or without where there are none.
enum Search {
    Vectors(packed::Searcher),
    Plain(AhoCorasick),
}

#[expect(clippy::expect_used, reason = "the patterns are constant")]
static SEARCH: LazyLock<Search> = LazyLock::new(|| {
    let vectors = packed::Config::new().builder().extend(TRIGGERS).build();
    vectors
        .map(Search::Vectors)
        .unwrap_or_else(|| Search::Plain(AhoCorasick::new(TRIGGERS).expect("constant patterns")))
});

impl Search {
    fn next(&self, text: &[u8], from: usize) -> Option<Match> {
        match self {
            Search::Vectors(search) => search.find_in(text, (from..text.len()).into()),
            Search::Plain(search) => search.find(Input::new(text).range(from..)),
        }
    }
}

/// The places in `text` where a pattern may begin.
pub(super) fn places(text: &[u8]) -> impl Iterator<Item = Place> + '_ {
    let mut from = 0;
    let found = std::iter::from_fn(move || {
        let found = SEARCH.next(text, from)?;
        from = found.end();
        Some(found)
    });
    found.filter_map(|found| {
        let start = found.start();
        match found.pattern().as_usize() {
            0 | 1 => Some(Place::Url(start)),
            2..=9 => name(text, start, 5, Header::Authorization),
            10..=17 => name(text, start, 2, Header::Cookie),
            _ => Some(Place::Packed(start)),
        }
    })
}

/// The header name whose characters from `offset` on were seen at `found`.
fn name(text: &[u8], found: usize, offset: usize, header: Header) -> Option<Place> {
    let start = found.checked_sub(offset)?;
    let word = header.word();
    let end = start + word.len();
    if !cut(text, start, end).eq_ignore_ascii_case(word) {
        return None;
    }
    let prefix = cut(text, 0, start).iter().rev();
    let prefix = prefix.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let prefix = cut(text, start - prefix.take(16).count(), start).to_ascii_lowercase();
    let known = match header {
        Header::Authorization => prefix.is_empty() || prefix.ends_with(b"-"),
        Header::Cookie => prefix.is_empty() || prefix == b"set-",
    };
    known.then(|| Place::Header(header, start - prefix.len()..end))
}

impl Header {
    fn word(self) -> &'static [u8] {
        match self {
            Header::Authorization => b"authorization",
            Header::Cookie => b"cookie",
        }
    }

    /// The header of that name, if its values are hidden.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        match name.strip_suffix("authorization") {
            Some(prefix) if prefix.is_empty() || prefix.ends_with('-') => Some(Self::Authorization),
            _ if name == "cookie" || name == "set-cookie" => Some(Self::Cookie),
            _ => None,
        }
    }

    /// What is hidden of this header's `value`, whose first byte stands at `offset`.
    pub(super) fn hidden(self, value: &[u8], offset: usize, out: &mut Vec<Range<usize>>) {
        match self {
            Header::Authorization => authorization(value, offset, out),
            Header::Cookie => cookies(value, offset, out),
        }
    }
}

/// Hides what follows the scheme.
fn authorization(value: &[u8], offset: usize, out: &mut Vec<Range<usize>>) {
    let word = cut(value, 0, value.iter().position(|b| is_blank(*b)).unwrap_or(value.len()));
    let among = |known: &[&str]| known.iter().any(|k| word.eq_ignore_ascii_case(k.as_bytes()));
    let mut start = 0;
    let mut end = value.len();
    if among(&ONE_WORD) || among(&PARAMETERS) {
        start = word.len();
        start += cut(value, start, end).iter().take_while(|b| is_blank(**b)).count();
    }
    if among(&ONE_WORD) {
        let credentials = cut(value, start, end).iter();
        let stops = |b: &&u8| !matches!(b, b' ' | b'\t' | b',' | b'"' | b'\'');
        end = start + credentials.take_while(stops).count();
    }
    push(value, start..end, offset, out);
}

/// Hides the value of each cookie.
fn cookies(value: &[u8], offset: usize, out: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for pair in value.split(|b| *b == b';') {
        let end = start + pair.len();
        let equals = pair.iter().position(|b| *b == b'=');
        let name = pair.get(..equals.unwrap_or(pair.len())).unwrap_or_default().trim_ascii();
        if !ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            push(value, start + equals.map_or(0, |i| i + 1)..end, offset, out);
        }
        start = end + 1;
    }
}

/// Adds a range without the white space around it, unless what stands there hides something.
fn push(text: &[u8], range: Range<usize>, offset: usize, out: &mut Vec<Range<usize>>) {
    let all = cut(text, range.start, range.end);
    let head = all.len() - all.trim_ascii_start().len();
    let value = all.trim_ascii();
    let start = range.start + head;
    if !value.is_empty() && !is_mask(value) {
        out.push(offset + start..offset + start + value.len());
    }
}

/// A placeholder, the reader's form of one, or asterisks.
fn is_mask(value: &[u8]) -> bool {
    let placeholder = value.strip_prefix(b"kws1_").is_some_and(|digits| {
        digits.len() == 40 && digits.iter().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    });
    let shown = value.starts_with(b"[sealed:") && value.ends_with(b"]");
    placeholder || shown || value.iter().all(|b| *b == b'*')
}

/// Hides the password of the URL whose `://` stands at `found`.
pub(super) fn url(text: &[u8], found: usize, out: &mut Vec<Range<usize>>) {
    if !before(text, found).is_ascii_alphanumeric() {
        return;
    }
    let slashes = cut(text, found + 1, found + 5);
    let start = match slashes {
        [b'/', b'/', ..] => found + 3,
        [b'\\', b'/', b'\\', b'/'] => found + 5,
        _ => return,
    };
    let ends = |b: &&u8| {
        !b.is_ascii_whitespace()
            && !matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
    };
    let authority = cut(text, start, start + AUTHORITY);
    let authority = cut(authority, 0, authority.iter().take_while(ends).count());
    let Some(at) = authority.iter().rposition(|b| *b == b'@') else { return };
    let Some(colon) = cut(authority, 0, at).iter().position(|b| *b == b':') else { return };
    push(authority, colon + 1..at, start, out);
}

/// Hides the value of the header whose name stands at `name`. True if it was still open at the
/// end of the text.
pub(super) fn header(
    text: &[u8],
    header: Header,
    name: Range<usize>,
    out: &mut Vec<Range<usize>>,
) -> bool {
    let (slashes, quote) = quote_before(text, name.start);
    let (mut i, closed) = match quote_at(text, name.end) {
        Some((_, _, after)) => (after, true),
        None => (name.end, false),
    };
    i = blanks(text, i);
    match at(text, i) {
        b'=' if at(text, i + 1) == b'>' => i += 2,
        b':' | b'=' => i += 1,
        b',' if closed => i += 1,
        _ => return false,
    }
    i = blanks(text, i);
    let listed = closed && at(text, i) == b'[';
    if listed {
        i = blanks(text, i + 1);
    }
    let mut open;
    loop {
        let end;
        let (start, terminator) = match quote_at(text, i) {
            Some((slashes, quote, after)) => (after, Some((slashes, quote))),
            None => (i, quote.filter(|_| !closed).map(|quote| (slashes, quote))),
        };
        (end, open) = value_end(text, start, terminator);
        header.hidden(cut(text, start, end), start, out);
        let after = quote_at(text, end).map(|(_, _, after)| blanks(text, after));
        match after.filter(|after| listed && at(text, *after) == b',') {
            Some(next) => i = blanks(text, next + 1),
            None => break,
        }
    }
    open
}

/// The quote right before `i` and the backslashes before that.
fn quote_before(text: &[u8], i: usize) -> (usize, Option<u8>) {
    let quote = Some(before(text, i)).filter(|b| matches!(b, b'"' | b'\''));
    let head = cut(text, 0, i.saturating_sub(1)).iter().rev();
    (head.take_while(|b| **b == b'\\').count(), quote)
}

/// Backslashes and a quote at `i`: how many, which, and the offset after it.
fn quote_at(text: &[u8], i: usize) -> Option<(usize, u8, usize)> {
    let slashes = cut(text, i, i + 8).iter().take_while(|b| **b == b'\\').count();
    let quote = at(text, i + slashes);
    matches!(quote, b'"' | b'\'').then_some((slashes, quote, i + slashes + 1))
}

fn blanks(text: &[u8], i: usize) -> usize {
    i + cut(text, i, text.len()).iter().take_while(|b| is_blank(**b)).count()
}

/// Where a header's value ends, and whether the text ended first.
fn value_end(text: &[u8], start: usize, terminator: Option<(usize, u8)>) -> (usize, bool) {
    let mut slashes = 0;
    for (i, b) in (start..).zip(cut(text, start, text.len())) {
        let closes = terminator.is_some_and(|(most, quote)| *b == quote && slashes <= most);
        let escaped_end = matches!(b, b'r' | b'n') && slashes == 1 && terminator.is_none();
        if matches!(b, b'\r' | b'\n') {
            return (i, false);
        }
        if closes || escaped_end {
            return (i - slashes, false);
        }
        slashes = if *b == b'\\' { slashes + 1 } else { 0 };
    }
    (text.len(), true)
}

/// Where the first header name in `line` begins.
pub(super) fn first_name(line: &[u8]) -> Option<usize> {
    places(line).find_map(|place| match place {
        Place::Header(_, name) => Some(name.start),
        _ => None,
    })
}
