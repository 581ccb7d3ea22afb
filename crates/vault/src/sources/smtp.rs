//! Sending mail: one dialogue with one SMTP server, over TLS unless the server is set to none.
//! It knows no credential; its caller gives opened values.

mod dialogue;
mod error;
mod message;
mod reply;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use keyward_egress::{Client, Failure};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use self::dialogue::{Dialogue, Offers};
pub(crate) use self::error::MailError;
use self::error::Stage;
pub(crate) use self::message::Mail;
use self::message::Message;
use super::connect::server_name;
use crate::secret::Secret;

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// Begins in plain text and goes on only after STARTTLS (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Plain text, user and password included: only where the operator's allow list opens the host.
    None,
}

impl Security {
    /// Reads the word of the credential's field.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "starttls" => Some(Self::StartTls),
            "tls" => Some(Self::Tls),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    /// The port where there is none in the credential (RFC 6409, RFC 8314, RFC 5321).
    pub(crate) fn usual_port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// A mail server and who signs in there.
pub(crate) struct Server<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) security: Security,
    /// Both or neither.
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a Secret>,
    /// Issuers trusted beside the system's, as PEM text.
    pub(crate) ca_pem: Option<&'a [u8]>,
}

/// What is the same each time that a step is tried again.
pub(crate) struct Mark<'a> {
    /// The Message-ID is made of it, so that receivers recognise a repetition.
    pub(crate) idempotency_key: &'a str,
    /// The mail's Date.
    pub(crate) date: SystemTime,
}

/// A mail that the server has taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The addresses that it was taken for.
    pub(crate) accepted: Vec<String>,
    /// With its angle brackets.
    pub(crate) message_id: String,
    /// The last reply's code, usually 250.
    pub(crate) response_code: u16,
}

/// Sends a mail to all of its recipients, or to none: one refused recipient ends it before the
/// message is handed over.
pub(crate) async fn send(
    egress: &Client,
    server: &Server<'_>,
    mail: &Mail,
    mark: &Mark<'_>,
    deadline: Instant,
) -> Result<Sent, MailError> {
    let message = message::compose(mail, mark)?;
    let (mut dialogue, offers) = connect(egress, server, deadline).await?;
    let outcome = dialogue.deliver(&message, &offers).await;
    dialogue.part(outcome.as_ref().err()).await;
    let response_code = outcome?.basic();
    let Message { recipients, id, .. } = message;
    let accepted = recipients.into_iter().map(|recipient| recipient.address).collect();
    Ok(Sent { accepted, message_id: id, response_code })
}

/// Connects, signs in and leaves, without a mail.
pub(crate) async fn check(
    egress: &Client,
    server: &Server<'_>,
    deadline: Instant,
) -> Result<(), MailError> {
    let (mut dialogue, _) = connect(egress, server, deadline).await?;
    let outcome = dialogue.idle().await;
    dialogue.part(outcome.as_ref().err()).await;
    outcome
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Connected = Dialogue<Box<dyn Stream>>;

/// A dialogue that is encrypted as asked for and signed in.
async fn connect(
    egress: &Client,
    server: &Server<'_>,
    deadline: Instant,
) -> Result<(Connected, Offers), MailError> {
    let login = login(server)?;
    let encrypted = server.security != Security::None;
    let dialling = egress.dial(server.host, server.port, encrypted);
    let tcp = timeout_at(deadline.into(), dialling).await;
    let tcp = tcp.map_err(|_| MailError::Timeout(Stage::Connect))??;
    let own = own_name(&tcp);
    let mut dialogue: Connected = match server.security {
        Security::None => Dialogue::new(Box::new(tcp), deadline),
        Security::Tls => encrypted_over(egress, server, tcp, deadline).await?,
        Security::StartTls => {
            let tcp = Dialogue::new(tcp, deadline).start_tls(&own).await?;
            encrypted_over(egress, server, tcp, deadline).await?
        }
    };
    if server.security != Security::StartTls {
        dialogue.greeting().await?;
    }
    // After STARTTLS all that was said before is forgotten (RFC 3207 section 4.2).
    let offers = dialogue.hello(&own).await?;
    if let Some((username, password)) = login {
        let signed_in = dialogue.sign_in(&offers, username, password).await;
        if let Err(error) = signed_in {
            dialogue.part(Some(&error)).await;
            return Err(error);
        }
    }
    Ok((dialogue, offers))
}

async fn encrypted_over(
    egress: &Client,
    server: &Server<'_>,
    tcp: TcpStream,
    deadline: Instant,
) -> Result<Connected, MailError> {
    let config = egress.tls_config(server.ca_pem).map_err(|_| MailError::Roots)?;
    let name = tls_name(server.host).ok_or(MailError::Tls(Failure::Name))?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let tls = timeout_at(deadline.into(), handshake).await;
    let tls = tls.map_err(|_| MailError::Timeout(Stage::Connect))?;
    let tls = tls.map_err(|error| MailError::Tls(Failure::of_handshake(&error)))?;
    Ok(Dialogue::new(Box::new(tls), deadline))
}

/// The name or address that the certificate must be for.
fn tls_name(host: &str) -> Option<ServerName<'static>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = idna::domain_to_ascii(server_name(host)).ok()?;
    ServerName::try_from(name).ok()
}

fn login<'a>(server: &Server<'a>) -> Result<Option<(&'a str, &'a Secret)>, MailError> {
    match (server.username, server.password) {
        (Some(username), Some(password)) => {
            // RFC 4616: NUL parts the two.
            if username.contains('\0') {
                return Err(MailError::input("username", "holds a NUL character"));
            }
            if password.expose().contains(&0) {
                return Err(MailError::input("password", "holds a NUL character"));
            }
            Ok(Some((username, password)))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(MailError::input("password", "is missing beside username")),
        (None, Some(_)) => Err(MailError::input("username", "is missing beside password")),
    }
}

/// The own address as a literal (RFC 5321 section 4.1.3), for a client that has no name of its own.
fn own_name(tcp: &TcpStream) -> String {
    match tcp.local_addr().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(v4)) => format!("[{v4}]"),
        Ok(IpAddr::V6(v6)) => format!("[IPv6:{v6}]"),
        Err(_) => "[127.0.0.1]".to_owned(),
    }
}
