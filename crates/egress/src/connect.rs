//! Makes one connection: looks up, checks, dials what was checked, and verifies the name with TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::destination::{Destination, Scheme};
use crate::error::{Blocked, Failure};
use crate::guard::{self, Guard};
use crate::tls;

/// How long one address is tried alone before the next one is dialled too (RFC 8305 section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Why there is no connection. It holds no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Blocked(Blocked),
    #[error("{0}")]
    Failed(Failure),
    #[error("no connection was made in time")]
    TimedOut,
}

/// The connector of one origin, for hyper's pool.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) guard: Arc<Guard>,
    pub(crate) destination: Arc<Destination>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) timeout: Duration,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Fault;
    type Future = BoxFuture<'static, Result<Stream, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    /// The pool serves one origin, so the URI says nothing that the destination does not.
    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connecting = connector.connect();
            time::timeout(connector.timeout, connecting).await.map_err(|_| Fault::TimedOut)?
        })
    }
}

impl Connector {
    async fn connect(&self) -> Result<Stream, Fault> {
        let scheme = self.destination.scheme();
        let tcp = open(&self.guard, &self.destination, guard::is_plain(scheme)).await?;
        let tcp = TokioIo::new(tcp);
        if scheme == Scheme::Http {
            return Ok(MaybeHttpsStream::Http(tcp));
        }
        let name = tls::server_name(self.destination.typed_host()).map_err(Fault::Failed)?;
        let handshake =
            TlsConnector::from(Arc::clone(&self.tls)).connect(name, TokioIo::new(tcp)).await;
        let stream = handshake.map_err(|error| Fault::Failed(handshake_failure(&error)))?;
        Ok(MaybeHttpsStream::Https(TokioIo::new(stream)))
    }
}

/// A TCP connection to one of the destination's checked addresses.
pub(crate) async fn open(
    guard: &Guard,
    destination: &Destination,
    plain: bool,
) -> Result<TcpStream, Fault> {
    let addresses = guard.addresses(destination, plain).await?;
    let stream = dial(&addresses).await.map_err(|error| Fault::Failed(network(&error)))?;
    // Requests are written whole; waiting for more only delays them.
    stream.set_nodelay(true).map_err(|error| Fault::Failed(network(&error)))?;
    Ok(stream)
}

/// Dials in the resolver's order; the first that connects wins and the others are dropped.
pub(crate) async fn dial(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut dialling = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = waiting.next() {
            dialling.push(TcpStream::connect(*address));
        }
        let outcome = if waiting.len() == 0 {
            dialling.next().await
        } else {
            match time::timeout(NEXT_ADDRESS_AFTER, dialling.next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => failure = error,
            None => return Err(failure),
        }
    }
}

pub(crate) fn handshake_failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => tls::failure(error),
        None => match network(error) {
            Failure::Network => Failure::Tls,
            other => other,
        },
    }
}

pub(crate) fn network(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Failure::Unreachable,
        _ => Failure::Network,
    }
}
