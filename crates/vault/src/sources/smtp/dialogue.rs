//! The dialogue with a mail server (RFC 5321): commands in order, replies read in bounds, all of it
//! before one deadline.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use zeroize::Zeroizing;

use super::error::{MailError, Stage};
use super::message::Message;
use super::reply::{Line, Reply, ReplyCode};
use crate::secret::Secret;

/// Bytes of a reply's line. RFC 5321 section 4.5.3.1.5 has 512; servers are sometimes wordier.
const MAX_LINE: usize = 2048;
/// Lines of a reply.
const MAX_LINES: usize = 128;
/// A command line with its end (RFC 5321 section 4.5.3.1.4); longer sign-ins answer a challenge.
const MAX_COMMAND: usize = 512;
/// For the last words, which change nothing.
const PARTING: Duration = Duration::from_secs(1);

/// What a server offers in its answer to EHLO.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    start_tls: bool,
    plain: bool,
    login: bool,
    utf8: bool,
    /// Whether it offers SIZE (RFC 1870), and the largest message that it takes.
    size: Option<u64>,
}

impl Offers {
    fn of(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()) {
            // `AUTH=LOGIN` is how it was written before RFC 2554.
            let mut words = line.split([' ', '=']);
            match words.next() {
                Some("STARTTLS") => offers.start_tls = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("SIZE") => {
                    offers.size =
                        Some(words.next().and_then(|size| size.parse().ok()).unwrap_or(0));
                }
                Some("AUTH") => words.for_each(|mechanism| {
                    offers.plain |= mechanism == "PLAIN";
                    offers.login |= mechanism == "LOGIN";
                }),
                _ => {}
            }
        }
        offers
    }
}

/// One connection with what was read and not yet used.
pub(super) struct Dialogue<S> {
    stream: S,
    unread: Vec<u8>,
    deadline: Instant,
}

impl Dialogue<TcpStream> {
    /// Says hello in plain text and asks for TLS; gives the connection for the handshake.
    pub(super) async fn start_tls(mut self, own: &str) -> Result<TcpStream, MailError> {
        self.greeting().await?;
        if !self.hello(own).await?.start_tls {
            return Err(MailError::NoStartTls);
        }
        let reply = self.ask(Stage::StartTls, b"STARTTLS\r\n").await?;
        expect(&reply, 220, Stage::StartTls)?;
        // Else somebody on the way could put replies before TLS that count as the server's after it.
        if !self.unread.is_empty() {
            return Err(MailError::EarlyText);
        }
        Ok(self.stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    pub(super) fn new(stream: S, deadline: Instant) -> Self {
        Self { stream, unread: Vec::new(), deadline }
    }

    pub(super) async fn greeting(&mut self) -> Result<(), MailError> {
        let reply = self.reply(Stage::Greeting).await?;
        expect(&reply, 220, Stage::Greeting)
    }

    pub(super) async fn hello(&mut self, own: &str) -> Result<Offers, MailError> {
        let reply = self.ask(Stage::Hello, format!("EHLO {own}\r\n").as_bytes()).await?;
        expect(&reply, 250, Stage::Hello)?;
        Ok(Offers::of(&reply))
    }

    /// RFC 4954, with PLAIN (RFC 4616) or the older LOGIN.
    pub(super) async fn sign_in(
        &mut self,
        offers: &Offers,
        username: &str,
        password: &Secret,
    ) -> Result<(), MailError> {
        let reply = if offers.plain {
            self.auth_plain(username, password).await?
        } else if offers.login {
            self.auth_login(username, password).await?
        } else {
            return Err(MailError::NoSignIn);
        };
        match reply.code.basic() {
            235 => Ok(()),
            535 => Err(MailError::SignIn(reply.code)),
            _ => Err(MailError::Refused { stage: Stage::SignIn, code: reply.code }),
        }
    }

    async fn auth_plain(&mut self, username: &str, password: &Secret) -> Result<Reply, MailError> {
        let parts: [&[u8]; 4] = [b"\0", username.as_bytes(), b"\0", password.expose()];
        let answer = encoded(&parts);
        let whole = line(&[b"AUTH PLAIN ", answer.as_bytes()]);
        if whole.len() <= MAX_COMMAND {
            return self.ask(Stage::SignIn, &whole).await;
        }
        let challenge = self.ask(Stage::SignIn, b"AUTH PLAIN\r\n").await?;
        if challenge.code.basic() != 334 {
            return Ok(challenge);
        }
        self.ask(Stage::SignIn, &line(&[answer.as_bytes()])).await
    }

    async fn auth_login(&mut self, username: &str, password: &Secret) -> Result<Reply, MailError> {
        let mut challenge = self.ask(Stage::SignIn, b"AUTH LOGIN\r\n").await?;
        for part in [username.as_bytes(), password.expose()] {
            if challenge.code.basic() != 334 {
                return Ok(challenge);
            }
            let answer = encoded(&[part]);
            challenge = self.ask(Stage::SignIn, &line(&[answer.as_bytes()])).await?;
        }
        Ok(challenge)
    }

    /// Hands a message over for all recipients; gives the last reply's code.
    pub(super) async fn deliver(
        &mut self,
        message: &Message,
        offers: &Offers,
    ) -> Result<ReplyCode, MailError> {
        let mail = mail_command(message, offers)?;
        let reply = self.ask(Stage::Sender, mail.as_bytes()).await?;
        taken(&reply, Stage::Sender)?;
        for recipient in &message.recipients {
            let rcpt = format!("RCPT TO:<{}>\r\n", recipient.address);
            let Reply { code, .. } = self.ask(Stage::Recipients, rcpt.as_bytes()).await?;
            if !code.is_success() {
                return Err(MailError::Recipient { field: recipient.field.clone(), code });
            }
        }
        let reply = self.ask(Stage::Data, b"DATA\r\n").await?;
        expect(&reply, 354, Stage::Data)?;
        let reply = self.ask(Stage::Message, &stuffed(&message.bytes)).await?;
        taken(&reply, Stage::Message)?;
        Ok(reply.code)
    }

    pub(super) async fn idle(&mut self) -> Result<(), MailError> {
        let reply = self.ask(Stage::Idle, b"NOOP\r\n").await?;
        taken(&reply, Stage::Idle)
    }

    /// Ends the dialogue in order where it stands in order; what the server says to that does not
    /// matter.
    pub(super) async fn part(&mut self, error: Option<&MailError>) {
        if error.is_some_and(|error| !error.leaves_dialogue()) {
            return;
        }
        self.deadline = self.deadline.min(Instant::now() + PARTING);
        if error.is_some() && self.ask(Stage::Idle, b"RSET\r\n").await.is_err() {
            return;
        }
        let _ = self.ask(Stage::Idle, b"QUIT\r\n").await;
    }

    async fn ask(&mut self, stage: Stage, command: &[u8]) -> Result<Reply, MailError> {
        // A reply to nothing: the next ones would be taken for answers to other commands.
        if !self.unread.is_empty() {
            return Err(MailError::Garbage(stage));
        }
        let writing = async {
            self.stream.write_all(command).await?;
            self.stream.flush().await
        };
        match timeout_at(self.deadline.into(), writing).await {
            Ok(written) => written.map_err(|_| MailError::Broken(stage))?,
            Err(_) => return Err(MailError::Timeout(stage)),
        }
        self.reply(stage).await
    }

    async fn reply(&mut self, stage: Stage) -> Result<Reply, MailError> {
        let mut lines = Vec::new();
        let mut first = None;
        while lines.len() < MAX_LINES {
            let line = self.line(stage).await?;
            let line = Line::parse(&line).ok_or(MailError::Garbage(stage))?;
            let code = *first.get_or_insert_with(|| ReplyCode::new(line.basic, &line.text));
            if line.basic != code.basic() {
                return Err(MailError::Garbage(stage));
            }
            lines.push(line.text);
            if line.is_last {
                return Ok(Reply { code, lines });
            }
        }
        Err(MailError::Garbage(stage))
    }

    /// The next line without its end.
    async fn line(&mut self, stage: Stage) -> Result<Vec<u8>, MailError> {
        loop {
            let end = self.unread.iter().position(|byte| *byte == b'\n');
            if end.unwrap_or(self.unread.len()) > MAX_LINE {
                return Err(MailError::Garbage(stage));
            }
            if let Some(end) = end {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                line.pop_if(|last| *last == b'\r');
                return Ok(line);
            }
            self.unread.reserve(MAX_LINE);
            let reading = self.stream.read_buf(&mut self.unread);
            match timeout_at(self.deadline.into(), reading).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => return Err(MailError::Broken(stage)),
                Err(_) => return Err(MailError::Timeout(stage)),
            }
        }
    }
}

fn expect(reply: &Reply, basic: u16, stage: Stage) -> Result<(), MailError> {
    let code = reply.code;
    if code.basic() == basic { Ok(()) } else { Err(MailError::Refused { stage, code }) }
}

fn taken(reply: &Reply, stage: Stage) -> Result<(), MailError> {
    let code = reply.code;
    if code.is_success() { Ok(()) } else { Err(MailError::Refused { stage, code }) }
}

/// MAIL with its parameters: SIZE (RFC 1870), SMTPUTF8 (RFC 6531) and 8BITMIME (RFC 6152), which
/// only headers with such addresses need.
fn mail_command(message: &Message, offers: &Offers) -> Result<String, MailError> {
    let size = message.bytes.len();
    if let Some(limit) = offers.size.filter(|limit| *limit > 0 && size as u64 > *limit) {
        return Err(MailError::TooLarge { size, limit });
    }
    if message.needs_utf8 && !offers.utf8 {
        return Err(MailError::NoUtf8);
    }
    let size = offers.size.map(|_| format!(" SIZE={size}")).unwrap_or_default();
    let utf8 = if message.needs_utf8 { " BODY=8BITMIME SMTPUTF8" } else { "" };
    Ok(format!("MAIL FROM:<{}>{size}{utf8}\r\n", message.from))
}

/// Base64 of the parts together, in memory that is wiped.
fn encoded(parts: &[&[u8]]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(joined(parts)))
}

fn line(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let whole = joined(parts);
    joined(&[&whole, b"\r\n"])
}

/// Allocated once, so that growing leaves no copy behind.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut whole = Zeroizing::new(Vec::with_capacity(length));
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole
}

/// The message as DATA takes it (RFC 5321 section 4.5.2). Every line ends with CRLF, so that no lone
/// CR or LF is taken for the end of the mail.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 64 + 8);
    let mut rest = message;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, tail) = rest.split_at(end.unwrap_or(rest.len()));
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = match tail {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => tail,
        };
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_ends_it() {
        let check = |message: &str, expected: &str| {
            let found = stuffed(message.as_bytes());
            assert_eq!(String::from_utf8(found).unwrap(), expected, "{message:?}");
        };
        check("a\r\n\r\nb", "a\r\n\r\nb\r\n.\r\n");
        check("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n");
        check(".a\n.\nb", "..a\r\n..\r\nb\r\n.\r\n");
        check("a\r.\rb", "a\r\n..\r\nb\r\n.\r\n");
        check("a\n\r.\r\nb", "a\r\n\r\n..\r\nb\r\n.\r\n");
        check("", ".\r\n");
    }

    #[test]
    fn offers_are_read_in_any_case() {
        let check = |lines: &[&str], expected: Offers| {
            let lines = [&["host"], lines].concat();
            let lines = lines.iter().map(ToString::to_string).collect();
            let found = Offers::of(&Reply { code: ReplyCode::new(250, ""), lines });
            assert_eq!(found, expected);
        };
        check(&[], Offers::default());
        check(&["StartTLS"], Offers { start_tls: true, ..Offers::default() });
        check(&["STARTTLSX", "X STARTTLS"], Offers::default());
        check(&["AUTH LOGIN plain"], Offers { plain: true, login: true, ..Offers::default() });
        check(&["AUTH=LOGIN"], Offers { login: true, ..Offers::default() });
        check(&["SIZE 10", "SMTPUTF8"], Offers { size: Some(10), utf8: true, ..Offers::default() });
        check(&["SIZE"], Offers { size: Some(0), ..Offers::default() });
    }
}
