//! What can go wrong on the way out, in words that name the destination and nothing else.

use std::sync::Arc;

use crate::destination::Destination;

/// Why a request was not sent, or no answer came back.
///
/// Its text carries scheme, host, port and unsubstituted path; never an address that was found, a
/// query, a header or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The guard refused the destination. Nothing was sent.
    #[error("{destination} may not be reached: {reason}")]
    Blocked {
        /// Where to.
        destination: Arc<Destination>,
        /// Why.
        reason: Blocked,
    },
    /// No connection, or it broke before the answer was complete.
    #[error("{destination} could not be reached: {reason}")]
    Failed {
        /// Where to.
        destination: Arc<Destination>,
        /// Why.
        reason: Failure,
    },
    /// Time ran out.
    #[error("{destination} did not answer in time: {phase}")]
    Timeout {
        /// Where to.
        destination: Arc<Destination>,
        /// What took too long.
        phase: Phase,
    },
    /// The answer was cut off because it is larger than a step may take.
    #[error("{destination} answered with more than is taken: {excess}")]
    TooLarge {
        /// Where to.
        destination: Arc<Destination>,
        /// Which limit it broke.
        excess: Excess,
    },
    /// The request itself breaks a rule. Nothing was sent.
    #[error("{0}")]
    Invalid(#[from] Invalid),
}

impl EgressError {
    /// The step error code: `destination_blocked`, `connection_failed`, `timeout`,
    /// `validation_failed`, or `output_too_large` for an answer beyond the limits.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Blocked { .. } => "destination_blocked",
            Self::Failed { .. } => "connection_failed",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "output_too_large",
            Self::Invalid(_) => "validation_failed",
        }
    }
}

/// Why the guard refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// A private, loopback, link-local or otherwise special-purpose address.
    #[error("it is not a public address; the operator opens one with KEYWARD_EGRESS_ALLOW")]
    NotPublic,
    /// A cloud's metadata service.
    #[error(
        "it is a metadata service, open only where KEYWARD_EGRESS_ALLOW names it by itself, not in a CIDR"
    )]
    Metadata,
    /// This server or its database.
    #[error("it is this server or its database")]
    Own,
    /// Not encrypted, and not named by the allow list.
    #[error("without TLS only hosts that KEYWARD_EGRESS_ALLOW names are reached; use https")]
    Plain,
}

/// Why there is no connection, or no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The system's resolver knows no address for the name.
    #[error("the name does not resolve")]
    Name,
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// There is no route.
    #[error("the network is unreachable")]
    Unreachable,
    /// Any other failure of the network.
    #[error("the connection failed")]
    Network,
    /// The certificate's issuer is not known.
    #[error(
        "its certificate is from an issuer that is not trusted; KEYWARD_EGRESS_CA_FILE adds issuers"
    )]
    UnknownIssuer,
    /// The certificate is for other names.
    #[error("its certificate is not valid for this host")]
    WrongName,
    /// The certificate is outside its validity.
    #[error("its certificate has expired or is not valid yet")]
    Expired,
    /// The certificate is broken, revoked or not for servers.
    #[error("its certificate is not acceptable")]
    Certificate,
    /// The TLS handshake failed otherwise, for example without a common version.
    #[error("the TLS handshake failed")]
    Tls,
    /// The connection ended before the answer did.
    #[error("the connection was closed before the answer was complete")]
    Incomplete,
    /// The answer breaks the rules of HTTP.
    #[error("the answer is not valid HTTP")]
    NotHttp,
    /// The body does not decode as its `Content-Encoding` says.
    #[error("the answer's body could not be decompressed")]
    Decode,
}

impl Failure {
    /// What broke the TLS handshake of a connection that was dialled bare.
    #[must_use]
    pub fn of_handshake(error: &std::io::Error) -> Self {
        crate::connect::handshake_failure(error)
    }
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Phase {
    /// Looking up, connecting and the TLS handshake.
    #[error("no connection was made")]
    Connect,
    /// The request as a whole.
    #[error("the answer was not complete")]
    Answer,
}

/// Which limit an answer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// The headers.
    #[error("its headers are too large")]
    Headers,
    /// The body as it came over the wire.
    #[error("its body is too large")]
    Body,
    /// The body after decompression, by size or by ratio.
    #[error("its body is too large when decompressed")]
    Decompressed,
}

/// Which rule a request breaks. The text never holds what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not a method, or CONNECT, TRACE or TRACK.
    #[error("the method is not one that can be sent")]
    Method,
    /// Not an absolute URL with a host.
    #[error("the URL is not valid")]
    Url,
    /// Neither http nor https.
    #[error("the URL's scheme is neither http nor https")]
    Scheme,
    /// A user name or password in the URL.
    #[error("the URL holds a user name or password; use an Authorization header")]
    Userinfo,
    /// A backslash before the query.
    #[error("the URL holds a backslash")]
    Backslash,
    /// The path that was filled in has other segments than the one that was checked.
    #[error("a value filled into the path changes its segments")]
    Path,
    /// Path and query that cannot be sent, or are longer than 65,534 bytes.
    #[error("path and query cannot be sent: a forbidden character, or too long")]
    Target,
    /// Not a header name.
    #[error("a header name is not valid")]
    HeaderName,
    /// CR, LF, NUL or another control character in a header.
    #[error("a header value holds a line break or another control character")]
    HeaderValue,
    /// `Host` other than the URL's.
    #[error("the Host header differs from the URL's host")]
    Host,
    /// `Upgrade`, or a filled header that belongs to the connection.
    #[error("a header that belongs to the connection cannot be set")]
    ConnectionHeader,
    /// More headers than can be sent.
    #[error("there are too many headers")]
    Headers,
    /// A PEM text of trusted issuers that cannot be read.
    #[error("the PEM text of trusted issuers holds no certificate that can be read")]
    Roots,
}
