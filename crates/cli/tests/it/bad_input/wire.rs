//! HTTP itself broken: the connection ends with an error, the server goes on.

use crate::server::{Backend, Server};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Sends bytes as they are, closes the sending half, and reads to the end.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.url.strip_prefix("http://").expect("a plain URL");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may refuse and close before all is sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn broken_http_ends_its_connection_and_nothing_else() {
    let server = Server::start("bad-input-wire", Backend::Sqlite);
    let canary = server.evidence.canary("planted");
    let long = canary.repeat(64 * 1024 / canary.len() + 1);
    let many: String = (0..200).map(|n| format!("X-{n}: {canary}\r\n")).collect();
    let chunked = "POST /api/v1/setup HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases: &[(&str, String, &[&str])] = &[
        ("no request", String::new(), &[""]),
        ("a line that is no request", format!("{canary}\r\n\r\n"), &["400"]),
        ("blank lines", "\r\n\r\n\r\n".into(), &["", "400"]),
        ("another protocol", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".into(), &["", "400"]),
        (
            "an unknown version",
            format!("GET /{canary} HTTP/3.7\r\nHost: x\r\n\r\n"),
            &["400", "505"],
        ),
        (
            "a header without a colon",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{canary}\r\n\r\n"),
            &["400"],
        ),
        (
            "a blank in a header's name",
            format!("GET / HTTP/1.1\r\nHost: x\r\nA {canary}: 1\r\n\r\n"),
            &["400"],
        ),
        (
            "a NUL in a header",
            format!("GET / HTTP/1.1\r\nHost: x\r\nA: {canary}\0\r\n\r\n"),
            &["400"],
        ),
        (
            "a header over 64 KiB",
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"),
            &["200", "431"],
        ),
        (
            "headers without end",
            format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", long.repeat(16)),
            &["431"],
        ),
        ("200 headers", format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"), &["431"]),
        (
            "an address over 64 KiB",
            format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
            &["404", "414"],
        ),
        (
            "a negative length",
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{canary}"),
            &["400"],
        ),
        (
            "two lengths",
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{canary}"
            ),
            &["400"],
        ),
        (
            "a length beyond all numbers",
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", "9".repeat(40)),
            &["400"],
        ),
        ("a chunk that is none", format!("{chunked}{canary}\r\n"), &["400"]),
        ("a chunk cut off", format!("{chunked}ffff\r\n{canary}"), &["", "400"]),
        (
            "a chunk without measure",
            format!("{chunked}fffffffffffffffff\r\n{canary}"),
            &["", "400"],
        ),
        (
            "a body cut off",
            format!("POST /api/v1/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{canary}"),
            &["", "400"],
        ),
    ];
    for (what, request, expected) in cases {
        let answer = raw(&server, request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(expected.contains(&status), "{what}: {answer}");
        assert!(!answer.contains(&canary), "{what}: {answer}");
        let alive = server.send("GET", "/healthz", &[], &[]);
        assert_eq!(alive.status, 200, "after {what}: {}", server.log());
    }
    server.get("/workflows").expect(200);
}

#[test]
fn a_client_that_says_nothing_keeps_nobody_waiting() {
    let server = Server::start("bad-input-silent", Backend::Sqlite);
    let address = server.url.strip_prefix("http://").expect("a plain URL");
    let mut silent: Vec<_> =
        (0..200).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    for stream in &mut silent {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHo").expect("half a head");
    }
    server.get("/workflows").expect(200);
}
