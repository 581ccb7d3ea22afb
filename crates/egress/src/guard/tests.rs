//! The guard with a resolver that answers as it likes, and real servers on loopback.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Guard, Resolve};
use crate::connect::Fault;
use crate::{Allow, Blocked, Client, Destination, Draft, EgressError, Failure, Options, Response};

/// Answers each look-up with the next list, and with the last one for ever.
fn answering(answers: &[&[&str]]) -> (Resolve, Arc<AtomicUsize>) {
    let parse = |list: &&[&str]| -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 9)).collect()
    };
    let queue = Mutex::new(answers.iter().map(parse).collect::<VecDeque<_>>());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolve: Resolve = Box::new(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let mut queue = queue.lock().unwrap();
        let answer = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    });
    (resolve, asked)
}

fn draft(url: &str) -> Draft {
    let headers: [(&str, &str); 0] = [];
    Draft::parse("GET", url, headers, Bytes::new()).unwrap()
}

async fn looked_up(
    allow: &str,
    own: &[&str],
    url: &str,
    answer: &[&str],
) -> Result<Vec<String>, Fault> {
    let own = own.iter().map(|own| own.parse().unwrap()).collect();
    let guard = Guard::new(Allow::parse(allow).unwrap(), own, answering(&[answer]).0);
    let destination = Arc::clone(draft(url).destination());
    let plain = super::is_plain(destination.scheme());
    let found = guard.addresses(&destination, plain).await?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn every_answer_is_checked() {
    use Blocked::{Metadata, NotPublic, Own, Plain};
    // allow list, own addresses, URL, answers of the resolver, outcome
    type Case<'a> =
        (&'a str, &'a [&'a str], &'a str, &'a [&'a str], Result<&'a [&'a str], Blocked>);
    let cases: &[Case] = &[
        ("", &[], "https://a.example/", &["8.8.8.8"], Ok(&["8.8.8.8:443"])),
        ("", &[], "https://a.example:8443/", &["8.8.8.8"], Ok(&["8.8.8.8:8443"])),
        (
            "",
            &[],
            "https://a.example/",
            &["8.8.8.8", "2606:4700::1"],
            Ok(&["8.8.8.8:443", "[2606:4700::1]:443"]),
        ),
        ("", &[], "https://a.example/", &["8.8.8.8", "10.0.0.1"], Err(NotPublic)),
        ("", &[], "https://a.example/", &["10.0.0.1", "8.8.8.8"], Err(NotPublic)),
        ("", &[], "https://a.example/", &["8.8.8.8", "::1"], Err(NotPublic)),
        ("", &[], "https://a.example/", &["169.254.169.254"], Err(Metadata)),
        ("", &[], "https://a.example/", &["::ffff:10.0.0.1"], Err(NotPublic)),
        ("", &[], "https://localhost/", &["127.0.0.1"], Err(NotPublic)),
        ("", &[], "https://x.localhost/", &["127.0.0.1"], Err(NotPublic)),
        ("", &[], "https://localhost./", &["127.0.0.1"], Err(NotPublic)),
        // by CIDR
        ("10.0.0.0/8", &[], "https://a.example/", &["10.0.0.1"], Ok(&["10.0.0.1:443"])),
        ("10.0.0.0/8", &[], "https://a.example/", &["10.0.0.1", "192.168.0.1"], Err(NotPublic)),
        ("10.0.0.0/8", &[], "http://a.example/", &["10.0.0.1"], Ok(&["10.0.0.1:80"])),
        ("10.0.0.0/8", &[], "http://a.example/", &["8.8.8.8"], Err(Plain)),
        ("10.0.0.0/8", &[], "http://a.example/", &["10.0.0.1", "8.8.8.8"], Err(Plain)),
        ("0.0.0.0/0", &[], "https://a.example/", &["169.254.169.254"], Err(Metadata)),
        ("169.254.0.0/16", &[], "http://a.example/", &["169.254.169.254"], Err(Metadata)),
        (
            "169.254.169.254",
            &[],
            "http://a.example/",
            &["169.254.169.254"],
            Ok(&["169.254.169.254:80"]),
        ),
        // by name
        ("a.example", &[], "https://a.example/", &["10.0.0.1"], Ok(&["10.0.0.1:443"])),
        ("a.example", &[], "http://a.example/", &["8.8.8.8"], Ok(&["8.8.8.8:80"])),
        ("a.example:80", &[], "http://a.example:81/", &["10.0.0.1"], Err(Plain)),
        ("a.example:444", &[], "https://a.example/", &["10.0.0.1"], Err(NotPublic)),
        ("a.example", &[], "https://b.example/", &["10.0.0.1"], Err(NotPublic)),
        ("a.example", &[], "https://a.example/", &["169.254.169.254"], Err(Metadata)),
        ("a.example", &[], "https://a.example/", &["fd00:ec2::254"], Err(Metadata)),
        ("", &[], "http://a.example/", &["8.8.8.8"], Err(Plain)),
        // metadata by name
        ("", &[], "https://metadata.google.internal/", &["8.8.8.8"], Err(Metadata)),
        ("169.254.169.254", &[], "http://metadata/", &["169.254.169.254"], Err(Metadata)),
        (
            "metadata.google.internal",
            &[],
            "http://metadata.google.internal./",
            &["169.254.169.254"],
            Ok(&["169.254.169.254:80"]),
        ),
        ("metadata:80", &[], "http://metadata:81/", &["169.254.169.254"], Err(Metadata)),
        // the server itself and its database, whatever is allowed
        ("127.0.0.1", &["127.0.0.1:7411"], "http://a.example:7411/", &["127.0.0.1"], Err(Own)),
        (
            "a.example",
            &["127.0.0.1:7411"],
            "http://a.example:7411/",
            &["::ffff:127.0.0.1"],
            Err(Own),
        ),
        ("a.example", &["[::1]:7411"], "http://a.example:7411/", &["::1"], Err(Own)),
        (
            "a.example",
            &["127.0.0.1:7411"],
            "http://a.example:7412/",
            &["127.0.0.1"],
            Ok(&["127.0.0.1:7412"]),
        ),
        ("a.example", &["0.0.0.0:7411"], "http://a.example:7411/", &["127.0.0.9"], Err(Own)),
        ("a.example", &["[::]:7411"], "http://a.example:7411/", &["127.0.0.1"], Err(Own)),
        ("a.example", &["[::]:7411"], "http://a.example:7411/", &["::1"], Err(Own)),
        ("a.example", &["127.0.0.1:7411"], "http://a.example:7411/", &["0.0.0.0"], Err(Own)),
        ("0.0.0.0/0", &["127.0.0.1:7411"], "http://a.example:7411/", &["0.0.0.0"], Err(Own)),
        ("", &["0.0.0.0:443"], "https://a.example/", &["8.8.8.8"], Ok(&["8.8.8.8:443"])),
        ("", &["198.41.0.4:443"], "https://a.example/", &["198.41.0.4"], Err(Own)),
    ];
    for (allow, own, url, answer, expected) in cases {
        let found = looked_up(allow, own, url, answer).await;
        let expected = expected
            .map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(Fault::Blocked);
        assert_eq!(found, expected, "{url} -> {answer:?} with `{allow}`");
    }
}

#[tokio::test]
async fn names_without_address_fail() {
    let found = looked_up("", &[], "https://a.example/", &[]).await;
    assert_eq!(found, Err(Fault::Failed(Failure::Name)));
    let failing: Resolve =
        Box::new(|_, _| Box::pin(async { Err(std::io::ErrorKind::Other.into()) }));
    let client = Client::with_resolver(Options::default(), failing).unwrap();
    let error = send(&client, "w", "https://a.example/p").await.unwrap_err();
    assert_eq!(error.code(), "connection_failed");
    let expected = "https://a.example/p could not be reached: the name does not resolve";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn refused_before_lookup_asks_no_resolver() {
    let (resolve, asked) = answering(&[&["8.8.8.8"]]);
    let client = Client::with_resolver(Options::default(), resolve).unwrap();
    for url in ["https://127.0.0.1/", "https://metadata.google.internal/", "http://a.example/"] {
        let error = send(&client, "w", url).await.unwrap_err();
        assert_eq!(error.code(), "destination_blocked", "{url}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// Answers every connection with 200 and its own address, and counts them.
async fn server(address: &str, port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((address, port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let body = address.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let mut request = [0_u8; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, connections)
}

async fn send(client: &Client, pool: &str, url: &str) -> Result<Response, EgressError> {
    client.send(pool, draft(url).plain(), Duration::from_secs(5)).await
}

#[tokio::test]
async fn the_checked_address_is_the_one_dialled() {
    let (port, good) = server("127.0.0.2", 0).await;
    let (_, bad) = server("127.0.0.1", port).await;
    let (resolve, asked) =
        answering(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"], &["127.0.0.1"]]);
    let allow = Allow::parse("127.0.0.2/32").unwrap();
    let client = Client::with_resolver(Options { allow, ..Options::default() }, resolve).unwrap();
    let url = format!("http://rebind.example:{port}/");

    let answer = send(&client, "w1", &url).await.unwrap();
    assert_eq!(answer.body, "127.0.0.2");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "looked up once: check and dial use one answer");
    for pool in ["w2", "w3", "w4"] {
        let error = send(&client, pool, &url).await.unwrap_err();
        let reason = Blocked::NotPublic;
        let destination = Arc::clone(draft(&url).destination());
        assert_eq!(error, EgressError::Blocked { destination, reason });
        assert!(!error.to_string().contains("127.0.0"), "{error}");
    }
    assert_eq!((good.load(Ordering::SeqCst), bad.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn a_dead_address_does_not_hide_a_live_one() {
    let (port, live) = server("127.0.0.3", 0).await;
    let (resolve, _) = answering(&[&["127.0.0.4", "127.0.0.3"]]);
    let allow = Allow::parse("two.example").unwrap();
    let client = Client::with_resolver(Options { allow, ..Options::default() }, resolve).unwrap();
    let answer = send(&client, "w", &format!("http://two.example:{port}/")).await.unwrap();
    assert_eq!(answer.body, "127.0.0.3");
    assert_eq!(live.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn bare_connections_pass_the_same_rules() {
    let (port, _) = server("127.0.0.5", 0).await;
    let dial = async |allow: &str, encrypted: bool| {
        let (resolve, _) = answering(&[&["127.0.0.5"]]);
        let allow = Allow::parse(allow).unwrap();
        let client = Client::with_resolver(Options { allow, ..Options::default() }, resolve);
        client.unwrap().dial("db.example", port, encrypted).await.map(|_| ())
    };
    assert_eq!(dial("db.example", false).await, Ok(()));
    assert_eq!(dial("127.0.0.0/8", true).await, Ok(()));
    let refused = dial("", true).await.unwrap_err();
    assert_eq!(refused.code(), "destination_blocked");
    assert!(refused.to_string().starts_with(&format!("tcp://db.example:{port} ")), "{refused}");
    assert_eq!(dial("", false).await.unwrap_err().code(), "destination_blocked");
    for host in ["", "a b", "user@host", "[::1", "a..", "::1%eth0"] {
        assert!(Destination::tcp(host, 5432).is_err(), "{host}");
    }
    assert!(Destination::tcp("::1", 5432).is_ok());
    assert!(Destination::tcp("a", 0).is_err());
}
