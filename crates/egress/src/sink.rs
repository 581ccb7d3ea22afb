//! The way to the operator's own log collectors. The address is the operator's word, so it is not
//! guarded; names are verified by TLS like everywhere else.
//!
//! Each delivery is a connection of its own, which ends only after the collector has closed its side
//! too: so a delivery over TCP that was answered well has been read, not only sent.

mod http;
mod syslog;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::connect;
use crate::error::Failure;
use crate::tls::{self, Roots, SetupError};

/// For one delivery as a whole.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a URL of a sink turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKind {
    /// `http://`, JSON lines by POST.
    Http,
    /// `https://`, JSON lines by POST.
    Https,
    /// `syslog+tcp://`, octet counting (RFC 6587).
    SyslogTcp,
    /// `syslog+udp://`, one datagram a message (RFC 5426).
    SyslogUdp,
    /// `syslog+tls://` (RFC 5425).
    SyslogTls,
}

impl SinkKind {
    /// The word that stands before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::SyslogTcp => "syslog+tcp",
            Self::SyslogUdp => "syslog+udp",
            Self::SyslogTls => "syslog+tls",
        }
    }

    fn parse(scheme: &str) -> Option<Self> {
        let all = [Self::Http, Self::Https, Self::SyslogTcp, Self::SyslogUdp, Self::SyslogTls];
        all.into_iter().find(|kind| kind.as_str() == scheme)
    }

    /// Whether messages are syslog's, not JSON lines.
    pub fn is_syslog(self) -> bool {
        matches!(self, Self::SyslogTcp | Self::SyslogUdp | Self::SyslogTls)
    }

    /// Whether the collector confirms what it took. Datagrams are sent and forgotten.
    pub fn confirms(self) -> bool {
        self != Self::SyslogUdp
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::SyslogTcp | Self::SyslogUdp => 514,
            Self::SyslogTls => 6514,
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Https | Self::SyslogTls)
    }
}

/// Why a sink cannot be set up. No text holds the URL, whose path may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum SinkSetupError {
    /// Not a URL, or not of a known kind.
    #[error(
        "a sink is file:/path, https://…, http://…, syslog+tls://host, syslog+tcp://host or syslog+udp://host"
    )]
    Kind,
    /// A user, password or fragment, or more than host and port for syslog.
    #[error(
        "a sink's URL must hold neither user nor password, and a syslog sink host and port alone"
    )]
    Form,
    /// The token does not fit a header.
    #[error("the sink's token must be printable ASCII")]
    Token,
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] SetupError),
}

/// Why a delivery was not taken; a fixed text each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// No connection, or it broke.
    #[error("{0}")]
    Failed(Failure),
    /// It took too long.
    #[error("it did not take the records in time")]
    TimedOut,
    /// The collector answered with another status than 2xx.
    #[error("it answered with status {0}")]
    Status(u16),
}

/// One collector.
pub struct Sink {
    kind: SinkKind,
    host: Host<String>,
    port: u16,
    /// Path and query of an HTTP sink.
    target: String,
    token: Option<HeaderValue>,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Sink {
    /// Reads a sink's URL. `token` is sent as a bearer token to HTTP sinks, `extra_roots_pem` names
    /// issuers trusted beside the system's.
    ///
    /// # Errors
    /// [`SinkSetupError`].
    pub fn new(
        url: &str,
        token: Option<&str>,
        extra_roots_pem: Option<&[u8]>,
    ) -> Result<Self, SinkSetupError> {
        let url = Url::parse(url).map_err(|_| SinkSetupError::Kind)?;
        let kind = SinkKind::parse(url.scheme()).ok_or(SinkSetupError::Kind)?;
        // The parser takes hosts of unknown schemes as they stand.
        let host = url.host_str().and_then(|host| Host::parse(host).ok());
        let host = host.ok_or(SinkSetupError::Kind)?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if !plain || kind.is_syslog() && !bare {
            return Err(SinkSetupError::Form);
        }
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target = format!("{target}?{query}");
        }
        let header = |token: &str| HeaderValue::from_str(&format!("Bearer {token}"));
        let token = token.filter(|_| !kind.is_syslog()).map(header).transpose();
        let mut token = token.map_err(|_| SinkSetupError::Token)?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            kind,
            host,
            port: url.port().unwrap_or(kind.default_port()),
            target,
            token,
            tls: Arc::new(Roots::load(extra_roots_pem)?.config()?),
        })
    }

    /// Its kind.
    pub fn kind(&self) -> SinkKind {
        self.kind
    }

    /// Brings messages in their order; all of them were taken, or it failed and they are to be sent
    /// again.
    ///
    /// # Errors
    /// [`SinkError`].
    pub async fn deliver(&self, messages: &[String]) -> Result<(), SinkError> {
        let delivering = async {
            match self.kind {
                SinkKind::Http | SinkKind::Https => http::post(self, messages).await,
                SinkKind::SyslogTcp | SinkKind::SyslogTls => syslog::stream(self, messages).await,
                SinkKind::SyslogUdp => syslog::datagrams(self, messages).await,
            }
        };
        time::timeout(TIMEOUT, delivering).await.unwrap_or(Err(SinkError::TimedOut))
    }

    async fn addresses(&self) -> Result<Vec<std::net::SocketAddr>, SinkError> {
        let failed = |_| SinkError::Failed(Failure::Name);
        Ok(match &self.host {
            Host::Domain(name) => {
                lookup_host((name.as_str(), self.port)).await.map_err(failed)?.collect()
            }
            Host::Ipv4(v4) => vec![(*v4, self.port).into()],
            Host::Ipv6(v6) => vec![(*v6, self.port).into()],
        })
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, SinkError> {
        let addresses = self.addresses().await?;
        let stream: TcpStream = connect::dial(&addresses).await.map_err(|error| broken(&error))?;
        if !self.kind.has_tls() {
            return Ok(Box::new(stream));
        }
        let name = tls::server_name(&self.host).map_err(SinkError::Failed)?;
        let handshake = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        let stream =
            handshake.map_err(|error| SinkError::Failed(connect::handshake_failure(&error)))?;
        Ok(Box::new(stream))
    }
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn broken(error: &std::io::Error) -> SinkError {
    SinkError::Failed(connect::network(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_sinks_are_read() {
        let check = |url: &str, expected: Result<(SinkKind, u16, &str), &str>| {
            let found = Sink::new(url, None, None);
            let found = found.map(|sink| (sink.kind, sink.port, sink.target));
            let found = found.map_err(|error| error.to_string());
            match (&found, expected) {
                (Ok(found), Ok((kind, port, target))) => {
                    assert_eq!(*found, (kind, port, target.to_owned()), "{url}");
                }
                (Err(found), Err(part)) => assert!(found.contains(part), "{url}: {found}"),
                (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
            }
        };
        check("https://siem.example/in?x=1", Ok((SinkKind::Https, 443, "/in?x=1")));
        check("http://127.0.0.1:8080", Ok((SinkKind::Http, 8080, "/")));
        check("syslog+tcp://logs:601", Ok((SinkKind::SyslogTcp, 601, "")));
        check("syslog+tls://[::1]", Ok((SinkKind::SyslogTls, 6514, "")));
        check("syslog+udp://10.0.0.1/", Ok((SinkKind::SyslogUdp, 514, "/")));
        check("syslog+tcp://logs/path", Err("host and port alone"));
        check("https://user:word@siem.example/", Err("neither user nor password"));
        check("ftp://siem.example/", Err("a sink is file:"));
        check("syslog+tcp:logs", Err("a sink is file:"));
        check("nonsense", Err("a sink is file:"));
        let token = Sink::new("https://siem.example/", Some("a\nb"), None);
        assert!(matches!(token, Err(SinkSetupError::Token)));
    }
}
