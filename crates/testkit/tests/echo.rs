//! The echo server keeps requests as they were and answers as it was told.
#![expect(clippy::expect_used, reason = "a test's helper fails the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use keyward_testkit::echo::{Echo, Reply};

/// Sends the text on a connection of its own and gives back all that comes.
fn exchange(echo: &Echo, request: &str) -> String {
    let mut stream = TcpStream::connect(echo.address()).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn requests_are_kept_as_they_were() {
    let echo = Echo::start();
    let answer = exchange(
        &echo,
        "POST /a?b=%20 HTTP/1.1\r\nHost: x\r\nX-Odd-CASE:  v \r\nx-odd-case: w\r\nContent-Length: 5\r\n\r\nhe\0lo\
         PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    let received = echo.wait_for(2);
    assert_eq!((received[0].method.as_str(), received[0].target.as_str()), ("POST", "/a?b=%20"));
    assert_eq!(received[0].headers[1], ("X-Odd-CASE".to_owned(), "v".to_owned()));
    assert_eq!(received[0].header("x-ODD-case"), Some("v"));
    assert_eq!(received[0].body, b"he\0lo");
    assert_eq!((received[1].path(), received[1].text().as_str()), ("/c", "abcde"));
    assert!(answer.contains(r#""target":"/a?b=%20""#), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "one connection serves both");
}

#[test]
fn queued_answers_come_first_then_routes_then_the_echo() {
    let echo = Echo::start();
    let get = |path: &str| exchange(&echo, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
    echo.route("/r", Reply::text("routed")).queue(Reply::redirect(307, "/there"));
    let redirect = get("/r");
    assert!(redirect.starts_with("HTTP/1.1 307 ") && redirect.contains("Location: /there\r\n"));
    assert!(get("/r?x").ends_with("\r\n\r\nrouted"));
    assert!(get("/other").contains(r#""method":"GET""#));
}

#[test]
fn slow_cut_and_packed_answers() {
    let echo = Echo::start();
    let pause = Duration::from_millis(30);
    echo.queue(Reply::text("abcd").after(pause).dripping(2, pause));
    echo.queue(Reply::text("abcd").cut_after(1));
    echo.queue(Reply::gzip("abcd").with_status(201));
    let start = Instant::now();
    assert!(exchange(&echo, "GET / HTTP/1.1\r\n\r\n").ends_with("abcd"));
    assert!(start.elapsed() >= 3 * pause);
    let cut = exchange(&echo, "GET / HTTP/1.1\r\n\r\n");
    assert!(cut.contains("Content-Length: 4\r\n") && cut.ends_with("\r\n\r\na"));
    let packed = exchange(&echo, "GET / HTTP/1.1\r\n\r\n");
    assert!(packed.starts_with("HTTP/1.1 201 ") && packed.contains("Content-Encoding: gzip"));
    assert!(!packed.contains("abcd"));
}

#[test]
fn its_end_closes_its_connections() {
    let echo = Echo::start();
    let mut stream = TcpStream::connect(echo.address()).expect("connected");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    echo.wait_for(1);
    let address = echo.address();
    drop(echo);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("closed, not hanging");
    let closed = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        TcpStream::connect(address).is_err()
    });
    assert!(closed, "nothing listens any more");
}
