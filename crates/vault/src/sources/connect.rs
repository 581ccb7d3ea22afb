//! The way to a database: dialled by egress, bounded in what it brings, and encrypted as asked.

use super::{SourceError, Target, TlsMode};
use keyward_egress::{Client, Failure};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What the handshake, and everything that is not rows, may take.
const ROOM: usize = 1024 * 1024;

/// A connection to one of the host's checked addresses, and its meter.
pub(super) async fn dial(
    egress: &Client,
    target: &Target<'_>,
) -> Result<(Metered, Meter), SourceError> {
    let stream = egress.dial(target.host, target.port, target.tls != TlsMode::Off).await?;
    let meter = Meter(Arc::new(AtomicUsize::new(ROOM)));
    Ok((Metered { stream, meter: meter.clone() }, meter))
}

/// How many bytes a connection may still bring: the crates that read messages would take one of
/// any size into memory.
#[derive(Clone)]
pub(super) struct Meter(Arc<AtomicUsize>);

impl Meter {
    /// Allows one more query. A value takes at most four times the room of its JSON.
    pub(super) fn allow(&self, max_bytes: usize) {
        self.0.store(max_bytes.saturating_mul(4).saturating_add(ROOM), Ordering::Relaxed);
    }

    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A stream that fails once its meter is spent.
pub(super) struct Metered {
    stream: TcpStream,
    meter: Meter,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_spent() {
            return Poll::Ready(Err(io::Error::other("more than is taken")));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        let left = self.meter.0.load(Ordering::Relaxed).saturating_sub(read);
        self.meter.0.store(left, Ordering::Relaxed);
        outcome
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The TLS configuration that a target asks for.
pub(super) fn tls_config(
    egress: &Client,
    target: &Target<'_>,
) -> Result<ClientConfig, SourceError> {
    let mut config = egress.tls_config(target.ca_pem).map_err(|_| SourceError::Roots)?;
    // A session of one workspace, or of a server that nobody verified, is never taken up by another.
    config.resumption = Resumption::disabled();
    if target.tls == TlsMode::Require {
        let verifier = AnyCertificate(Arc::clone(config.crypto_provider()));
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
    }
    Ok(config)
}

/// The name that the certificate must be for; an IPv6 address stands there without brackets.
pub(super) fn server_name(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// What broke a TLS handshake; without a cause in TLS, the connection did.
pub(super) fn handshake_error(error: &(dyn Error + 'static)) -> SourceError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        {
            return SourceError::Tls(Failure::of_handshake(error));
        }
        cause = error.source();
    }
    SourceError::Broken
}

/// Takes any certificate whose key the server holds: for `tls: require`, which does not verify whose
/// it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
