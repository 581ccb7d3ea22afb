//! Collectors with TLS: names are verified, and a delivery counts once the collector has closed.

use std::sync::Arc;
use std::time::Duration;

use keyward_egress::{Failure, Sink, SinkError, SinkKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Authority, authority};

/// A collector for one delivery; gives its port and what it was sent.
async fn collector(
    authority: &Authority,
    name: &str,
    answer: Option<&'static [u8]>,
) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let acceptor = TlsAcceptor::from(Arc::new(authority.server(&[name], &[], false)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return Vec::new() };
        let mut got = Vec::new();
        match answer {
            None => drop(stream.read_to_end(&mut got).await),
            Some(answer) => {
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).await.unwrap();
                got.extend_from_slice(buffer.get(..length).unwrap());
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
            }
        }
        got
    });
    (port, got)
}

fn messages() -> Vec<String> {
    vec!["<110>1 one".into(), "<110>1 second".into()]
}

#[tokio::test]
async fn syslog_goes_by_tls_to_whom_it_is_for() {
    let ours = authority("ours");
    let (port, got) = collector(&ours, "localhost", None).await;
    let url = format!("syslog+tls://localhost:{port}");
    let sink = Sink::new(&url, None, Some(&ours.pem)).unwrap();
    assert_eq!((sink.kind(), sink.kind().confirms()), (SinkKind::SyslogTls, true));
    sink.deliver(&messages()).await.unwrap();
    assert_eq!(got.await.unwrap(), b"10 <110>1 one13 <110>1 second");
}

#[tokio::test]
async fn nothing_is_sent_where_the_certificate_is_not_right() {
    let (ours, other) = (authority("ours"), authority("other"));
    for (name, roots, expected) in [
        ("localhost", &other, Failure::UnknownIssuer),
        ("elsewhere.example", &ours, Failure::WrongName),
    ] {
        for scheme in ["syslog+tls", "https"] {
            let (port, got) = collector(&ours, name, None).await;
            let url = format!("{scheme}://localhost:{port}");
            let sink = Sink::new(&url, None, Some(&roots.pem)).unwrap();
            let failed = sink.deliver(&messages()).await;
            assert_eq!(failed, Err(SinkError::Failed(expected)), "{scheme} {name}");
            assert_eq!(got.await.unwrap(), b"");
        }
    }
}

#[tokio::test]
async fn https_counts_by_its_status() {
    let ours = authority("ours");
    for (answer, expected) in [
        (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], Ok(())),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(())),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Err(SinkError::Status(500))),
        (
            b"HTTP/1.1 301 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            Err(SinkError::Status(301)),
        ),
        (b"nonsense\r\n\r\n", Err(SinkError::Failed(Failure::Incomplete))),
        (b"", Err(SinkError::Failed(Failure::Incomplete))),
    ] {
        let (port, got) = collector(&ours, "localhost", Some(answer)).await;
        let url = format!("https://localhost:{port}/in");
        let sink = Sink::new(&url, Some("token"), Some(&ours.pem)).unwrap();
        assert_eq!(sink.deliver(&messages()).await, expected);
        let got = String::from_utf8(got.await.unwrap()).unwrap();
        assert!(got.starts_with("POST /in HTTP/1.1\r\n"), "{got}");
        assert!(got.contains("authorization: Bearer token\r\n"), "{got}");
    }
}

#[tokio::test]
async fn what_was_not_read_to_its_end_was_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let sink = Sink::new(&url, None, None).unwrap();
    let accepting = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Unread bytes: the system answers with a reset.
        drop(stream);
    });
    let taken = sink.deliver(&messages()).await;
    assert!(matches!(taken, Err(SinkError::Failed(_))), "{taken:?}");
    accepting.await.unwrap();
    let gone = sink.deliver(&messages()).await;
    assert_eq!(gone, Err(SinkError::Failed(Failure::Refused)));
}
