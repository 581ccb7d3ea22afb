//! Where PostgreSQL is and whether the way there is encrypted: read once from the database URL.

use crate::error::StoreError;
use postgres::config::SslMode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A PostgreSQL server, and how to connect to it.
#[derive(Clone)]
pub(crate) struct Server {
    config: postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

impl Server {
    /// Reads `postgres://…`. With `sslmode` `require`, `verify-ca` or `verify-full` the connection
    /// is TLS and the server's certificate and name are always verified, against `sslrootcert` (a
    /// PEM file) or the system's roots; with any other mode, or none, it is not encrypted.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let (base, options) = url.split_once('?').unwrap_or((url, ""));
        let mut kept = Vec::new();
        let (mut mode, mut roots) = ("", None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => roots = Some(value),
                _ => kept.push(option),
            }
        }
        let encrypted = match mode {
            "" | "disable" | "allow" | "prefer" => false,
            "require" | "verify-ca" | "verify-full" => true,
            _ => return Err(StoreError::Target("unknown sslmode")),
        };
        let unreadable = |_| StoreError::Target("not a PostgreSQL URL");
        let url = format!("{base}?{}", kept.join("&"));
        let mut config: postgres::Config = url.parse().map_err(unreadable)?;
        config.application_name("keyward");
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        let tls = if encrypted { Some(client(roots)?) } else { None };
        Ok(Self { config, tls })
    }

    pub(crate) fn connect(&self) -> Result<postgres::Client, StoreError> {
        Ok(match &self.tls {
            Some(tls) => self.config.connect(tls.clone())?,
            None => self.config.connect(postgres::NoTls)?,
        })
    }
}

fn client(roots_file: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let unreadable = |_| StoreError::Target("sslrootcert is not a readable PEM file");
    let certificates = match roots_file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(|found| found.collect::<Result<Vec<_>, _>>())
            .map_err(unreadable)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = rustls::RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        return Err(StoreError::Target("no certificate authority to verify the server with"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| StoreError::Target("TLS is not available"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_whether_the_way_is_encrypted() {
        let check = |options: &str, expected: Result<bool, StoreError>| {
            let url = format!("postgres://u:p@127.0.0.1:1/db{options}");
            assert_eq!(Server::parse(&url).map(|server| server.tls.is_some()), expected, "{url}");
        };
        check("", Ok(false));
        check("?sslmode=disable", Ok(false));
        check("?sslmode=prefer&connect_timeout=1", Ok(false));
        check("?sslmode=bogus", Err(StoreError::Target("unknown sslmode")));
        let no_file = StoreError::Target("sslrootcert is not a readable PEM file");
        check("?sslmode=require&sslrootcert=/nowhere/ca.pem", Err(no_file.clone()));
        check("?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", Err(no_file));
        assert!(Server::parse("not a url").is_err());
    }
}
