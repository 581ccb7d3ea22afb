//! The guarded client: sends one request to one checked address and reads one answer.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::client::legacy;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time;
use url::Url;

use crate::allow::Allow;
use crate::connect::{self, Connector, Fault};
use crate::destination::Destination;
use crate::draft::Draft;
use crate::error::{EgressError, Excess, Failure, Invalid, Phase};
use crate::guard::{self, Guard, Resolve};
use crate::pools::{Key, Pools};
use crate::request::Request;
use crate::response::{self, Limits, Response, Unread};
use crate::tls::{self, Roots, SetupError};

/// What the client is set up with. The default opens nothing and has the documented limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// What may be reached although it is not public, or by plain http.
    pub allow: Allow,
    /// PEM text of issuers trusted beside the system's.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// This server and its database, never reached. An unspecified address stands for all of this
    /// machine's.
    pub own_addresses: Vec<SocketAddr>,
    /// For look-up, connection and TLS handshake. 10 s.
    pub connect_timeout: Duration,
    /// For a request as a whole, whatever its caller grants. 60 s.
    pub total_timeout: Duration,
    /// Bytes of an answer's body on the wire. 10 MiB.
    pub max_body: usize,
    /// Bytes of an answer's headers, at least 8 KiB. 64 KiB.
    pub max_headers: usize,
    /// Bytes of an answer's body after decompression. 100 MiB.
    pub max_decompressed: usize,
    /// Decompressed bytes for each byte on the wire, from 64 KiB on. 100.
    pub max_ratio: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow: Allow::default(),
            extra_roots_pem: None,
            own_addresses: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(60),
            max_body: 10 * 1024 * 1024,
            max_headers: 64 * 1024,
            max_decompressed: 100 * 1024 * 1024,
            max_ratio: 100,
        }
    }
}

/// The guarded client. Make one and share it: it holds the connections.
pub struct Client {
    guard: Arc<Guard>,
    roots: Roots,
    tls: ClientConfig,
    pools: Pools,
    limits: Limits,
    connect_timeout: Duration,
    total_timeout: Duration,
}

impl Client {
    /// Sets up a client and reads the system's trusted issuers.
    ///
    /// # Errors
    /// [`SetupError::Roots`] where the extra roots hold no readable certificate.
    pub fn new(options: Options) -> Result<Self, SetupError> {
        Self::with_resolver(options, guard::system_resolver())
    }

    pub(crate) fn with_resolver(options: Options, resolve: Resolve) -> Result<Self, SetupError> {
        let roots = Roots::load(options.extra_roots_pem.as_deref())?;
        // hyper's buffers do not go below this.
        let max_headers = options.max_headers.max(8 * 1024);
        Ok(Self {
            guard: Arc::new(Guard::new(options.allow, options.own_addresses, resolve)),
            tls: roots.config()?,
            roots,
            pools: Pools::new(max_headers),
            limits: Limits {
                body: options.max_body,
                headers: max_headers,
                decompressed: options.max_decompressed,
                ratio: options.max_ratio,
            },
            connect_timeout: options.connect_timeout,
            total_timeout: options.total_timeout,
        })
    }

    /// Sends one request and reads its answer; a redirect is an answer like any other.
    ///
    /// `pool` is the workspace: connections are never shared between two. `timeout` covers
    /// everything and is capped by [`Options::total_timeout`].
    ///
    /// # Errors
    /// [`EgressError`]: blocked, failed, timed out, or cut off.
    pub async fn send(
        &self,
        pool: &str,
        request: Request,
        timeout: Duration,
    ) -> Result<Response, EgressError> {
        self.send_with(pool, request, timeout, None).await
    }

    /// As [`Client::send`], trusting also the issuers of a PEM text, for this request only.
    ///
    /// # Errors
    /// As [`Client::send`]; [`Invalid::Roots`] where the PEM text cannot be read.
    pub async fn send_trusting(
        &self,
        pool: &str,
        request: Request,
        timeout: Duration,
        extra_roots_pem: &[u8],
    ) -> Result<Response, EgressError> {
        self.send_with(pool, request, timeout, Some(extra_roots_pem.into())).await
    }

    /// What can be told before a look-up: literal addresses, metadata names, plain http.
    ///
    /// # Errors
    /// [`EgressError::Blocked`].
    pub fn check(&self, destination: &Arc<Destination>) -> Result<(), EgressError> {
        let plain = guard::is_plain(destination.scheme());
        self.guard
            .before_lookup(destination, plain)
            .map_err(|reason| Fault::Blocked(reason).at(destination))
    }

    /// As [`Client::check`], for a URL that is to be kept, for example a token endpoint.
    ///
    /// # Errors
    /// [`EgressError::Blocked`], or [`EgressError::Invalid`] for another scheme or a user name.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressError> {
        let headers: [(&str, &str); 0] = [];
        let draft = Draft::parse("GET", url.as_str(), headers, Bytes::new())?;
        self.check(draft.destination())
    }

    /// Whether the allow list names this host, or covers it where it is an address. A name that
    /// merely resolves into a CIDR of the list is not known before it is looked up.
    #[must_use]
    pub fn allows_plain(&self, host: &str, port: u16) -> bool {
        Destination::tcp(host, port).is_ok_and(|destination| self.guard.names(&destination))
    }

    /// A bare connection for what does not speak http: mail and database servers.
    ///
    /// `encrypted`: the caller makes it TLS before anything secret is sent ([`Client::tls_config`]).
    /// Else only what the allow list opens is reached.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn dial(
        &self,
        host: &str,
        port: u16,
        encrypted: bool,
    ) -> Result<TcpStream, EgressError> {
        let destination = Arc::new(Destination::tcp(host, port)?);
        let opening = connect::open(&self.guard, &destination, !encrypted);
        time::timeout(self.connect_timeout, opening)
            .await
            .unwrap_or(Err(Fault::TimedOut))
            .map_err(|fault| fault.at(&destination))
    }

    /// A TLS configuration that verifies names against the trusted issuers and those of a PEM text.
    ///
    /// # Errors
    /// [`SetupError::Roots`] where the PEM text holds no readable certificate.
    pub fn tls_config(&self, extra_roots_pem: Option<&[u8]>) -> Result<ClientConfig, SetupError> {
        match extra_roots_pem {
            Some(pem) => self.roots.with(pem)?.config(),
            None => Ok(self.tls.clone()),
        }
    }

    async fn send_with(
        &self,
        pool: &str,
        request: Request,
        timeout: Duration,
        extra_roots: Option<Arc<[u8]>>,
    ) -> Result<Response, EgressError> {
        let destination = Arc::clone(request.destination());
        self.check(&destination)?;
        let exchange = self.exchange(pool, request, extra_roots);
        match time::timeout(timeout.min(self.total_timeout), exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EgressError::Timeout { destination, phase: Phase::Answer }),
        }
    }

    async fn exchange(
        &self,
        pool: &str,
        request: Request,
        extra_roots: Option<Arc<[u8]>>,
    ) -> Result<Response, EgressError> {
        let destination = Arc::clone(request.destination());
        let is_head = request.is_head();
        let origin = format!("{}://{}", destination.scheme().as_str(), destination.authority());
        let key = Key { pool: pool.to_owned(), origin, extra_roots: extra_roots.clone() };
        let http = self.pools.get(key, || self.connector(&destination, extra_roots.as_deref()))?;
        let answer = http.request(request.into_http()).await;
        let answer = answer.map_err(|error| send_error(&error, &destination))?;
        response::read(answer, self.limits, is_head).await.map_err(|unread| match unread {
            Unread::Failed(reason) => Fault::Failed(reason).at(&destination),
            Unread::TooLarge(excess) => EgressError::TooLarge { destination, excess },
        })
    }

    fn connector(
        &self,
        destination: &Arc<Destination>,
        extra_roots: Option<&[u8]>,
    ) -> Result<Connector, Invalid> {
        let tls = self.tls_config(extra_roots).map_err(|_| Invalid::Roots)?;
        Ok(Connector {
            guard: Arc::clone(&self.guard),
            destination: Arc::clone(destination),
            tls: Arc::new(tls::for_http(&tls)),
            timeout: self.connect_timeout,
        })
    }
}

impl Fault {
    fn at(self, destination: &Arc<Destination>) -> EgressError {
        let destination = Arc::clone(destination);
        match self {
            Self::Blocked(reason) => EgressError::Blocked { destination, reason },
            Self::Failed(reason) => EgressError::Failed { destination, reason },
            Self::TimedOut => EgressError::Timeout { destination, phase: Phase::Connect },
        }
    }
}

/// hyper wraps our connector's fault, or its own error, in its client's.
fn send_error(error: &legacy::Error, destination: &Arc<Destination>) -> EgressError {
    let cause = error.source();
    if let Some(fault) = cause.and_then(|cause| cause.downcast_ref::<Fault>()) {
        return fault.at(destination);
    }
    let Some(cause) = cause.and_then(|cause| cause.downcast_ref::<hyper::Error>()) else {
        return Fault::Failed(Failure::Network).at(destination);
    };
    if cause.is_parse_too_large() {
        let destination = Arc::clone(destination);
        return EgressError::TooLarge { destination, excess: Excess::Headers };
    }
    let reason = if cause.is_parse() { Failure::NotHttp } else { Failure::Incomplete };
    Fault::Failed(reason).at(destination)
}
