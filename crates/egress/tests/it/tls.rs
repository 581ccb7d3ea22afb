//! TLS verifies the name against the trusted issuers, and says in words what is wrong.

use std::sync::Arc;
use std::time::Duration;

use keyward_egress::{Client, EgressError, Failure, Invalid, Options, SetupError};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::server::{Server, draft, get, https, loopback, ok};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: Vec<u8>,
}

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem().into_bytes();
    Authority { issuer: Issuer::new(params, key), pem }
}

impl Authority {
    /// A server's configuration with a certificate for these names.
    pub(crate) fn server(&self, names: &[&str], protocols: &[&str], expired: bool) -> ServerConfig {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    fn client(&self) -> Client {
        Client::new(Options { extra_roots_pem: Some(self.pem.clone()), ..loopback() }).unwrap()
    }
}

fn url(server: &Server, host: &str) -> String {
    format!("https://{host}:{}/p", server.address.port())
}

#[tokio::test]
async fn trusted_by_the_operators_roots() {
    let authority = authority("Ours");
    let config = authority.server(&["localhost", "127.0.0.1"], &["http/1.1"], false);
    let server = https(config, |_| ok("over TLS")).await;
    for host in ["localhost", "LOCALHOST.", "127.0.0.1"] {
        let answer = get(&authority.client(), &url(&server, host)).await.unwrap();
        assert_eq!(answer.body, "over TLS", "{host}");
    }
    assert_eq!(server.seen()[0].version, http::Version::HTTP_11);
    assert_eq!(server.seen()[1].all("host"), [format!("localhost:{}", server.address.port())]);
}

#[tokio::test]
async fn certificates_that_are_refused() {
    let ours = authority("Ours");
    let other = authority("Other");
    let cases = [
        (ours.server(&["other.example"], &[], false), Failure::WrongName),
        (ours.server(&["*.localhost"], &[], false), Failure::WrongName),
        (ours.server(&["localhost"], &[], true), Failure::Expired),
        (other.server(&["localhost"], &[], false), Failure::UnknownIssuer),
    ];
    for (config, expected) in cases {
        let server = https(config, |_| ok("")).await;
        let error = get(&ours.client(), &url(&server, "localhost")).await.unwrap_err();
        assert_eq!(error.code(), "connection_failed");
        let text = format!("{} could not be reached: {expected}", url(&server, "localhost"));
        assert_eq!(error.to_string(), text);
        assert!(server.seen().is_empty(), "nothing was sent");
    }
}

#[tokio::test]
async fn a_plain_server_is_not_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let url = format!("https://localhost:{port}/");
    let error = get(&Client::new(loopback()).unwrap(), &url).await.unwrap_err();
    let text = format!("{url} could not be reached: {}", Failure::Tls);
    assert_eq!((error.code(), error.to_string()), ("connection_failed", text));
}

#[tokio::test]
async fn many_requests_share_one_http2_connection() {
    let authority = authority("Ours");
    let config = authority.server(&["localhost"], &["h2", "http/1.1"], false);
    let server = https(config, |seen| ok(seen.body.clone())).await;
    let client = authority.client();
    let target = url(&server, "localhost");
    get(&client, &target).await.unwrap();
    let send = |n: usize| {
        let request = draft("POST", &target, &[("x-n", &n.to_string())], &n.to_string()).plain();
        client.send("ws", request, Duration::from_secs(5))
    };
    let answers = futures_util::future::join_all((0..50).map(send)).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap().body, n.to_string());
    }
    assert_eq!(server.connections(), 1);
    assert!(server.seen().iter().all(|seen| seen.version == http::Version::HTTP_2));
    let request = draft("GET", &target, &[], "").plain();
    client.send("another", request, Duration::from_secs(5)).await.unwrap();
    assert_eq!(server.connections(), 2, "not shared with another workspace");
}

#[tokio::test]
async fn one_requests_own_roots_stay_its_own() {
    let authority = authority("Ours");
    let config = authority.server(&["localhost"], &[], false);
    let server = https(config, |_| ok("")).await;
    let client = Client::new(loopback()).unwrap();
    let target = url(&server, "localhost");
    let request = || draft("GET", &target, &[], "").plain();
    let limit = Duration::from_secs(5);
    client.send_trusting("ws", request(), limit, &authority.pem).await.unwrap();
    let error = client.send("ws", request(), limit).await.unwrap_err();
    assert_eq!(error.code(), "connection_failed", "the open connection is not used");
    let error = client.send_trusting("ws", request(), limit, b"no PEM").await.unwrap_err();
    assert_eq!(error, EgressError::Invalid(Invalid::Roots));
}

#[test]
fn roots_that_cannot_be_read_are_named() {
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in [&b""[..], b"text", broken] {
        let options = Options { extra_roots_pem: Some(pem.to_vec()), ..Options::default() };
        assert!(matches!(Client::new(options), Err(SetupError::Roots)));
    }
    assert!(Client::new(loopback()).unwrap().tls_config(Some(&authority("Ours").pem)).is_ok());
}
