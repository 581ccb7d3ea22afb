//! What the allow list takes, what it opens, and what it refuses to read.

use super::Allow;
use crate::address;

enum Opens {
    Yes,
    Exactly,
    No,
}

#[test]
fn lists_and_what_they_open() {
    let check = |list: &str, host: &str, port: u16, expected: Opens| {
        let allow = Allow::parse(list).unwrap();
        let (open, exact) = match host.parse() {
            Ok(ip) => {
                let ip = address::canonical(ip);
                (allow.covers(ip, port), allow.covers_exactly(ip, port))
            }
            Err(_) => (allow.names(host, port), allow.names(host, port)),
        };
        let expected = match expected {
            Opens::Yes => (true, false),
            Opens::Exactly => (true, true),
            Opens::No => (false, false),
        };
        assert_eq!((open, exact), expected, "{list} for {host}:{port}");
    };
    use Opens::{Exactly, No, Yes};
    check("", "10.0.0.1", 80, No);
    check(" , ,", "localhost", 80, No);
    check("10.0.0.0/8", "10.0.0.0", 1, Yes);
    check("10.0.0.0/8", "10.255.255.255", 65535, Yes);
    check("10.0.0.0/8", "11.0.0.0", 80, No);
    check("10.0.0.0/8", "::ffff:10.1.2.3", 80, Yes);
    check("10.0.0.0/8", "64:ff9b::10.1.2.3", 80, No);
    check("::ffff:10.0.0.0/104", "10.9.9.9", 80, Yes);
    check("0.0.0.0/0", "169.254.169.254", 80, Yes);
    check("0.0.0.0/0", "::1", 80, No);
    check("::/0", "10.0.0.1", 80, No);
    check("::/0", "fd00::1", 80, Yes);
    check("169.254.169.254", "169.254.169.254", 80, Exactly);
    check("169.254.169.254/32", "169.254.169.254", 80, Exactly);
    check("169.254.169.254:80", "169.254.169.254", 80, Exactly);
    check("169.254.169.254:80", "169.254.169.254", 8080, No);
    check("127.0.0.1", "127.0.0.1", 9, Exactly);
    check("127.0.0.1", "127.0.0.2", 9, No);
    check("127.1", "127.0.0.1", 9, Exactly);
    check("127.0.0.1.", "127.0.0.1", 9, Exactly);
    check("::1", "::1", 9, Exactly);
    check("[::1]", "::1", 9, Exactly);
    check("[::1]:443", "::1", 443, Exactly);
    check("[::1]:443", "::1", 444, No);
    check("::ffff:127.0.0.1", "127.0.0.1", 80, Exactly);
    check("fd00::/8", "fdff::1", 80, Yes);
    check("localhost", "localhost", 7, Exactly);
    check("LOCALHOST.", "localhost", 7, Exactly);
    check("localhost:8080", "localhost", 8080, Exactly);
    check("localhost:8080", "localhost", 8081, No);
    check("localhost", "a.localhost", 80, No);
    check("localhost", "127.0.0.1", 80, No);
    check("db.internal", "other.internal", 80, No);
    check("a, b ,c:1,10.0.0.0/8", "b", 80, Exactly);
    check("bücher.example", "xn--bcher-kva.example", 443, Exactly);
    check("a_b.internal", "a_b.internal", 443, Exactly);
}

#[test]
fn entries_that_cannot_be_read() {
    for (list, reason) in [
        ("https://a", "is a URL"),
        ("http://10.0.0.1:80", "is a URL"),
        ("*.internal", "wildcard"),
        ("a,*", "wildcard"),
        ("fe80::1%eth0", "zone id"),
        ("10.0.0.1/8", "bits beyond"),
        ("fd00::1/64", "bits beyond"),
        ("10.0.0.0/33", "longer than"),
        ("fd00::/129", "longer than"),
        ("10.0.0.0/", "neither"),
        ("10.0.0.0/+8", "neither"),
        ("10.0.0.0/8:80", "neither"),
        ("10.0/8", "neither"),
        ("host/8", "neither"),
        ("host:", "port"),
        ("host:0", "port"),
        ("host:65536", "port"),
        ("host:+1", "port"),
        ("host:http", "port"),
        ("[::1", "neither"),
        ("[::1]x", "neither"),
        ("user@host", "neither"),
        ("a b", "neither"),
        (".", "neither"),
        ("a..", "neither"),
        ("1.2.3.4.5", "neither"),
        ("256.0.0.1", "neither"),
    ] {
        let error = Allow::parse(list).unwrap_err().to_string();
        assert!(error.contains(reason), "{list}: {error}");
        assert!(error.contains(list.rsplit(',').next().unwrap()), "{list}: {error}");
    }
}
