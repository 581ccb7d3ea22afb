//! Cuts the inside of `{{ }}` into tokens, exactly where MiniJinja does.

use super::SyntaxFault;

/// A token and its offset in the template's text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spanned<'t> {
    pub(super) token: Token<'t>,
    pub(super) offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'t> {
    /// A name or keyword.
    Name(&'t str),
    /// A string with its quotes, escapes untouched.
    Text(&'t str),
    /// A number as written.
    Number(&'t str),
    /// An operator or bracket.
    Sign(&'static str),
}

/// Longer signs before those that begin them.
const SIGNS: &[&str] = &[
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", ".", ",", ":", "~", "|", "=", ">",
    "<", "(", ")", "[", "]", "{", "}",
];

/// The tokens from `start` up to the closing `}}`, and the offset behind that.
pub(super) fn hole(text: &str, start: usize) -> Result<(Vec<Spanned<'_>>, usize), SyntaxFault> {
    let mut tokens: Vec<Spanned<'_>> = Vec::new();
    let mut offset = start;
    let mut open = 0_usize;
    loop {
        let rest = text.get(offset..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return Err(SyntaxFault::at(start, "`{{` is never closed by `}}`"));
        };
        if first.is_ascii_whitespace() {
            offset += 1;
            continue;
        }
        if open == 0 && rest.starts_with("}}") {
            return Ok((tokens, offset + 2));
        }
        let after_dot = offset > 0 && text.as_bytes().get(offset - 1) == Some(&b'.');
        let (token, length) =
            token(rest, after_dot).map_err(|what| SyntaxFault::at(offset, what))?;
        match token {
            Token::Sign("(" | "[" | "{") => open += 1,
            Token::Sign(")" | "]" | "}") => open = open.saturating_sub(1),
            _ => {}
        }
        tokens.push(Spanned { token, offset });
        offset += length;
    }
}

fn token(rest: &str, after_dot: bool) -> Result<(Token<'_>, usize), &'static str> {
    let first = rest.chars().next().unwrap_or_default();
    let taken = |length: usize| rest.get(..length).unwrap_or_default();
    if first == '"' || first == '\'' {
        let length = quoted(rest, first).ok_or("a string is never closed")?;
        return Ok((Token::Text(taken(length)), length));
    }
    if first.is_ascii_digit() {
        let length = number(rest, after_dot);
        return Ok((Token::Number(taken(length)), length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        return Ok((Token::Name(taken(length)), length));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    sign.map(|sign| (Token::Sign(sign), sign.len())).ok_or("a character that no expression holds")
}

/// The length of a string with its quotes.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (offset, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

/// The length of a number: digits, and a fraction and exponent unless it is an index behind a dot.
fn number(rest: &str, after_dot: bool) -> usize {
    let bytes = rest.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut at: usize| {
        while digit(at) {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    if after_dot {
        return end;
    }
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digit(end + 1 + sign) {
            end = digits(end + 1 + sign);
        }
    }
    end
}
