//! The sweep finds a planted leak in every encoding that the product promises to mask, and nothing
//! where there is nothing.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use data_encoding::BASE32;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use keyward_testkit::canary::canary;
use keyward_testkit::sweep::{Finding, Sweep};

fn sweep(bytes: &[u8]) -> Vec<Finding> {
    let (own, other) = (canary("OWN"), canary("OTHER"));
    Sweep::new([("OWN", own.as_str()), ("OTHER", other.as_str())].into_iter()).bytes("place", bytes)
}

/// Plants the text between others and wants it found under that encoding, and only its value.
fn check(encoding: &str, planted: impl AsRef<[u8]>) {
    let planted = planted.as_ref();
    for (before, after) in [("", ""), ("sent: ", " (end)"), ("{\"k\":\"", "\"}"), ("ab\n", "\ncd")]
    {
        let bytes = [before.as_bytes(), planted, after.as_bytes()].concat();
        let found = sweep(&bytes);
        let shown = String::from_utf8_lossy(&bytes);
        assert!(found.iter().all(|finding| finding.canary == "OWN"), "{found:?} in {shown}");
        let encodings: Vec<&str> = found.iter().map(|f| f.encoding.as_str()).collect();
        assert!(encodings.contains(&encoding), "{encodings:?} without {encoding} in {shown}");
        let offset = found.iter().find(|f| f.encoding == encoding).map_or(0, |f| f.offset);
        assert!(offset < bytes.len(), "{offset} is outside");
    }
}

fn joined(value: &str, between: &str, one: impl Fn(u8) -> String) -> String {
    value.bytes().map(one).collect::<Vec<_>>().join(between)
}

#[test]
fn plain_forms_and_long_fragments() {
    let value = canary("OWN");
    check("raw", &value);
    check("raw", value.to_uppercase());
    check("raw", value.to_lowercase());
    for start in 7..=35 {
        check("raw", &value[start..start + 12]);
    }
    assert!(sweep(&value.as_bytes()[..18]).is_empty(), "the prefix and 11 characters are too few");
}

#[test]
fn offsets_point_at_the_leak() {
    let text = format!("0123456789{}", canary("OWN"));
    assert_eq!(sweep(text.as_bytes())[0].offset, 17);
    let escaped = format!("%41%41 {}", joined(&canary("OWN"), "", |byte| format!("%{byte:02x}")));
    let found = sweep(escaped.as_bytes());
    let percent = found.iter().find(|finding| finding.encoding == "percent").expect("found");
    assert_eq!(percent.offset, 7 + 7 * 3);
}

#[test]
fn base64_in_every_shift_alphabet_and_wrapping() {
    for shift in 0..3 {
        let text = format!("{}{}", &"?~>"[..shift], canary("OWN"));
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            check("base64", engine.encode(&text));
        }
        let encoded = STANDARD.encode(&text);
        for width in [19, 20] {
            let lines: Vec<&str> = encoded
                .as_bytes()
                .chunks(width)
                .map(|l| std::str::from_utf8(l).expect("ASCII"))
                .collect();
            check("base64", lines.join("\n"));
            check("base64", lines.join("\r\n  "));
        }
    }
    // Pieces of 9 bytes are too short to be found alone.
    let encoded = STANDARD.encode(canary("OWN"));
    check(
        "backslash > base64",
        encoded
            .as_bytes()
            .chunks(12)
            .map(|l| std::str::from_utf8(l).expect("ASCII"))
            .collect::<Vec<_>>()
            .join("\\n"),
    );
    let wide: Vec<u8> = canary("OWN").bytes().flat_map(|byte| [byte, 0]).collect();
    check("base64 > utf-16", STANDARD.encode(wide));
}

#[test]
fn base32_in_every_shift() {
    for shift in 0..5 {
        let encoded = BASE32.encode(format!("{}{}", &"?~>_-"[..shift], canary("OWN")).as_bytes());
        check("base32", &encoded);
        check("base32", encoded.to_lowercase());
        check("base32", encoded.trim_end_matches('='));
    }
}

#[test]
fn numbers_of_bytes() {
    let value = canary("OWN");
    for between in ["", ":", " ", "-", ", "] {
        check("hex", joined(&value, between, |byte| format!("{byte:02x}")));
        check("hex", joined(&value, between, |byte| format!("{byte:02X}")));
    }
    check("hex", format!("f{}", joined(&value, "", |byte| format!("{byte:02x}"))));
    check("hex", joined(&value, "", |byte| format!("\\x{byte:02x}")));
    check("hex", joined(&value, ",", |byte| format!("0x{byte:02x}")));
    check("hex", joined(&value, ", ", |byte| format!("0x{byte:02X}")));
    for between in [",", ", ", " ", ",\n  "] {
        check("decimal", joined(&value, between, |byte| byte.to_string()));
    }
}

#[test]
fn escapes_in_text() {
    let value = canary("OWN");
    check("percent", joined(&value, "", |byte| format!("%{byte:02X}")));
    check("percent", every_third(&value, |byte| format!("%{byte:02x}")));
    check("percent > percent", joined(&value, "", |byte| format!("%25{byte:02x}")));
    check("backslash", joined(&value, "", |byte| format!("\\u{byte:04x}")));
    check("backslash", every_third(&value, |byte| format!("\\u{{{byte:x}}}")));
    check("backslash", every_third(&value, |byte| format!("\\{byte:o}")));
    check("backslash > backslash", joined(&value, "", |byte| format!("\\\\u{byte:04X}")));
    check("entities", joined(&value, "", |byte| format!("&#{byte};")));
    check("entities", every_third(&value, |byte| format!("&#x{byte:x};")));
    check("quoted-printable", joined(&value, "", |byte| format!("={byte:02X}")));
    let soft: Vec<String> = value
        .as_bytes()
        .chunks(10)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    check("quoted-printable", soft.join("=\r\n"));
    check("quoted-printable", soft.join("=\n"));
}

fn every_third(value: &str, escape: impl Fn(u8) -> String) -> String {
    let mut text = String::new();
    for (index, byte) in value.bytes().enumerate() {
        match index % 3 {
            0 => text += &escape(byte),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

#[test]
fn wide_characters() {
    let value = canary("OWN");
    check("utf-16", value.bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>());
    check("utf-16", value.bytes().flat_map(|byte| [0, byte]).collect::<Vec<_>>());
}

#[test]
fn packed_alone_in_a_file_and_in_base64() {
    let text = format!("{}{} and after", "some text before ".repeat(30), canary("OWN"));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(text.as_bytes()).expect("packed");
    let gzip = gzip.finish().expect("packed");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(text.as_bytes()).expect("packed");
    let zlib = zlib.finish().expect("packed");
    for packed in [gzip, zlib] {
        check("deflate", &packed);
        check("base64 > deflate", STANDARD.encode(&packed));
        let percent = joined(&STANDARD.encode(&packed), "", |byte| format!("%{byte:02X}"));
        check("percent > base64 > deflate", percent);
    }
}

#[test]
fn a_database_file_and_its_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.db");
    let database = rusqlite::Connection::open(&path).expect("a database");
    database
        .execute_batch("pragma journal_mode = wal; create table t (x text, y blob)")
        .expect("set up");
    let encoded = STANDARD.encode(canary("OWN"));
    let blob = [vec![0xff; 9000], canary("OTHER").into_bytes()].concat();
    database.execute("insert into t values (?1, ?2)", (&encoded, &blob)).expect("a row");

    let log = std::fs::read(folder.path().join("test.db-wal")).expect("the log");
    assert_eq!(names(&log), ["OTHER", "OWN"]);
    database.execute_batch("pragma wal_checkpoint(truncate)").expect("a checkpoint");
    assert_eq!(names(&std::fs::read(&path).expect("the database")), ["OTHER", "OWN"]);
    database.execute_batch("delete from t; pragma wal_checkpoint(truncate)").expect("deleted");
    assert_eq!(
        names(&std::fs::read(&path).expect("the database")),
        ["OTHER", "OWN"],
        "still on free pages"
    );
}

fn names(bytes: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = sweep(bytes).into_iter().map(|finding| finding.canary).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let other = canary("A_THIRD");
    let text =
        format!("{other} {} [sealed:OWN] *** kwtest_ {}", STANDARD.encode(&other), "x".repeat(500));
    assert!(sweep(text.as_bytes()).is_empty());
    assert!(sweep(b"").is_empty());
}

#[test]
fn a_finding_never_shows_the_value() {
    let value = canary("OWN");
    let shown = format!("{:?}", sweep(value.as_bytes()));
    assert!(
        shown.contains("OWN")
            && !value
                .as_bytes()
                .windows(4)
                .any(|piece| shown.as_bytes().windows(4).any(|p| p == piece))
    );
}
