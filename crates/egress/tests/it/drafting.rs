//! What a draft takes, refuses, leaves out, and shows.

use bytes::Bytes;
use keyward_egress::{Ambiguous, Draft, EgressError, Invalid, Scheme};

use crate::server::draft;

fn refused(method: &str, url: &str, headers: &[(&str, &[u8])]) -> Invalid {
    let headers = headers.iter().map(|(name, value)| (name, value));
    match Draft::parse(method, url, headers, Bytes::new()) {
        Err(EgressError::Invalid(invalid)) => invalid,
        other => panic!("{method} {url}: {other:?}"),
    }
}

#[test]
fn urls_in_canonical_form() {
    for (url, scheme, host, port, shown, sent) in [
        ("https://a.example", Scheme::Https, "a.example", 443, "https://a.example/", "/"),
        ("HTTPS://A.Example.:443/x", Scheme::Https, "a.example", 443, "https://a.example/x", "/x"),
        (
            "http://a.example:8080/x?y=1&z#f",
            Scheme::Http,
            "a.example",
            8080,
            "http://a.example:8080/x",
            "/x?y=1&z",
        ),
        (
            "https://bücher.example/ä b",
            Scheme::Https,
            "xn--bcher-kva.example",
            443,
            "https://xn--bcher-kva.example/%C3%A4%20b",
            "/%C3%A4%20b",
        ),
        (
            "https://[2001:DB8::1]:444/",
            Scheme::Https,
            "[2001:db8::1]",
            444,
            "https://[2001:db8::1]:444/",
            "/",
        ),
        ("  https://a.example/ \n", Scheme::Https, "a.example", 443, "https://a.example/", "/"),
        (
            "https://a.example/a/./b/../c",
            Scheme::Https,
            "a.example",
            443,
            "https://a.example/a/c",
            "/a/c",
        ),
        (
            "https://a.example?q=\\@",
            Scheme::Https,
            "a.example",
            443,
            "https://a.example/",
            "/?q=\\@",
        ),
        (
            "https://a.example/p@q:1",
            Scheme::Https,
            "a.example",
            443,
            "https://a.example/p@q:1",
            "/p@q:1",
        ),
        (
            "https://a.example/{a}|^`\"?{b}|^`'",
            Scheme::Https,
            "a.example",
            443,
            "https://a.example/%7Ba%7D|^%60%22",
            "/%7Ba%7D|^%60%22?{b}|^`%27",
        ),
    ] {
        let draft = draft("GET", url, &[], "");
        let to = draft.destination();
        assert_eq!((to.scheme(), to.host(), to.port()), (scheme, host, port), "{url}");
        assert_eq!(to.to_string(), shown, "{url}");
        assert_eq!(draft.path_and_query(), sent, "{url}");
        assert_eq!(to.scheme().as_str(), shown.split(':').next().unwrap(), "{url}");
    }
}

#[test]
fn urls_that_are_refused() {
    for (url, expected) in [
        ("", Invalid::Url),
        ("a.example/x", Invalid::Url),
        ("/x", Invalid::Url),
        ("ftp://a.example/", Invalid::Scheme),
        ("javascript:alert(1)", Invalid::Scheme),
        ("https:a.example", Invalid::Url),
        ("https:/a.example", Invalid::Url),
        ("https:///a.example", Invalid::Url),
        ("https://", Invalid::Url),
        ("https://?q", Invalid::Url),
        ("https://./", Invalid::Url),
        ("https://a../", Invalid::Url),
        ("https://a b/", Invalid::Url),
        ("https://a.example:0/", Invalid::Url),
        ("https://a.example:65536/", Invalid::Url),
        ("https://a.example/\tx", Invalid::Url),
        ("https://a.exa\nmple/", Invalid::Url),
        ("https://a.example/\0x", Invalid::Url),
        ("https://[fe80::1%25eth0]/", Invalid::Url),
        ("https://[fe80::1%eth0]/", Invalid::Url),
        ("https://user@a.example/", Invalid::Userinfo),
        ("https://user:pass@a.example/", Invalid::Userinfo),
        ("https://@a.example/", Invalid::Userinfo),
        ("https://b.example@a.example/", Invalid::Userinfo),
        ("https://a.example\\@b.example/", Invalid::Backslash),
        ("https:\\\\a.example/", Invalid::Backslash),
        ("https://a.example/x\\y", Invalid::Backslash),
    ] {
        assert_eq!(refused("GET", url, &[]), expected, "{url:?}");
    }
    let long = format!("https://a.example/{}", "x".repeat(70_000));
    assert_eq!(refused("GET", &long, &[]), Invalid::Target);
}

#[test]
fn paths_for_policies() {
    for (path, expected) in [
        ("/", Ok("/")),
        ("/a/./b", Ok("/a/b")),
        ("/a.b/c...d/x", Err(Ambiguous::Dots)),
        ("/a%20b", Ok("/a%20b")),
        ("/100%25", Ok("/100%25")),
        ("/a?x=%2f..", Ok("/a")),
        ("/a/../b", Err(Ambiguous::Dots)),
        ("/a/%2e%2E/b", Err(Ambiguous::Dots)),
        ("/a/.%2e/b", Err(Ambiguous::Dots)),
        ("/a/%252e%252e/b", Err(Ambiguous::Dots)),
        ("/a/..;/b", Err(Ambiguous::Dots)),
        ("/a%2fb", Err(Ambiguous::Slash)),
        ("/a%2Fb", Err(Ambiguous::Slash)),
        ("/a%5cb", Err(Ambiguous::Slash)),
        ("/a%252fb", Err(Ambiguous::Slash)),
        ("/a%25252fb", Err(Ambiguous::Slash)),
    ] {
        let draft = draft("GET", &format!("https://a.example{path}"), &[], "");
        assert_eq!(draft.destination().match_path(), expected, "{path}");
    }
}

#[test]
fn methods() {
    for (written, expected) in [
        ("get", "GET"),
        ("Post", "POST"),
        ("pAtCh", "PATCH"),
        ("PROPFIND", "PROPFIND"),
        ("purge", "purge"),
    ] {
        assert_eq!(draft(written, "https://a.example", &[], "").method().as_str(), expected);
    }
    for method in ["CONNECT", "connect", "TRACE", "Trace", "TRACK", "", "GE T", "GET\r\n", "é"] {
        assert_eq!(refused(method, "https://a.example", &[]), Invalid::Method, "{method:?}");
    }
}

#[test]
fn headers_kept_dropped_and_refused() {
    let draft = draft(
        "POST",
        "https://a.example:8443/",
        &[
            ("X-B", "  two \t"),
            ("Host", "A.example:8443"),
            ("Connection", "keep-alive, X-B"),
            ("content-length", "99"),
            ("Transfer-Encoding", "chunked"),
            ("TE", "trailers"),
            ("Proxy-Authorization", "Basic x"),
            ("x-a", "1"),
            ("x-b", "three"),
        ],
        "body",
    );
    let listed = |list: &[(http::HeaderName, http::HeaderValue)]| {
        let line = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            format!("{name}={}", value.to_str().unwrap())
        };
        list.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(listed(draft.headers()), ["x-b=two", "x-a=1", "x-b=three"]);
    let dropped = listed(draft.dropped());
    assert_eq!(dropped.len(), 6);
    assert!(dropped.contains(&"proxy-authorization=Basic x".to_owned()), "{dropped:?}");

    let long = "x".repeat(8);
    let cases: &[(&str, &[u8], Invalid)] = &[
        ("Host", b"b.example", Invalid::Host),
        ("host", b"a.example:444", Invalid::Host),
        ("Upgrade", b"websocket", Invalid::ConnectionHeader),
        (":authority", b"b.example", Invalid::HeaderName),
        ("x y", b"1", Invalid::HeaderName),
        ("", b"1", Invalid::HeaderName),
        ("x\r\ny", b"1", Invalid::HeaderName),
        ("x", b"1\r\ny: 2", Invalid::HeaderValue),
        ("x", b"1\n", Invalid::HeaderValue),
        ("x", b"1\0", Invalid::HeaderValue),
        ("x", b"\x7f", Invalid::HeaderValue),
    ];
    for (name, value, expected) in cases {
        assert_eq!(refused("GET", "https://a.example", &[(name, value)]), *expected, "{name}");
    }
    let many: Vec<_> = (0..1001).map(|_| ("x", long.as_bytes())).collect();
    assert_eq!(refused("GET", "https://a.example", &many), Invalid::Headers);
}

#[test]
fn debug_text_shows_no_header_query_or_body() {
    let draft = draft("POST", "https://a.example/p?q=secret", &[("x", "secret")], "secret");
    assert_eq!(format!("{draft:?}"), "Draft(POST https://a.example/p)");
}

#[test]
fn origins_compare_by_scheme_host_and_port() {
    let to = |url: &str| draft("GET", url, &[], "").destination().clone();
    let first = to("https://a.example/x");
    for (url, expected) in [
        ("https://A.example.:443/other", true),
        ("http://a.example:443/", false),
        ("https://a.example:444/", false),
        ("https://b.example/", false),
    ] {
        assert_eq!(first.same_origin(&to(url)), expected, "{url}");
    }
}
