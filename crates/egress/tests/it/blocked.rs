//! What the guard refuses before any look-up, in every way of writing it.

use keyward_egress::{Allow, Blocked, Client, EgressError, Invalid, Options};
use url::Url;

use crate::server::{client, draft, get};

#[test]
fn literals_and_names_in_every_form() {
    use Blocked::{Metadata, NotPublic, Plain};
    let client = Client::new(Options::default()).unwrap();
    for (url, expected) in [
        ("https://127.0.0.1/", Some(NotPublic)),
        ("https://127.0.0.1.:8443/", Some(NotPublic)),
        ("https://127.1/", Some(NotPublic)),
        ("https://127.0.1/", Some(NotPublic)),
        ("https://0x7f.1/", Some(NotPublic)),
        ("https://0x7f000001/", Some(NotPublic)),
        ("https://0X7F.0X0.0X0.0X1/", Some(NotPublic)),
        ("https://2130706433/", Some(NotPublic)),
        ("https://0177.1/", Some(NotPublic)),
        ("https://017700000001/", Some(NotPublic)),
        ("https://０x7f.1/", Some(NotPublic)),
        ("https://１２７.０.０.１/", Some(NotPublic)),
        ("https://①②⑦.⓪.⓪.①/", Some(NotPublic)),
        ("https://127。0。0。1/", Some(NotPublic)),
        ("https://%31%32%37.0.0.1/", Some(NotPublic)),
        ("https://0/", Some(NotPublic)),
        ("https://0.0.0.0/", Some(NotPublic)),
        ("https://10.0.0.1/", Some(NotPublic)),
        ("https://100.64.0.1/", Some(NotPublic)),
        ("https://172.16.0.1/", Some(NotPublic)),
        ("https://192.168.1.1/", Some(NotPublic)),
        ("https://255.255.255.255/", Some(NotPublic)),
        ("https://[::]/", Some(NotPublic)),
        ("https://[::1]/", Some(NotPublic)),
        ("https://[0:0:0:0:0:0:0:1]/", Some(NotPublic)),
        ("https://[::ffff:127.0.0.1]/", Some(NotPublic)),
        ("https://[::ffff:7f00:1]/", Some(NotPublic)),
        ("https://[::127.0.0.1]/", Some(NotPublic)),
        ("https://[64:ff9b::10.0.0.1]/", Some(NotPublic)),
        ("https://[2002:a00:1::]/", Some(NotPublic)),
        ("https://[fe80::1]/", Some(NotPublic)),
        ("https://[fc00::1]/", Some(NotPublic)),
        ("https://169.254.169.254/latest/meta-data/", Some(Metadata)),
        ("https://0xa9fea9fe/", Some(Metadata)),
        ("https://2852039166/", Some(Metadata)),
        ("https://169.254.43518/", Some(Metadata)),
        ("https://[::ffff:a9fe:a9fe]/", Some(Metadata)),
        ("https://[64:ff9b::a9fe:a9fe]/", Some(Metadata)),
        ("https://[fd00:ec2::254]/", Some(Metadata)),
        ("https://100.100.100.200/", Some(Metadata)),
        ("https://192.0.0.192/", Some(Metadata)),
        ("https://metadata/", Some(Metadata)),
        ("https://metadata.google.internal/", Some(Metadata)),
        ("https://METADATA.Google.Internal./", Some(Metadata)),
        ("https://ｍｅｔａｄａｔａ.google.internal/", Some(Metadata)),
        ("http://example.com/", Some(Plain)),
        ("http://8.8.8.8/", Some(Plain)),
        ("https://example.com/", None),
        ("https://8.8.8.8:8443/", None),
        ("https://[2606:4700:4700::1111]/", None),
        ("https://[::ffff:8.8.8.8]/", None),
        // A look-up tells.
        ("https://localhost/", None),
    ] {
        let draft = draft("GET", url, &[], "");
        let destination = draft.destination();
        let expected = expected.map_or(Ok(()), |reason| {
            Err(EgressError::Blocked { destination: destination.clone(), reason })
        });
        assert_eq!(client.check(destination), expected, "{url}");
        assert_eq!(client.check_url(&Url::parse(url).unwrap()), expected, "{url}");
    }
    for (url, expected) in [
        ("ftp://example.com/", Invalid::Scheme),
        ("file:///etc/passwd", Invalid::Scheme),
        ("data:text/plain,x", Invalid::Scheme),
        ("https://user@example.com/", Invalid::Userinfo),
        ("https://:password@example.com/", Invalid::Userinfo),
    ] {
        let refused = client.check_url(&Url::parse(url).unwrap());
        assert_eq!(refused, Err(EgressError::Invalid(expected)), "{url}");
    }
}

#[tokio::test]
async fn loopback_is_blocked_from_the_default_client() {
    let client = Client::new(Options::default()).unwrap();
    for host in ["127.0.0.1", "[::1]", "localhost", "localhost."] {
        for scheme in ["https", "http"] {
            let error = get(&client, &format!("{scheme}://{host}:1/p?q=1")).await.unwrap_err();
            assert_eq!(error.code(), "destination_blocked", "{scheme}://{host}");
            let text = error.to_string();
            assert!(text.contains(":1/p "), "scheme, host, port, path: {text}");
            assert!(!text.contains("q=1"), "no query: {text}");
        }
    }
    let text = get(&client, "https://localhost:1/").await.unwrap_err().to_string();
    assert!(!text.contains("127.0.0.1") && !text.contains("::1"), "no address: {text}");
}

#[tokio::test]
async fn the_server_itself_stays_blocked() {
    let server = crate::server::http(|_| crate::server::ok("")).await;
    let allow = Allow::parse("127.0.0.0/8, localhost, ::1").unwrap();
    let own_addresses = vec![format!("0.0.0.0:{}", server.address.port()).parse().unwrap()];
    let options = Options { allow, own_addresses, ..Options::default() };
    let client = Client::new(options).unwrap();
    for host in ["127.0.0.1", "127.8.8.8", "localhost", "[::ffff:127.0.0.1]", "[::1]"] {
        let url = format!("http://{host}:{}/", server.address.port());
        let error = get(&client, &url).await.unwrap_err();
        assert!(matches!(error, EgressError::Blocked { reason: Blocked::Own, .. }), "{error}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn plain_http_where_the_list_names_it() {
    let list = "a.example, b.example:8080, 10.0.0.0/8, [::1]:80";
    let options = Options { allow: Allow::parse(list).unwrap(), ..Options::default() };
    let client = Client::new(options).unwrap();
    for (host, port, expected) in [
        ("a.example", 80, true),
        ("A.Example.", 9999, true),
        ("b.example", 8080, true),
        ("b.example", 80, false),
        ("10.9.9.9", 80, true),
        ("0xa.1", 80, true),
        ("11.0.0.1", 80, false),
        ("::1", 80, true),
        ("[::1]", 80, true),
        ("[::1]", 81, false),
        ("c.example", 80, false),
        ("not a host", 80, false),
    ] {
        assert_eq!(client.allows_plain(host, port), expected, "{host}:{port}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&client(), &format!("http://{address}/path?key=k")).await.unwrap_err();
    assert_eq!(error.code(), "connection_failed");
    let expected =
        format!("http://{address}/path could not be reached: the connection was refused");
    assert_eq!(error.to_string(), expected);
}
