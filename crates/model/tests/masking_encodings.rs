//! Every encoding that must be recognised, around random strong values, however the text is cut.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper that fails is a failed test"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use data_encoding::{BASE32, BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use keyward_model::mask::{Masker, Needles};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

/// Characters that every escape has something to do with.
const HARD: &str = "kwtest_jfoRnxa6w&\"\\ <HW35PBbnm3>'%+/=NliqNT1N";
const PLAIN: &str = "kwtest_8HlrwYMfvea9lkxwkkMxzwwM5hpA6eEfu";
const UNICODE: &str =
    "kwtest_\u{17b}\u{f3}\u{142}\u{107}-\u{5bc6}\u{94a5}-\u{1f511}-x4xyB7LQ4DBqHb";
const HEX: &str = "77efcfe3fb2c3ea9359680cbf9a0f4d4f7f3b2c9";
const SPACED: &str = "quiet horse 'paper' \"lamp\" engine & stone; 42 rivers";

fn join(bytes: &[u8], separator: &str, each: impl Fn(u8) -> String) -> String {
    bytes.iter().map(|b| each(*b)).collect::<Vec<_>>().join(separator)
}

fn hex(text: &str) -> String {
    join(text.as_bytes(), "", |b| format!("{b:02x}"))
}

fn percent(text: &str, keep: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || keep.as_bytes().contains(&b) {
            out.push(char::from(b));
        } else {
            write!(out, "%{b:02X}").unwrap();
        }
    }
    out
}

fn component(text: &str) -> String {
    percent(text, "-_.!~*'()")
}

fn form(text: &str) -> String {
    percent(text, "*-._ ").replace(' ', "+")
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn utf16_units(text: &str, each: impl Fn(u16) -> String) -> String {
    text.encode_utf16().map(each).collect()
}

fn utf16le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn shifted(text: &str, before: usize) -> Vec<u8> {
    [&b"user:"[..before], text.as_bytes(), b":tail"].concat()
}

fn wrap(text: &str, width: usize, end: &str) -> String {
    let lines: Vec<&str> =
        (0..text.len()).step_by(width).map(|i| &text[i..text.len().min(i + width)]).collect();
    lines.join(end)
}

fn document(text: &str) -> String {
    format!("name: kwtest\nsecret: {text}\nrole: reader of everything, and a few words more\n")
}

fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

fn quoted_printable(text: &str, all: bool) -> String {
    let mut out = String::new();
    let mut column = 0;
    for b in text.bytes() {
        if column > 20 {
            out.push_str("=\r\n");
            column = 0;
        }
        let plain = b != b'=' && (b' '..=b'~').contains(&b) && !all;
        let piece = if plain { char::from(b).to_string() } else { format!("={b:02X}") };
        column += piece.len();
        out.push_str(&piece);
    }
    out
}

fn bash_q(text: &str) -> String {
    let escape = |c: char| {
        let plain = c.is_alphanumeric() || "_-./,:@%+".contains(c);
        if plain { c.to_string() } else { format!("\\{c}") }
    };
    text.chars().map(escape).collect()
}

fn octal(text: &str) -> String {
    join(text.as_bytes(), "", |b| {
        if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("\\{b:03o}") }
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Encoding = (&'static str, fn(&str) -> String);

/// Name and encoder; what the name has after `|` says what the encoder needs of the value.
const ENCODINGS: &[Encoding] = &[
    ("raw", |v| v.to_owned()),
    ("upper", |v| v.to_uppercase()),
    ("lower", |v| v.to_lowercase()),
    ("NFC", |v| v.nfc().collect()),
    ("NFD", |v| v.nfd().collect()),
    ("base64", |v| BASE64.encode(v.as_bytes())),
    ("base64 unpadded", |v| BASE64_NOPAD.encode(v.as_bytes())),
    ("base64url", |v| BASE64URL.encode(v.as_bytes())),
    ("base64url unpadded", |v| BASE64URL_NOPAD.encode(v.as_bytes())),
    ("base64 shift 1", |v| BASE64.encode(&shifted(v, 1))),
    ("base64 shift 2", |v| BASE64.encode(&shifted(v, 2))),
    ("base64 shift 3", |v| BASE64.encode(&shifted(v, 3))),
    ("base64url shift 1", |v| BASE64URL_NOPAD.encode(&shifted(v, 1))),
    ("base64url shift 2", |v| BASE64URL_NOPAD.encode(&shifted(v, 2))),
    ("base64 in a URL", |v| component(&BASE64.encode(&shifted(v, 2)))),
    ("base64 in PHP's JSON", |v| BASE64.encode(&shifted(v, 1)).replace('/', "\\/")),
    ("base64 wrapped at 76", |v| wrap(&BASE64.encode(document(v).as_bytes()), 76, "\r\n")),
    ("base64 wrapped at 64", |v| wrap(&BASE64.encode(document(v).as_bytes()), 64, "\n")),
    ("base64 wrapped, indented", |v| wrap(&BASE64.encode(document(v).as_bytes()), 60, "\n    ")),
    ("base64 wrapped in JSON", |v| wrap(&BASE64.encode(document(v).as_bytes()), 76, "\\r\\n")),
    ("base64 wrapped in JSON twice", |v| wrap(&BASE64.encode(document(v).as_bytes()), 64, "\\\\n")),
    ("base64 wrapped in a URL", |v| wrap(&BASE64.encode(document(v).as_bytes()), 76, "%0D%0A")),
    ("base64 UTF-16LE", |v| BASE64.encode(&utf16le(v))),
    ("base64 UTF-16LE shifted", |v| BASE64.encode(&[&[39, 0][..], &utf16le(v), &[39, 0]].concat())),
    ("base64 UTF-16LE wrapped", |v| wrap(&BASE64.encode(&utf16le(&document(v))), 76, "\n")),
    ("base32", |v| BASE32.encode(v.as_bytes())),
    ("base32 unpadded, lower", |v| BASE32_NOPAD.encode(v.as_bytes()).to_lowercase()),
    ("base32 shift 1", |v| BASE32.encode(&shifted(v, 1))),
    ("base32 shift 2", |v| BASE32.encode(&shifted(v, 2))),
    ("base32 shift 3", |v| BASE32.encode(&shifted(v, 3))),
    ("base32 shift 4", |v| BASE32.encode(&shifted(v, 4))),
    ("hex lower", hex),
    ("hex upper", |v| hex(v).to_uppercase()),
    ("hex with colons", |v| join(v.as_bytes(), ":", |b| format!("{b:02X}"))),
    ("hex with spaces", |v| join(v.as_bytes(), " ", |b| format!("{b:02x}"))),
    ("hex with dashes", |v| join(v.as_bytes(), "-", |b| format!("{b:02x}"))),
    ("hex with \\x", |v| join(v.as_bytes(), "", |b| format!("\\x{b:02x}"))),
    ("hex with \\x in JSON", |v| join(v.as_bytes(), "", |b| format!("\\\\x{b:02x}"))),
    ("hex with 0x,", |v| join(v.as_bytes(), ",", |b| format!("0x{b:02x}"))),
    ("hex with 0x, and space", |v| join(v.as_bytes(), ", ", |b| format!("0x{b:X}"))),
    ("hex wrapped", |v| wrap(&hex(v), 20, "\n")),
    ("hex words", |v| wrap(&hex(v), 4, " ")),
    ("hex lines", |v| wrap(&join(v.as_bytes(), " ", |b| format!("{b:02x}")), 48, "\n  ")),
    ("decimal", |v| join(v.as_bytes(), ",", |b| b.to_string())),
    ("decimal with spaces", |v| join(v.as_bytes(), ", ", |b| b.to_string())),
    ("decimal, spaces only", |v| join(v.as_bytes(), " ", |b| b.to_string())),
    ("decimal in lines", |v| join(v.as_bytes(), ",\n    ", |b| b.to_string())),
    ("decimal indexed", |v| {
        let all = v.bytes().enumerate().map(|(i, b)| format!("\"{i}\":{b}"));
        all.collect::<Vec<_>>().join(",")
    }),
    ("decimal indexed, pretty", |v| {
        let all = v.bytes().enumerate().map(|(i, b)| format!("\"{i}\": {b}"));
        all.collect::<Vec<_>>().join(",\n  ")
    }),
    ("percent component", component),
    ("percent form", form),
    ("percent all", |v| join(v.as_bytes(), "", |b| format!("%{b:02x}"))),
    ("percent mixed", |v| {
        let mut odd = false;
        join(v.as_bytes(), "", |b| format!("%{b:02X}"))
            .split('%')
            .skip(1)
            .map(|pair| {
                odd = !odd;
                let b = u8::from_str_radix(pair, 16).unwrap();
                let keep = odd && b.is_ascii_alphanumeric();
                if keep { char::from(b).to_string() } else { format!("%{}", pair.to_lowercase()) }
            })
            .collect()
    }),
    ("percent twice", |v| component(&component(v))),
    ("form twice", |v| form(&form(v))),
    ("percent all twice", |v| join(v.as_bytes(), "", |b| format!("%25{b:02x}"))),
    ("percent u", |v| utf16_units(v, |u| format!("%u{u:04x}"))),
    ("JSON", json),
    ("JSON solidus", |v| json(v).replace('/', "\\/")),
    ("JSON u", |v| utf16_units(v, |u| format!("\\u{u:04x}"))),
    ("JSON u upper", |v| utf16_units(v, |u| format!("\\u{u:04X}"))),
    ("JSON u of some", |v| {
        utf16_units(v, |u| match char::from_u32(u32::from(u)).filter(char::is_ascii_alphanumeric) {
            Some(c) => c.to_string(),
            None => format!("\\u{u:04x}"),
        })
    }),
    ("JSON twice", |v| json(&json(v))),
    ("JSON u twice", |v| utf16_units(v, |u| format!("\\\\u{u:04x}"))),
    ("JSON in a URL", |v| component(&json(v))),
    ("JavaScript braces", |v| v.chars().map(|c| format!("\\u{{{:x}}}", u32::from(c))).collect()),
    ("HTML named", html),
    ("HTML all names", |v| {
        html(v).replace('+', "&plus;").replace('=', "&equals;").replace('/', "&sol;")
    }),
    ("HTML decimal", |v| v.chars().map(|c| format!("&#{};", u32::from(c))).collect()),
    ("HTML hex", |v| v.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect()),
    ("HTML hex upper", |v| v.chars().map(|c| format!("&#X{:04X};", u32::from(c))).collect()),
    ("HTML twice", |v| html(&html(v))),
    ("HTML of JSON", |v| html(&json(v))),
    ("quoted-printable", |v| quoted_printable(v, false)),
    ("quoted-printable all", |v| quoted_printable(v, true)),
    ("shell single", |v| format!("'{}'", v.replace('\'', r"'\''"))),
    ("shell single, other", |v| format!("'{}'", v.replace('\'', r#"'"'"'"#))),
    ("shell single in JSON", |v| json(&format!("'{}'", v.replace('\'', r"'\''")))),
    ("shell backslash", bash_q),
    ("shell dollar", |v| format!("$'{}'", v.replace('\\', "\\\\").replace('\'', "\\'"))),
    ("shell dollar octal", octal),
    ("SQL", |v| format!("'{}'", v.replace('\'', "''"))),
    ("CSV", |v| format!("\"{}\"", v.replace('"', "\"\""))),
    ("gzip", |v| BASE64.encode(&gzip(document(v).as_bytes()))),
    ("gzip url", |v| BASE64URL_NOPAD.encode(&gzip(document(v).as_bytes()))),
    ("gzip wrapped", |v| wrap(&BASE64.encode(&gzip(document(v).as_bytes())), 76, "\n")),
    ("zlib", |v| BASE64.encode(&zlib(document(v).as_bytes(), 6))),
    ("zlib fast", |v| BASE64URL.encode(&zlib(document(v).as_bytes(), 1))),
    ("zlib best", |v| BASE64.encode(&zlib(document(v).as_bytes(), 9))),
];

fn masker(value: &str) -> Masker {
    let masker = Masker::new();
    masker.learn(Arc::new(Needles::build(value.as_bytes())), &format!("kws1_{:a<40}", ""));
    masker
}

fn masked(masker: &Masker, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = masker.stream();
    let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece)).collect();
    out.extend(stream.finish());
    out
}

/// No piece of the encoded value may show.
fn shows(out: &str, encoded: &str) -> Option<String> {
    let all: Vec<char> = encoded.chars().collect();
    let pieces = all.chunks(16).filter(|piece| piece.len() == 16);
    let mut pieces = pieces.map(|piece| piece.iter().collect::<String>());
    pieces.find(|piece| piece.chars().any(char::is_alphanumeric) && out.contains(piece.as_str()))
}

fn check(name: &str, value: &str, encoded: &str, all_cuts: bool) -> Result<(), String> {
    let masker = masker(value);
    let text = format!("step 3 printed\n{encoded}\nand 12 more lines, ok");
    let bytes = text.as_bytes();
    let whole = masked(&masker, &[bytes]);
    let out = String::from_utf8(whole.clone()).map_err(|e| e.to_string())?;
    let context = |what: &str| format!("{name} of {value}: {what}\n in: {text}\nout: {out}");
    if let Some(piece) = shows(&out, encoded) {
        return Err(context(&format!("shows {piece}")));
    }
    if !out.starts_with("step 3 printed\n") || !out.ends_with("\nand 12 more lines, ok") {
        return Err(context("lost what is around"));
    }
    let ones: Vec<&[u8]> = bytes.chunks(1).collect();
    if masked(&masker, &ones) != whole {
        return Err(context("depends on bytes"));
    }
    for cut in (0..bytes.len()).step_by(3).filter(|_| all_cuts) {
        let (head, tail) = bytes.split_at(cut);
        if masked(&masker, &[head, tail]) != whole {
            return Err(context(&format!("depends on the cut at {cut}")));
        }
    }
    Ok(())
}

#[test]
fn every_encoding_is_hidden() {
    let mut failures = Vec::new();
    for (name, encode) in ENCODINGS {
        for value in [PLAIN, HARD, UNICODE, HEX, SPACED] {
            failures.extend(check(name, value, &encode(value), true).err());
        }
    }
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn utf16_bytes_are_hidden() {
    for value in [PLAIN, HARD, UNICODE] {
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide = |text: &str| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
            let text = wide(&format!("wide: {value} |"));
            let out = masked(&masker(value), &[&text]);
            // Zeros beside ASCII may belong to either byte order.
            let seen: Vec<u8> = out.into_iter().filter(|b| *b != 0).collect();
            assert_eq!(String::from_utf8_lossy(&seen), "wide: *** |", "{value}");
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<(usize, String)>> {
    let words = "([a-z]{1,9}[ ,.:=\n]){0,6}|[ -~\n]{0,40}|[0-9a-f: ,\n]{0,30}|[\\\\%&='\"]{0,6}";
    proptest::collection::vec((0..2 * ENCODINGS.len(), words.prop_map(String::from)), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_random_value_is_hidden_in_every_encoding(
        value in "[A-Za-z0-9]{24,40}|[!-~]{26,48}",
        encoding in 0..ENCODINGS.len(),
    ) {
        let (name, encode) = ENCODINGS[encoding];
        check(name, &value, &encode(&value), false).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn cutting_changes_nothing(pieces in pieces(), cuts in proptest::collection::vec(0..2000_usize, 0..12)) {
        let masker = masker(HARD);
        masker.learn(Arc::new(Needles::build(b"passw0rd")), "kws1_b");
        masker.learn(Arc::new(Needles::build(PLAIN.as_bytes())), "kws1_c");
        let mut text = String::new();
        for (encoding, words) in pieces {
            let encoded = match ENCODINGS.get(encoding) {
                Some((_, encode)) => encode(if encoding % 2 == 0 { HARD } else { PLAIN }),
                None if encoding % 2 == 0 => "passw0rd".to_owned(),
                None => HARD.chars().take(encoding % HARD.len()).collect(),
            };
            text += &encoded;
            text += &words;
        }
        let bytes = text.as_bytes();
        let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let parts: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let whole = masked(&masker, &[bytes]);
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(show(&masked(&masker, &parts)), show(&whole), "{}", text);
        let ones: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(show(&masked(&masker, &ones)), show(&whole), "{:?}", text);
        prop_assert_eq!(masker.text(&text).into_string(), show(&whole));
    }
}
