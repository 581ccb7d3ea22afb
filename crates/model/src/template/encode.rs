//! Filters that write text in another alphabet: base64 (RFC 4648) and the encoded words of mail
//! headers (RFC 2047).

use super::engine::{refuse, string, too_large};
use super::value::MAX_BYTES;
use data_encoding::{BASE64, BASE64URL};
use minijinja::{Error, Value};
use std::borrow::Cow;

/// So many bytes fill one encoded word: 60 characters of base64 of the 75 allowed (RFC 2047 §2).
const WORD_BYTES: usize = 45;
/// A longer header is cut into words, since a line of mail has 998 characters at most (RFC 5322
/// §2.1.1).
const MAX_LINE: usize = 900;

/// base64 (RFC 4648 §4) of a text's UTF-8; in lines of `width` characters, if that is given, as mail
/// needs it (RFC 2045 §6.8).
pub(super) fn base64(value: &Value, width: Option<usize>) -> Result<String, Error> {
    let encoded = encode(&BASE64, &string(value)?)?;
    let Some(width) = width else { return Ok(encoded) };
    if !(4..=MAX_LINE).contains(&width) {
        return Err(refuse("lines of base64 have 4 to 900 characters"));
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 2 + 2);
    for (at, c) in encoded.chars().enumerate() {
        if at > 0 && at % width == 0 {
            lines.push_str("\r\n");
        }
        lines.push(c);
    }
    if lines.len() > MAX_BYTES { Err(too_large()) } else { Ok(lines) }
}

/// base64 with the alphabet for URLs and file names (RFC 4648 §5), padded.
pub(super) fn base64url(value: &Value) -> Result<String, Error> {
    encode(&BASE64URL, &string(value)?)
}

fn encode(alphabet: &data_encoding::Encoding, text: &str) -> Result<String, Error> {
    if alphabet.encode_len(text.len()) > MAX_BYTES {
        Err(too_large())
    } else {
        Ok(alphabet.encode(text.as_bytes()))
    }
}

/// A text as the value of a mail header: plain ASCII as it is, all else in encoded words (RFC 2047),
/// one a line. What has a line break or another control character is refused, so that no data can
/// add a header.
pub(super) fn encoded_word(value: &Value) -> Result<String, Error> {
    let text = string(value)?;
    if text.contains(char::is_control) {
        return Err(refuse("a mail header is one line without control characters"));
    }
    if text.is_ascii() && text.len() <= MAX_LINE && !text.contains("=?") {
        return Ok(text);
    }
    let (mut words, mut rest) = (Vec::new(), text.as_str());
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(Cow::from(format!("=?UTF-8?B?{}?=", BASE64.encode(word.as_bytes()))));
        rest = after;
    }
    let words = words.join("\r\n ");
    if words.len() > MAX_BYTES { Err(too_large()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::super::{Context, Template, TemplateReason};
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn render(template: &str, text: &str) -> Result<String, TemplateReason> {
        let trigger = Arc::new(json!({ "text": text }));
        let context = Context::new(trigger, Arc::new(json!({})));
        let template = Template::compile(template).expect("a template");
        template.render_text(&context).map_err(|error| error.reason)
    }

    #[test]
    fn texts_become_base64() {
        let check = |filter: &str, text: &str, expected: &str| {
            let template = format!("{{{{ trigger.text | {filter} }}}}");
            assert_eq!(render(&template, text).as_deref(), Ok(expected), "{filter} {text}");
        };
        // RFC 4648 §10.
        check("base64", "", "");
        check("base64", "f", "Zg==");
        check("base64", "fooba", "Zm9vYmE=");
        check("base64", "foobar", "Zm9vYmFy");
        check("base64", "ü?>", "w7w/Pg==");
        check("base64url", "ü?>", "w7w_Pg==");
        check("base64(4)", "foobar", "Zm9v\r\nYmFy");
        check("base64(76)", "foobar", "Zm9vYmFy");
    }

    #[test]
    fn texts_become_mail_headers() {
        let check = |text: &str, expected: &str| {
            let word = render("{{ trigger.text | encoded_word }}", text);
            assert_eq!(word.as_deref(), Ok(expected), "{text}");
        };
        check("Hello, you", "Hello, you");
        check("", "");
        check("Grüße", "=?UTF-8?B?R3LDvMOfZQ==?=");
        check("=?UTF-8?B?QQ==?=", "=?UTF-8?B?PT9VVEYtOD9CP1FRPT0/PQ==?=");
        // 44 letters, so that the next character of two bytes does not fit into the word.
        let long = format!("{}üü", "a".repeat(44));
        let first = BASE64.encode("a".repeat(44).as_bytes());
        check(&long, &format!("=?UTF-8?B?{first}?=\r\n =?UTF-8?B?w7zDvA==?="));
        let line = render("{{ trigger.text | encoded_word }}", &"a".repeat(MAX_LINE + 1));
        let longest = line.expect("a header").split("\r\n ").map(str::len).max();
        assert!(longest.is_some_and(|longest| longest <= 75), "{longest:?}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let check = |template: &str, text: &str, expected: TemplateReason| {
            assert_eq!(render(template, text), Err(expected), "{template}");
        };
        for text in ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\0b", "a\u{85}b", "\u{7f}"] {
            check("{{ trigger.text | encoded_word }}", text, TemplateReason::Unfit);
        }
        // What is read and what is given count together, so the length stands for the result.
        let large = "a".repeat(MAX_BYTES / 12 * 5);
        assert!(render("{{ trigger.text | base64 }}", &large).is_ok());
        for filters in [
            "base64 | base64 | base64 | base64",
            "base64url | base64url | base64url | base64url",
            "base64 | base64(4)",
            "base64 | base64 | encoded_word",
        ] {
            let template = format!("{{{{ trigger.text | {filters} | length }}}}");
            check(&template, &large, TemplateReason::TooLarge);
        }
        check("{{ trigger.text | base64(0) }}", "a", TemplateReason::Unfit);
        check("{{ trigger.text | base64(-1) }}", "a", TemplateReason::Unfit);
        let absent = render("{{ trigger.absent | base64 }}", "a");
        assert!(matches!(absent, Err(TemplateReason::Undefined(_))));
    }
}
