//! Answers that are too large or too slow are cut off with a typed error.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use keyward_egress::{Client, EgressError, Excess, Options, Phase, Response};

use crate::server::{client, draft, get, header, loopback, raw};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

async fn got(options: Options, bytes: Vec<u8>) -> Result<Response, EgressError> {
    let server = raw(bytes, false).await;
    get(&Client::new(options).unwrap(), &server.url("/")).await
}

fn excess(outcome: Result<Response, EgressError>) -> Excess {
    match outcome {
        Err(error @ EgressError::TooLarge { excess, .. }) => {
            assert_eq!(error.code(), "output_too_large");
            excess
        }
        other => panic!("{other:?}"),
    }
}

/// Text that hardly compresses: a linear congruential generator's bytes.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[tokio::test]
async fn bodies_up_to_the_limit() {
    let options = || Options { max_body: 1000, ..loopback() };
    let body = noise(1000);
    assert_eq!(got(options(), answer("", &body)).await.unwrap().body, body);
    assert_eq!(excess(got(options(), answer("", &noise(1001))).await), Excess::Body);
    let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned()
        + &format!("64\r\n{}\r\n", "x".repeat(100)).repeat(50);
    assert_eq!(excess(got(options(), endless.into()).await), Excess::Body);
    let until_closed = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &noise(5000)].concat();
    assert_eq!(excess(got(options(), until_closed).await), Excess::Body);
}

#[tokio::test]
async fn headers_up_to_the_limit() {
    let line = |length: usize| format!("x-long: {}\r\n", "x".repeat(length));
    let fits = got(loopback(), answer(&line(60_000), b"ok")).await.unwrap();
    assert_eq!(header(&fits, "x-long").map(<[u8]>::len), Some(60_000));
    assert_eq!(excess(got(loopback(), answer(&line(70_000), b"")).await), Excess::Headers);
    let many = (0..2000).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    assert_eq!(excess(got(loopback(), answer(&many, b"")).await), Excess::Headers);
}

#[tokio::test]
async fn compressed_bodies_are_decoded() {
    let plain = b"hello hello hello".repeat(10);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&plain).unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&plain).unwrap();
    let two_members = [gzip(&plain[..50]), gzip(&plain[50..])].concat();
    for (coding, body) in [
        ("gzip", gzip(&plain)),
        ("X-GZip", gzip(&plain)),
        ("gzip", two_members),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", deflate.finish().unwrap()),
    ] {
        let coded = answer(&format!("content-encoding: {coding}\r\n"), &body);
        let answer = got(loopback(), coded).await.unwrap();
        assert_eq!(answer.body, plain, "{coding}");
        assert_eq!(header(&answer, "content-encoding"), None, "{coding}");
        assert_eq!(header(&answer, "content-length"), None, "{coding}");
    }
    for coding in ["br", "zstd", "gzip, gzip", "gzip\r\ncontent-encoding: gzip"] {
        let coded = answer(&format!("content-encoding: {coding}\r\n"), b"abc");
        let answer = got(loopback(), coded).await.unwrap();
        assert_eq!(answer.body, "abc", "{coding}");
        assert!(header(&answer, "content-encoding").is_some(), "{coding}");
    }
    let empty = got(loopback(), answer("content-encoding: gzip\r\n", b"")).await.unwrap();
    assert_eq!(empty.body, "");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncontent-encoding: gzip\r\n\r\n";
    let server = raw(head, false).await;
    let request = draft("HEAD", &server.url("/"), &[], "").plain();
    let answer = client().send("ws", request, Duration::from_secs(5)).await.unwrap();
    assert_eq!(answer.body, "");
    assert_eq!(header(&answer, "content-length"), Some(&b"99999999"[..]));
}

#[tokio::test]
async fn bombs_are_cut() {
    let gzipped = |body: &[u8]| answer("content-encoding: gzip\r\n", &gzip(body));
    // By ratio: 20 MiB of nothing in 20 KiB.
    let bomb = gzipped(&vec![0; 20 << 20]);
    assert_eq!(excess(got(loopback(), bomb).await), Excess::Decompressed);
    // A short text may be as repetitive as it likes.
    let short = gzipped(&vec![0; 60 << 10]);
    assert_eq!(got(loopback(), short).await.unwrap().body.len(), 60 << 10);
    // By size.
    let options = || Options { max_decompressed: 1000, ..loopback() };
    assert_eq!(got(options(), gzipped(&noise(1000))).await.unwrap().body, noise(1000));
    assert_eq!(excess(got(options(), gzipped(&noise(1001))).await), Excess::Decompressed);
}

#[tokio::test]
async fn broken_compression_is_an_error() {
    let whole = gzip(&noise(500));
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for body in [&whole[..300], &whole[..whole.len() - 1], b"not gzip at all", &flipped] {
        let error = got(loopback(), answer("content-encoding: gzip\r\n", body)).await.unwrap_err();
        assert_eq!(error.code(), "connection_failed");
        assert!(error.to_string().ends_with("could not be decompressed"), "{error}");
    }
}

#[tokio::test]
async fn slow_answers_time_out() {
    let limit = Duration::from_millis(200);
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"] {
        let server = raw(answer, true).await;
        let begun = Instant::now();
        let request = draft("GET", &server.url("/p"), &[], "").plain();
        let error = client().send("ws", request, limit).await.unwrap_err();
        assert!(matches!(error, EgressError::Timeout { phase: Phase::Answer, .. }), "{error}");
        assert_eq!(error.code(), "timeout");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    // The client's own limit holds whatever the caller grants.
    let server = raw("", true).await;
    let client = Client::new(Options { total_timeout: limit, ..loopback() }).unwrap();
    let error = get(&client, &server.url("/")).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Answer, .. }), "{error}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_times_out() {
    let server = raw("", true).await;
    let options = Options { connect_timeout: Duration::from_millis(200), ..loopback() };
    let url = server.url("/").replace("http://", "https://");
    let error = get(&Client::new(options).unwrap(), &url).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Connect, .. }), "{error}");
}
