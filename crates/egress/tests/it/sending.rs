//! One hop: what is sent, what comes back, and which connection it takes.

use std::time::Duration;

use keyward_egress::Filled;

use crate::server::{client, draft, get, header, http, ok, raw};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_request_and_its_answer() {
    let server = http(|seen| {
        let mut answer = ok(seen.body.clone());
        *answer.status_mut() = http::StatusCode::CREATED;
        answer.headers_mut().append("set-cookie", "a=1".parse().unwrap());
        answer.headers_mut().append("set-cookie", "b=2".parse().unwrap());
        answer
    })
    .await;
    let to_send = draft("PUT", &server.url("/x?y=1#f"), &[("x-a", "1"), ("x-a", "2")], "hello");
    let answer = client().send("ws", to_send.plain(), LIMIT).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (201, &b"hello"[..]));
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!(cookies.map(|(_, value)| &value[..]).collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    assert_eq!(format!("{answer:?}"), "Response { status: 201, headers: 4, body: 5, .. }");

    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", "/x?y=1"));
    assert_eq!(seen.all("host"), [server.address.to_string()]);
    assert_eq!(seen.all("x-a"), ["1", "2"]);
    assert_eq!(seen.all("user-agent"), ["keyward"]);
    assert_eq!(seen.all("accept-encoding"), ["gzip"]);
    assert_eq!(seen.all("content-length"), ["5"]);
    assert_eq!(seen.headers.len(), 6, "nothing else is sent: {:?}", seen.headers);
}

#[tokio::test]
async fn a_callers_own_headers_stay() {
    let server = http(|_| ok("")).await;
    let headers =
        [("User-Agent", "mine"), ("Accept-Encoding", "identity"), ("Connection", "close")];
    let to_send = draft("GET", &server.url("/"), &headers, "");
    client().send("ws", to_send.plain(), LIMIT).await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!(seen.all("user-agent"), ["mine"]);
    assert_eq!(seen.all("accept-encoding"), ["identity"]);
    assert!(seen.all("connection").is_empty());
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_the_method_has_a_body() {
    let server = http(|_| ok("")).await;
    for (method, expected) in [
        ("POST", &["0"][..]),
        ("PUT", &["0"]),
        ("PATCH", &["0"]),
        ("GET", &[]),
        ("DELETE", &[]),
        ("HEAD", &[]),
    ] {
        let to_send = draft(method, &server.url("/"), &[], "");
        client().send("ws", to_send.plain(), LIMIT).await.unwrap();
        assert_eq!(server.seen().pop().unwrap().all("content-length"), expected, "{method}");
    }
    let filled = Filled { body: Some(b"x".to_vec().into()), ..Filled::default() };
    let request = draft("POST", &server.url("/"), &[], "").fill(filled).ok().unwrap();
    client().send("ws", request, LIMIT).await.unwrap();
    assert_eq!(server.seen().pop().unwrap().all("content-length"), ["1"]);
}

#[tokio::test]
async fn redirects_are_answers() {
    let target = http(|_| ok("reached")).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url("/elsewhere");
        let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\n");
        let server = raw(format!("{head}content-length: 0\r\n\r\n"), false).await;
        let answer = get(&client(), &server.url("/")).await.unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(header(&answer, "location"), Some(location.as_bytes()));
    }
    let metadata = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n";
    let server = raw(metadata, false).await;
    assert_eq!(get(&client(), &server.url("/")).await.unwrap().status, 302);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn reason_phrase_and_trailers_come_back() {
    let server = raw(
        "HTTP/1.1 200 Fine By Me\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 7\r\n\r\n",
        false,
    )
    .await;
    let answer = get(&client(), &server.url("/")).await.unwrap();
    assert_eq!(answer.reason.as_deref(), Some(&b"Fine By Me"[..]));
    assert_eq!(answer.body, "abcde");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), b"7".to_vec())]);
    let usual = http(|_| ok("")).await;
    assert_eq!(get(&client(), &usual.url("/")).await.unwrap().reason, None);
}

#[tokio::test]
async fn connections_are_kept_per_pool() {
    let server = http(|_| ok("x")).await;
    let client = client();
    for (pool, connections) in [("a", 1), ("a", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        let request = draft("GET", &server.url("/"), &[], "").plain();
        client.send(pool, request, LIMIT).await.unwrap();
        assert_eq!(server.connections(), connections, "{pool}");
    }
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let server = raw("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", false).await;
    let client = client();
    for expected in 1..=5 {
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "x");
        assert_eq!(server.connections(), expected);
        // Lets the client see the end of the connection.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn answers_that_break_off_or_are_not_http() {
    for (answer, expected) in [
        ("", "the connection was closed before the answer was complete"),
        (
            "HTTP/1.1 200 OK\r\ncontent-le",
            "the connection was closed before the answer was complete",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            "the connection was closed before the answer was complete",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            "the connection was closed before the answer was complete",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not valid HTTP"),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "the answer is not valid HTTP"),
    ] {
        let server = raw(answer, false).await;
        let error = get(&client(), &server.url("/p?k=v")).await.unwrap_err();
        let text = format!("{} could not be reached: {expected}", server.url("/p"));
        assert_eq!((error.code(), error.to_string()), ("connection_failed", text), "{answer:?}");
    }
}
