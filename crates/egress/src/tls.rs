//! The TLS side: which issuers are trusted, and the client configuration made of them.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use url::Host;

use crate::error::Failure;

/// Why a client, or an extra root of trust, cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The PEM text holds no certificate, or one that cannot be read.
    #[error("the PEM file of extra roots holds no certificate that can be read")]
    Roots,
    /// No TLS version is usable.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The trusted issuers: the system's and the operator's.
pub(crate) struct Roots {
    store: RootCertStore,
}

impl Roots {
    /// The system's roots beside those of `extra_pem`. An unreadable system root is left out.
    pub(crate) fn load(extra_pem: Option<&[u8]>) -> Result<Self, SetupError> {
        let mut store = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (added, ignored) = store.add_parsable_certificates(native.certs);
        if added == 0 {
            tracing::warn!(ignored, "no trusted issuers found on this system");
        }
        let roots = Self { store };
        match extra_pem {
            Some(pem) => roots.with(pem),
            None => Ok(roots),
        }
    }

    /// These roots and those of a PEM text.
    pub(crate) fn with(&self, pem: &[u8]) -> Result<Self, SetupError> {
        let mut store = self.store.clone();
        let before = store.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| SetupError::Roots)?;
            store.add(certificate).map_err(|_| SetupError::Roots)?;
        }
        if store.len() == before {
            return Err(SetupError::Roots);
        }
        Ok(Self { store })
    }

    /// A configuration that verifies names against these roots, without ALPN.
    pub(crate) fn config(&self) -> Result<ClientConfig, SetupError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Tls)?;
        Ok(builder.with_root_certificates(self.store.clone()).with_no_client_auth())
    }
}

/// The configuration for one origin of one pool: HTTP/2 by ALPN, sessions shared with nobody else.
pub(crate) fn for_http(base: &ClientConfig) -> ClientConfig {
    let mut config = base.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(4);
    config
}

/// The name that the certificate must be for.
pub(crate) fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| Failure::Name),
        Host::Ipv4(v4) => Ok(ServerName::from(std::net::IpAddr::from(*v4))),
        Host::Ipv6(v6) => Ok(ServerName::from(std::net::IpAddr::from(*v6))),
    }
}

/// What a failed handshake says to people; never what the certificate holds.
pub(crate) fn failure(error: &rustls::Error) -> Failure {
    use rustls::CertificateError as Certificate;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return Failure::Tls;
    };
    match certificate {
        Certificate::UnknownIssuer => Failure::UnknownIssuer,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            Failure::WrongName
        }
        Certificate::Expired
        | Certificate::ExpiredContext { .. }
        | Certificate::NotValidYet
        | Certificate::NotValidYetContext { .. } => Failure::Expired,
        _ => Failure::Certificate,
    }
}
