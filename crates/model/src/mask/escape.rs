//! Encodings that escape single characters, each decoded into a shadow: percent, backslash,
//! entities, quoted-printable and the quoting of shells, SQL and CSV.

use super::bytes::{at, cut, hex_number, hex_pair, is_run};
use super::index::Index;
use super::shadow::Shadow;

/// Characters that an inner escape takes for one byte.
const WIDEST: usize = 8;
/// What may stand beside a needle and count, such as quotes around a tiny value.
const MARGIN: usize = 32;

/// A way to escape. White space always leaves each decoder in its first state, so that text may be
/// cut after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// `%XX` and `%uXXXX`.
    Percent,
    /// The same with `+` for a space.
    Form,
    /// JSON, JavaScript, Python, C, `$'...'` and shell backslashes.
    Backslash,
    /// HTML and XML entities: named, decimal, hexadecimal.
    Entity,
    /// `=XX` and soft line breaks.
    QuotedPrintable,
    /// `'\''` and `'"'"'` within single quotes.
    Shell,
    /// `''` for `'`.
    DoubledSingle,
    /// `""` for `"`.
    DoubledDouble,
}

/// What one character of the escaped text stands for.
pub(super) struct Token {
    /// Bytes of the escaped text.
    pub(super) taken: usize,
    out: [u8; 4],
    length: usize,
}

impl Token {
    fn byte(taken: usize, byte: u8) -> Self {
        Self { taken, out: [byte, 0, 0, 0], length: 1 }
    }

    fn nothing(taken: usize) -> Self {
        Self { taken, out: [0; 4], length: 0 }
    }

    fn character(taken: usize, code: u32) -> Self {
        let mut out = [0; 4];
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let length = c.encode_utf8(&mut out).len();
        Self { taken, out, length }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        cut(&self.out, 0, self.length)
    }
}

impl Escape {
    pub(super) const ALL: [Escape; 8] = [
        Escape::Percent,
        Escape::Form,
        Escape::Backslash,
        Escape::Entity,
        Escape::QuotedPrintable,
        Escape::Shell,
        Escape::DoubledSingle,
        Escape::DoubledDouble,
    ];

    /// Escapes that are looked for once more in what this one decodes to.
    pub(super) fn inner(self) -> &'static [Escape] {
        match self {
            Escape::Percent => &[Escape::Percent, Escape::Form, Escape::Backslash],
            Escape::Backslash => {
                &[Escape::Backslash, Escape::Percent, Escape::Entity, Escape::Shell]
            }
            Escape::Entity => &[Escape::Entity, Escape::Backslash],
            _ => &[],
        }
    }

    /// Whether no needle of the run could be written in this way.
    pub(super) fn is_pointless(self, index: &Index) -> bool {
        let bytes = index.bytes();
        match self {
            Escape::Form => !bytes.contains(b' '),
            Escape::Shell | Escape::DoubledSingle => !bytes.contains(b'\''),
            Escape::DoubledDouble => !bytes.contains(b'"'),
            _ => false,
        }
    }

    /// The characters that begin its escapes.
    pub(super) fn leads(self) -> &'static [u8] {
        match self {
            Escape::Percent => b"%",
            Escape::Form => b"+",
            Escape::Backslash => b"\\",
            Escape::Entity => b"&",
            Escape::QuotedPrintable => b"=",
            Escape::Shell | Escape::DoubledSingle => b"'",
            Escape::DoubledDouble => b"\"",
        }
    }

    /// The escape at `i`, if there is one.
    pub(super) fn token(self, text: &[u8], i: usize) -> Option<Token> {
        let next = || at(text, i + 1);
        match (self, at(text, i)) {
            (Escape::Percent | Escape::Form, b'%') => percent(text, i),
            (Escape::Form, b'+') => Some(Token::byte(1, b' ')),
            (Escape::Backslash, b'\\') => backslash(text, i),
            (Escape::Entity, b'&') => entity(text, i),
            (Escape::QuotedPrintable, b'=') => match next() {
                b'\n' => Some(Token::nothing(2)),
                b'\r' if at(text, i + 2) == b'\n' => Some(Token::nothing(3)),
                _ => hex_pair(text, i + 1).map(|b| Token::byte(3, b)),
            },
            (Escape::Shell, b'\'') => {
                let forms: [&[u8]; 2] = [br"'\''", br#"'"'"'"#];
                let form = forms.iter().find(|form| cut(text, i, i + form.len()) == **form);
                form.map(|form| Token::byte(form.len(), b'\''))
            }
            (Escape::DoubledSingle, b'\'') if next() == b'\'' => Some(Token::byte(2, b'\'')),
            (Escape::DoubledDouble, b'"') if next() == b'"' => Some(Token::byte(2, b'"')),
            _ => None,
        }
    }

    /// The length of the escape at `i` of `text` if decoding it can make a difference: what it
    /// stands for is part of a needle, begins another escape, or belongs to a run.
    pub(super) fn counts(self, index: &Index, text: &[u8], i: usize) -> Option<usize> {
        let token = self.token(text, i)?;
        let begins = |b: &u8| matches!(b, b'%' | b'\\' | b'&' | b'=');
        let packs = |b: &u8| matches!(b, b'+' | b'/' | b'-' | b'_');
        let needed = |b: &u8| index.bytes().contains(*b);
        let counts = match (self, token.bytes()) {
            (Escape::QuotedPrintable, [b]) => {
                // `a=42` is no escape: one is where it must be, or beside others.
                let beside = at(text, i + 3) == b'='
                    || i.checked_sub(3).is_some_and(|i| at(text, i) == b'=');
                (matches!(b, b'=' | ..b'!' | 0x7f..) || beside) && (needed(b) || *b == b'=')
            }
            (_, [b]) => needed(b) || begins(b) || packs(b) || is_run(*b),
            _ => true,
        };
        // White space and quotes count beside what is found as a whole token or string only.
        let counts = counts
            || (index.has_weak() && index.may_start(text, i + token.taken))
            || (index.has_tiny() && token.bytes() == b"\"");
        counts.then_some(token.taken)
    }

    /// Whether escapes that make a difference occur in `text`.
    pub(super) fn occurs(self, index: &Index, text: &[u8]) -> bool {
        let mut i = 0;
        while let Some(lead) =
            (!self.is_pointless(index)).then(|| self.next_lead(text, i)).flatten()
        {
            if self.counts(index, text, lead).is_some() {
                return true;
            }
            i = lead + 1;
        }
        false
    }

    /// How far from one of its escapes a needle can reach, in characters: far when it is escaped
    /// in another way besides.
    pub(super) fn reach(self, index: &Index) -> usize {
        let inner = if self.inner().is_empty() { 0 } else { WIDEST * index.longest_value() };
        MARGIN + index.longest().max(inner)
    }

    /// Whether a run goes on in what this one decodes to. Soft line breaks would glue words.
    pub(super) fn extends_runs(self) -> bool {
        self != Escape::QuotedPrintable
    }

    /// Decodes `text`, which stands at `offset` of the original.
    pub(super) fn decode(self, text: &[u8], offset: usize, out: &mut Shadow) {
        out.clear();
        self.each(text, |from, to, token| match token {
            Some(token) => out.push(token.bytes(), offset + from, offset + to),
            None => out.extend(cut(text, from, to), offset + from),
        });
    }

    /// Decodes what was decoded before.
    pub(super) fn decode_again(self, first: &Shadow, out: &mut Shadow) {
        out.clear();
        self.each(&first.bytes, |from, to, token| match token {
            Some(token) => {
                let range = first.range(from, to);
                out.push(token.bytes(), range.start, range.end);
            }
            None => out.extend_from(first, from..to),
        });
    }

    /// Calls `piece` with each escape of `text` and each stretch between them.
    fn each(self, text: &[u8], mut piece: impl FnMut(usize, usize, Option<Token>)) {
        let (mut plain, mut i) = (0, 0);
        while let Some(lead) = self.next_lead(text, i) {
            i = lead + 1;
            if let Some(token) = self.token(text, lead) {
                i = lead + token.taken;
                piece(plain, lead, None);
                piece(lead, i, Some(token));
                plain = i;
            }
        }
        piece(plain, text.len(), None);
    }

    /// The next place from `i` where an escape may begin.
    fn next_lead(self, text: &[u8], i: usize) -> Option<usize> {
        let rest = text.get(i..)?;
        let found = match self {
            Escape::Form => rest.iter().position(|b| matches!(b, b'%' | b'+')),
            _ => {
                let lead = *self.leads().first()?;
                rest.iter().position(|b| *b == lead)
            }
        };
        found.map(|found| i + found)
    }
}

fn percent(text: &[u8], i: usize) -> Option<Token> {
    if at(text, i + 1) == b'u' {
        let code = hex_number(text, i + 2, 4)?;
        let low = cut(text, i + 6, i + 8) == b"%u";
        return Some(surrogates(code, 6, low.then(|| hex_number(text, i + 8, 4)).flatten()));
    }
    hex_pair(text, i + 1).map(|b| Token::byte(3, b))
}

fn surrogates(code: u32, taken: usize, low: Option<u32>) -> Token {
    match (code, low) {
        (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
            Token::character(2 * taken, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00))
        }
        _ => Token::character(taken, code),
    }
}

fn backslash(text: &[u8], i: usize) -> Option<Token> {
    let byte = |b| Some(Token::byte(2, b));
    // Before a letter without a meaning: a shell drops it, and most often it is not one's escape.
    let needless = || Some(Token::nothing(1));
    match *text.get(i + 1)? {
        b'n' => byte(b'\n'),
        b'r' => byte(b'\r'),
        b't' => byte(b'\t'),
        b'b' => byte(8),
        b'f' => byte(12),
        b'v' => byte(11),
        b'a' => byte(7),
        b'e' => byte(27),
        b'\n' => Some(Token::nothing(2)),
        b'x' => match hex_pair(text, i + 2) {
            Some(b) => Some(Token::byte(4, b)),
            None => needless(),
        },
        b'u' => unicode(text, i).or_else(needless),
        b'U' => match hex_number(text, i + 2, 8) {
            Some(code) => Some(Token::character(10, code)),
            None => needless(),
        },
        digit @ b'0'..=b'7' => {
            let digits = cut(text, i + 1, i + 4).iter().take_while(|b| matches!(b, b'0'..=b'7'));
            let (count, value) = digits.fold((0, 0_u32), |(count, value), b| {
                (count + 1, value << 3 | u32::from(b - b'0'))
            });
            match u8::try_from(value) {
                Ok(value) if count == 3 || digit == b'0' => Some(Token::byte(1 + count, value)),
                _ => needless(),
            }
        }
        other if other.is_ascii_alphanumeric() => needless(),
        other => byte(other),
    }
}

fn unicode(text: &[u8], i: usize) -> Option<Token> {
    if at(text, i + 2) == b'{' {
        let digits = cut(text, i + 3, i + 11).iter().position(|b| *b == b'}')?;
        return Some(Token::character(digits + 4, hex_number(text, i + 3, digits)?));
    }
    let code = hex_number(text, i + 2, 4)?;
    let low = cut(text, i + 6, i + 8) == b"\\u";
    Some(surrogates(code, 6, low.then(|| hex_number(text, i + 8, 4)).flatten()))
}

/// Names of the ASCII characters in HTML, and of those XML shares.
const NAMES: &[(&[u8], u8)] = &[
    (b"amp", b'&'),
    (b"lt", b'<'),
    (b"gt", b'>'),
    (b"quot", b'"'),
    (b"apos", b'\''),
    (b"AMP", b'&'),
    (b"LT", b'<'),
    (b"GT", b'>'),
    (b"QUOT", b'"'),
    (b"Tab", b'\t'),
    (b"NewLine", b'\n'),
    (b"excl", b'!'),
    (b"num", b'#'),
    (b"dollar", b'$'),
    (b"percnt", b'%'),
    (b"lpar", b'('),
    (b"rpar", b')'),
    (b"ast", b'*'),
    (b"midast", b'*'),
    (b"plus", b'+'),
    (b"comma", b','),
    (b"period", b'.'),
    (b"sol", b'/'),
    (b"colon", b':'),
    (b"semi", b';'),
    (b"equals", b'='),
    (b"quest", b'?'),
    (b"commat", b'@'),
    (b"lsqb", b'['),
    (b"lbrack", b'['),
    (b"bsol", b'\\'),
    (b"rsqb", b']'),
    (b"rbrack", b']'),
    (b"Hat", b'^'),
    (b"lowbar", b'_'),
    (b"UnderBar", b'_'),
    (b"grave", b'`'),
    (b"DiacriticalGrave", b'`'),
    (b"lcub", b'{'),
    (b"lbrace", b'{'),
    (b"verbar", b'|'),
    (b"vert", b'|'),
    (b"VerticalLine", b'|'),
    (b"rcub", b'}'),
    (b"rbrace", b'}'),
    (b"nbsp", b' '),
];

fn entity(text: &[u8], i: usize) -> Option<Token> {
    let rest = cut(text, i + 1, i + 20);
    if rest.first() != Some(&b'#') {
        let name = rest.get(..rest.iter().position(|b| *b == b';')?)?;
        let (_, byte) = NAMES.iter().find(|(known, _)| *known == name)?;
        return Some(Token::byte(name.len() + 2, *byte));
    }
    let (start, radix) = if matches!(rest.get(1), Some(b'x' | b'X')) { (2, 16) } else { (1, 10) };
    let digit = |b: &u8| char::from(*b).to_digit(radix);
    let digits = rest.get(start..).unwrap_or_default().iter().map_while(digit);
    let (count, code) = digits.take(10).fold((0, 0_u32), |(count, code), digit| {
        (count + 1, code.saturating_mul(radix).saturating_add(digit))
    });
    let end = start + count;
    let closed = usize::from(rest.get(end) == Some(&b';'));
    (count > 0).then(|| Token::character(1 + end + closed, code))
}
