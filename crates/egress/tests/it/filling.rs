//! Secrets put in place: what arrives, and what is refused before anything is sent.

use std::time::Duration;

use http::HeaderName;
use keyward_egress::{EgressError, Filled, Invalid};
use zeroize::Zeroizing;

use crate::server::{client, draft, http, ok};

fn header(name: &'static str, value: &[u8]) -> (HeaderName, Zeroizing<Vec<u8>>) {
    (HeaderName::from_static(name), Zeroizing::new(value.to_vec()))
}

#[tokio::test]
async fn filled_parts_arrive_and_the_rest_stays() {
    let server = http(|_| ok("")).await;
    let draft = draft(
        "POST",
        &server.url("/a/kws1_x/c?k=kws1_x"),
        &[("authorization", "Bearer kws1_x"), ("x-two", "1"), ("x-two", "2"), ("x-kept", "3")],
        "kws1_x",
    );
    let filled = Filled {
        path_and_query: Some(Zeroizing::new("/a/s3cret%20/c?k=%2Fs3&new=1".to_owned())),
        headers: vec![
            header("authorization", b"Bearer s3cret"),
            header("x-two", b"one"),
            header("x-added", b"caf\xc3\xa9"),
        ],
        body: Some(Zeroizing::new(b"{\"k\":\"s3cret\"}".to_vec())),
    };
    let request = draft.fill(filled).ok().unwrap();
    client().send("ws", request, Duration::from_secs(5)).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.target, "/a/s3cret%20/c?k=%2Fs3&new=1");
    assert_eq!(seen.all("authorization"), ["Bearer s3cret"]);
    assert_eq!(seen.all("x-two"), ["one"]);
    assert_eq!(seen.all("x-added"), ["café"]);
    assert_eq!(seen.all("x-kept"), ["3"]);
    assert_eq!(seen.all("content-length"), ["14"]);
    assert_eq!(seen.body, b"{\"k\":\"s3cret\"}");
}

#[test]
fn values_that_would_break_a_header_are_refused() {
    let draft = draft("GET", "https://a.example/", &[], "");
    for value in ["a\r\nx: y", "a\n", "\ra", "a\0b", "a\x1bb", "\x7f"] {
        let filled = Filled { headers: vec![header("x", value.as_bytes())], ..Filled::default() };
        let error = draft.fill(filled).err().unwrap();
        assert_eq!(error, EgressError::Invalid(Invalid::HeaderValue), "{value:?}");
        assert_eq!(error.code(), "validation_failed");
        assert!(!error.to_string().contains(value), "{value:?}");
    }
    for name in ["host", "content-length", "transfer-encoding", "connection", "te", "upgrade"] {
        let filled = Filled { headers: vec![header(name, b"1")], ..Filled::default() };
        let error = draft.fill(filled).err().unwrap();
        assert_eq!(error, EgressError::Invalid(Invalid::ConnectionHeader), "{name}");
    }
}

#[test]
fn values_never_change_where_a_request_goes() {
    let draft = draft("GET", "https://a.example/a/kws1_x/c%2Fd?q", &[], "");
    for (path_and_query, expected) in [
        ("/a/v/c%2Fd?q", None),
        ("/a/v%25/c%2Fd", None),
        ("/a/v/c%2Fd?q=/../%2f", None),
        ("/a/v...w/c%2Fd", None),
        ("/a/v/w/c%2Fd?q", Some(Invalid::Path)),
        ("/a?v/c%2Fd", Some(Invalid::Path)),
        ("/a/../c%2Fd", Some(Invalid::Path)),
        ("/a/./c%2Fd", Some(Invalid::Path)),
        ("/a/%2E%2e/c%2Fd", Some(Invalid::Path)),
        ("/a/v%2Fw/c%2Fd", Some(Invalid::Path)),
        ("/a/v%5Cw/c%2Fd", Some(Invalid::Path)),
        ("/a/v\\w/c%2Fd", Some(Invalid::Path)),
        ("//a/c", Some(Invalid::Path)),
        ("/a//c%2Fd", Some(Invalid::Path)),
        ("", Some(Invalid::Target)),
        ("a/v/c%2Fd", Some(Invalid::Target)),
        ("https://b.example/", Some(Invalid::Target)),
        ("@b.example/", Some(Invalid::Target)),
        ("/a/v#/c%2Fd", Some(Invalid::Target)),
        ("/a/v w/c%2Fd", Some(Invalid::Target)),
        ("/a/v/c%2Fd?q\r\n", Some(Invalid::Target)),
        ("/a/é/c%2Fd", Some(Invalid::Target)),
    ] {
        let path = Some(Zeroizing::new(path_and_query.to_owned()));
        let outcome = draft.fill(Filled { path_and_query: path, ..Filled::default() });
        let expected = expected.map(EgressError::Invalid);
        assert_eq!(outcome.err(), expected, "{path_and_query:?}");
    }
}
