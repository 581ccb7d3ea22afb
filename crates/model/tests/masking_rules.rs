//! The rules beside the encodings: strength, parts, patterns, outputs, guesses, clean text.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test helper that fails is a failed test"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use keyward_model::mask::{Masked, Masker, Needles, Strength, strength};
use serde_json::{Value, json};

const STRONG: &str = "kwtest_8HlrwYMfvea9lkxwkkMxzwwM5hpA6eEfu";
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJrd3Rlc3QiLCJqdGkiOiI3aE5xVzJ4UDlrTDQifQ.\
                   Qm9x3kPfN7sVtYh2LwZc8RdUaJ5eGiXo1KbMvTqHyE4";

fn placeholder(key: &str) -> String {
    format!("kws1_{:2<40}", key.to_ascii_lowercase())
}

fn masker(values: &[&str]) -> Masker {
    let masker = Masker::new();
    for (i, value) in values.iter().enumerate() {
        let key = char::from(b'a' + u8::try_from(i).unwrap()).to_string();
        masker.learn(Arc::new(Needles::build(value.as_bytes())), &placeholder(&key));
    }
    masker
}

#[test]
fn strength_of_values() {
    let check = |value: &str, expected| assert_eq!(strength(value.as_bytes()), expected, "{value}");
    check("", Strength::Tiny);
    check("4711", Strength::Tiny);
    check("12345", Strength::Tiny);
    check("\u{5bc6}\u{94a5}\u{5bc6}\u{94a5}\u{5bc6}", Strength::Tiny);
    check("123456", Strength::Weak);
    check("passw0rd", Strength::Weak);
    check("production", Strength::Weak);
    check("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Strength::Weak);
    check("abcdefghijklmno", Strength::Weak);
    check("abcdefghijklmnop", Strength::Strong);
    check("012345678901234567", Strength::Weak);
    check("0123456789012345678", Strength::Strong);
    check("77efcfe3fb2c3ea9359680cbf9a0f4d4f7f3b2c9", Strength::Strong);
    check(STRONG, Strength::Strong);
    let bytes: Vec<u8> = (128..144).collect();
    assert_eq!(strength(&bytes), Strength::Strong);
}

/// What a log line becomes.
#[test]
fn log_lines() {
    let pem = "-----BEGIN KWTEST-----\nnJofhf0nF5weZxpuFhJmxnRvVVSYl4tYKTrziqBr5XdghNg1dgdafZdypY1oxL8d\n\
               B1oTvaHH33M=\n-----END KWTEST-----\n";
    let service = "{\"user\":\"svc-one\",\"key\":\"pVLqPb5cMpkON74U4YD4MKVhEUFM6T\",\"n\":7}";
    let nested = json!({ "pem": pem, "kind": "kwtest" }).to_string();
    let check = |values: &[&str], text: &str, expected: &str| {
        assert_eq!(masker(values).text(text).as_str(), expected, "{values:?} in {text:?}");
    };
    // Strong: anywhere; a block covers the run.
    check(&[STRONG], &format!("a{STRONG}b"), "a***b");
    check(&[STRONG], "x/kwtest_8HlrwYMfvea9lkxw+y= z", "*** z");
    check(&[STRONG], "key kwtest_8HlrwYMf only", "key kwtest_8HlrwYMf only");
    check(&[STRONG], "tail kMxzwwM5hpA6eEfu", "tail kMxzwwM5hpA6eEfu");
    check(&[STRONG], "{\"a\":\"line\\nkwtest_8HlrwYMfvea9lkxwkk\"}", "{\"a\":\"line\\n***\"}");
    check(&[&format!("  {STRONG}\n")], &format!("<{STRONG}>"), "<***>");
    // Weak: whole tokens, in simple encodings too.
    check(&["passw0rd"], "passw0rd PASSW0RD Passw0rd", "*** *** Passw0rd");
    check(&["passw0rd"], "a=passw0rd&b=%3Apassw0rd%20", "a=***&b=%3A***%20");
    check(&["passw0rd"], "x_passw0rd passw0rd1 passw0rd_", "x_passw0rd passw0rd1 passw0rd_");
    check(&["passw0rd"], "\"line\\npassw0rd\\t\"", "\"line\\n***\\t\"");
    check(
        &["passw0rd"],
        "cGFzc3cwcmQ= cGFzc3cwcmQ cGFzc3cwcmQK xcGFzc3cwcmQ=",
        "*** *** *** xcGFzc3cwcmQ=",
    );
    check(&["passw0rd"], "70:61:73:73:77:30:72:64 [112,97,115,115,119,48,114,100]", "*** [***]");
    check(&["p@ss w&rd"], "p%40ss+w%26rd p@ss w&amp;rd p@ss w&rd1", "*** *** p@ss w&rd1");
    check(&["12345678"], "n 12345678 n 123456789", "n *** n 123456789");
    // Tiny: whole JSON strings and header values.
    check(&["4711"], "{\"pin\":\"4711\",\"n\":4711}", "{\"pin\":\"***\",\"n\":4711}");
    check(&["4711"], "{\\\"pin\\\":\\\"4711\\\"}", "{\\\"pin\\\":\\\"***\\\"}");
    check(&["4711"], "X-Pin: 4711\nport: 4711", "X-Pin: ***\nport: 4711");
    check(&["4711"], "pin: 4711\r\n", "pin: ***\r\n");
    // Parts.
    check(&[service], "user svc-one has pVLqPb5cMpkON74U4YD4MKVhEUFM6T", "user *** has ***");
    check(&[service], &format!("all {service} ok"), "all *** ok");
    check(&[pem], "-----BEGIN KWTEST-----", "-----BEGIN KWTEST-----");
    check(&[pem], "B1oTvaHH33M= and XB1oTvaHH33M=", "*** and XB1oTvaHH33M=");
    check(&[&nested], "nJofhf0nF5weZxpuFhJmxnRvVVSYl4tYKTrziqBr5XdghNg1dgdafZdypY1oxL8d", "***");
    let mut segments = JWT.split('.');
    let (header, payload) = (segments.next().unwrap(), segments.next().unwrap());
    check(&[JWT], &format!("{header} {payload} {JWT}"), &format!("{header} *** ***"));
    // Nothing to know.
    check(&["", "   "], "nothing  here", "nothing  here");
}

#[test]
fn patterns() {
    let sealed = placeholder("a");
    let check = |text: &str, expected: &str| {
        assert_eq!(Masker::new().text(text).as_str(), expected, "{text:?}");
        assert_eq!(masker(&[STRONG]).text(expected).as_str(), expected, "twice {text:?}");
    };
    check("kwdb://app:s3cr3t@db:5432/x", "kwdb://app:***@db:5432/x");
    check("redis://:s3cr3t@cache", "redis://:***@cache");
    check("m://u:p@ss@h1:1,h2:2/x?a=b@c", "m://u:***@h1:1,h2:2/x?a=b@c");
    check("{\"u\":\"https:\\/\\/u:pw@h\\/x\"}", "{\"u\":\"https:\\/\\/u:***@h\\/x\"}");
    check(
        "http://h:80/a@b https://x/@me ssh://git@h:22",
        "http://h:80/a@b https://x/@me ssh://git@h:22",
    );
    check("see http://a.b:80 or mail x@y.example", "see http://a.b:80 or mail x@y.example");
    check("Authorization: Bearer abc.def-1 sent", "Authorization: Bearer *** sent");
    check("> authorization: Basic dTpw\r\n> Host: x", "> authorization: Basic ***\r\n> Host: x");
    check("Proxy-Authorization: x1 y2\nnext", "Proxy-Authorization: ***\nnext");
    check(
        "{\"Authorization\":\"Bearer a b\",\"n\":1}",
        "{\"Authorization\":\"Bearer *** b\",\"n\":1}",
    );
    check(
        "{\\\"authorization\\\":\\\"x y\\\",\\\"n\\\":1}",
        "{\\\"authorization\\\":\\\"***\\\",\\\"n\\\":1}",
    );
    check(
        "curl -H 'Authorization: Digest u=\"a\", r=\"b\"' h",
        "curl -H 'Authorization: Digest ***' h",
    );
    check("['authorization', 'token abc']", "['authorization', 'token ***']");
    check("{authorization => \"x\"}", "{authorization => \"***\"}");
    check("authorization value, authorization_code=1", "authorization value, authorization_code=1");
    check(&format!("Authorization: Bearer {sealed}"), &format!("Authorization: Bearer {sealed}"));
    check("Cookie: a=1; b=2\nx", "Cookie: a=***; b=***\nx");
    check("set-cookie: sid=abc; Path=/; HttpOnly", "set-cookie: sid=***; Path=/; HttpOnly");
    check(
        "\"set-cookie\":[\"a=1; Secure\",\"b=2\"],\"n\":1",
        "\"set-cookie\":[\"a=***; Secure\",\"b=***\"],\"n\":1",
    );
    check("cookies: 3, my-cookie: x, cookie jar", "cookies: 3, my-cookie: x, cookie jar");
}

#[test]
fn outputs() {
    let (a, b) = (placeholder("a"), placeholder("b"));
    let masker = masker(&[STRONG, "12345678", "4711"]);
    let check = |value: Value, expected: Value| {
        assert_eq!(masker.json(&value).as_str(), expected.to_string(), "{value}");
    };
    check(json!({"t": format!("Bearer {STRONG}")}), json!({"t": format!("Bearer {a}")}));
    check(
        json!({STRONG: 1, STRONG.to_uppercase(): 2}),
        json!({a.as_str(): 1, format!("{a}_2"): 2}),
    );
    check(
        json!([12345678, 123456789, "4711", 4711]),
        json!([b, 123456789, placeholder("c"), 4711]),
    );
    let list: Vec<u8> = [&[1, 2][..], STRONG.as_bytes(), &[3]].concat();
    check(json!(list), json!([1, 2, a, 3]));
    let indexed: serde_json::Map<_, _> =
        STRONG.bytes().enumerate().map(|(i, b)| (i.to_string(), json!(b))).collect();
    check(Value::Object(indexed), json!([a]));
    check(
        json!({"Set-Cookie": ["s=1; Path=/"], "Cookie": "x=1"}),
        json!({"Set-Cookie": ["s=***; Path=/"], "Cookie": "x=***"}),
    );
    check(
        json!({"authorization": format!("Bearer {a}")}),
        json!({"authorization": format!("Bearer {a}")}),
    );
    check(
        json!([["authorization", "Basic eA=="], "u://a:b@c"]),
        json!([["authorization", "Basic ***"], "u://a:***@c"]),
    );
    for clean in [
        "null",
        "true",
        "-1.5",
        "[1,2,3,4,5,6,7,8]",
        "{\"b\":1,\"a\":[],\"\":{}}",
        "\"\\u0001\\\"\"",
    ] {
        let value: Value = serde_json::from_str(clean).unwrap();
        assert_eq!(masker.json(&value).as_str(), clean);
    }
}

#[test]
fn what_code_sees() {
    let (a, b) = (placeholder("a"), placeholder("b"));
    let masker = masker(&[STRONG, "4711"]);
    let check = |bytes: &[u8], expected: &[u8]| {
        let sealed = masker.reseal(bytes);
        assert_eq!(String::from_utf8_lossy(&sealed), String::from_utf8_lossy(expected));
    };
    check(format!("token={STRONG};").as_bytes(), format!("token={a};").as_bytes());
    check(
        &[b"\xff\xfe", STRONG.as_bytes(), b"\0"].concat(),
        &[b"\xff\xfe", a.as_bytes(), b"\0"].concat(),
    );
    check(b"4711", b.as_bytes());
    check(b"Set-Cookie: a=b", b"Set-Cookie: a=b");
    check(b"\x80\x81", b"\x80\x81");
}

/// Writes what is printed of a guess.
type Form = fn(&[u8]) -> String;

/// A guess that goes one character further looks the same, right or wrong, but where it completes
/// a block: then at least 60 bits were right at once.
#[test]
fn guesses_tell_nothing() {
    let forms: [(&str, Form); 5] = [
        ("raw", |v| String::from_utf8_lossy(v).into_owned()),
        ("percent", |v| v.iter().map(|b| format!("%{b:02x}")).collect()),
        ("base64", |v| data_encoding::BASE64.encode(v)),
        ("base64 shifted", |v| data_encoding::BASE64URL_NOPAD.encode(&[b"x", v].concat())),
        ("base32", |v| data_encoding::BASE32_NOPAD.encode(v)),
    ];
    for value in [STRONG, "77efcfe3fb2c3ea9359680cbf9a0f4d4f7f3b2c9", JWT] {
        let masker = masker(&[value]);
        for (name, form) in forms {
            let mut last = 0;
            for known in 1..value.len() - 1 {
                let right = value.as_bytes()[known];
                let wrong = match right {
                    b'.' => b'!',
                    b'Q' => b'R',
                    _ => b'Q',
                };
                let [right, wrong] = [right, wrong].map(|next| {
                    let guess = form(&[&value.as_bytes()[..known], &[next]].concat());
                    masker.text(&format!("guess {guess} end")).as_str().len()
                });
                if right != wrong {
                    let context = format!("{name} of {value} after {known}: {right} {wrong}");
                    assert!(right < wrong && known - last >= 15, "{context}");
                    last = known;
                }
            }
            assert!(last > 0, "{name} of {value} is never hidden");
        }
    }
}

#[test]
fn clean_lines_stay() {
    let mut random = Random(7);
    let masker = Masker::new();
    for i in 0..200 {
        let value = match i % 4 {
            0 => format!(
                "kwtest_{}",
                random.word(33, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
            ),
            1 => random.word(40, b"0123456789abcdef"),
            2 => random.word(24, b"ABCDEFGHabcdefgh01234567+/&\"\\<> %'=-_.:;!"),
            _ => random.word(9, b"bcdfghjklmnpqrstvwxz0123456789"),
        };
        masker.learn(Arc::new(Needles::build(value.as_bytes())), &placeholder("a"));
    }
    let mut stream = masker.stream();
    let (mut all, mut out) = (String::new(), Vec::new());
    for i in 0..10_000 {
        let line = clean_line(i, &mut random);
        assert_eq!(masker.text(&line).as_str(), line);
        all += &line;
        out.extend(stream.push(line.as_bytes()));
        // A line is not held back without a reason.
        if i % 1000 == 999 {
            assert!(all.len() - out.len() < 4096, "holds {} bytes", all.len() - out.len());
        }
    }
    out.extend(stream.finish());
    assert_eq!(String::from_utf8(out).unwrap(), all);
}

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn word(&mut self, length: usize, characters: &[u8]) -> String {
        let pick = |_| char::from(characters[self.next() as usize % characters.len()]);
        (0..length).map(pick).collect()
    }
}

fn clean_line(i: u64, random: &mut Random) -> String {
    let hex = b"0123456789abcdef";
    let base64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut line = String::new();
    match i % 10 {
        0 => write!(line, "2026-11-21T12:{:02}:07.{:03}Z INFO step {i} took {} ms", i % 60, i % 1000, i * 7),
        1 => write!(line, "run run_{} step {} done", random.word(32, hex), random.word(8, hex)),
        2 => write!(line, "GET https://api.kwtest.example/v1/items?page={i}&q=a%20b%2Fc+d&n={} 200", i % 9),
        3 => write!(line, "{{\"id\":{i},\"ok\":true,\"tags\":[\"a\",\"b\"],\"text\":\"say \\\"hi\\\"\\n\\u00e9 \\\\ end\"}}"),
        4 => write!(line, "sha256 {} size {i}", random.word(64, hex)),
        5 => write!(line, "data:image/png;base64,{}==", random.word(160, base64)),
        6 => write!(line, "  at Object.<anonymous> (/srv/app/node_modules/kwtest/dist/index.js:{i}:17)"),
        7 => write!(line, "<p class=\"x\">fish &amp; chips &lt;{i}&gt; it''s &#39;fine&#39;</p>"),
        8 => write!(line, "bytes [{}, {}, {}, {}, 7, 8, 9, 10] at 0x{}", i % 256, i % 255, i % 254, i % 253, random.word(8, hex)),
        _ => write!(line, "The quick brown fox, no. {i}, jumps over = the lazy dog; cookies and tokens stay."),
    }
    .unwrap();
    line.push('\n');
    line
}

#[test]
fn what_cannot_carry_a_value() {
    assert_eq!(Masked::null().as_str(), "null");
    assert_eq!(Masked::from_static("skipped").into_string(), "skipped");
    assert!(Masker::new().is_empty());
    assert!(!masker(&["4711"]).is_empty());
    assert_eq!(format!("{:?}", Needles::build(STRONG.as_bytes())), "Needles");
    assert_eq!(format!("{:?}", masker(&[STRONG])), "Masker of 1 values");
}
