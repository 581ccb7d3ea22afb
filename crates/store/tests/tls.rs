//! TLS to PostgreSQL: a proxy in front of a plain server speaks it, with a certificate of its own.

#![expect(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

use keyward_store::{Store, StoreError, Target};
use keyward_testkit::postgres::Postgres;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Takes connections on the port given back, as a server whose certificate is for `name`.
async fn proxy(name: &str, server: String, roots: &Path) -> u16 {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(roots, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // SSLRequest: length 8, code 80877103.
                let mut request = [0; 8];
                client.read_exact(&mut request).await.unwrap();
                assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
                client.write_all(b"S").await.unwrap();
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_certificate_and_name_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let url = Postgres::shared().fresh_database();
    let (login, rest) = url.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let (ours, other) = (folder.path().join("ours.pem"), folder.path().join("other.pem"));
    let named = proxy("localhost", address.to_owned(), &ours).await;
    let misnamed = proxy("elsewhere.example", address.to_owned(), &other).await;
    let open = async |port: u16, mode: &str, roots: &Path| {
        let options = format!("sslmode={mode}&sslrootcert={}", roots.display());
        let url = format!("{login}@localhost:{port}/{database}?{options}");
        let store = tokio::task::spawn_blocking(move || Store::open(&Target::Postgres(url)));
        store.await.unwrap()
    };
    for mode in ["require", "verify-full"] {
        let store = open(named, mode, &ours).await.unwrap();
        assert_eq!(store.healthy().await, Ok(()), "{mode}");
        store.close().await;
        for (port, roots) in [(named, &other), (misnamed, &other)] {
            let refused = open(port, mode, roots).await.map(|_| ());
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{mode}: {refused:?}");
        }
    }
}
