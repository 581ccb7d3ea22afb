//! What the server answers, and how badly.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// An answer of the echo server.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    /// Sends the body in pieces of so many bytes, with a pause before each.
    drip: Option<(usize, Duration)>,
    /// Closes the connection after so many bytes of the body.
    cut: Option<usize>,
    /// Closes the connection without a word.
    silent: bool,
}

impl Reply {
    /// An answer with that status and an empty body.
    pub fn status(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, delay: Duration::ZERO, drip: None, cut: None, silent: false }
    }

    /// None: the connection is closed in place of an answer.
    pub fn hang_up() -> Self {
        Self { silent: true, ..Self::status(0) }
    }

    /// 200 with JSON.
    pub fn json(value: &Value) -> Self {
        Self::status(200).header("Content-Type", "application/json").body(value.to_string())
    }

    /// 200 with plain text.
    pub fn text(text: &str) -> Self {
        Self::status(200).header("Content-Type", "text/plain; charset=utf-8").body(text)
    }

    /// A redirect with that status to that place.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    /// 200 with a body that is sent packed by gzip.
    pub fn gzip(body: impl AsRef<[u8]>) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(body.as_ref()).expect("memory takes all");
        let packed = packer.finish().expect("memory takes all");
        Self::status(200).header("Content-Encoding", "gzip").body(packed)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Waits before it answers.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends the body in pieces of `size` bytes with a pause before each.
    #[must_use]
    pub fn dripping(mut self, size: usize, pause: Duration) -> Self {
        self.drip = Some((size.max(1), pause));
        self
    }

    /// Promises the whole body and closes the connection after `bytes` of it.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Sends it; whether the connection goes on.
    pub(crate) fn send(&self, stream: &mut impl Write) -> io::Result<bool> {
        thread::sleep(self.delay);
        if self.silent {
            return Ok(false);
        }
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        // Where a test sets the length itself, the lie is what it wants to see.
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let sent = &self.body[..self.cut.unwrap_or(usize::MAX).min(self.body.len())];
        match self.drip {
            None => super::send(stream, &[head.as_bytes(), sent].concat())?,
            Some((size, pause)) => {
                super::send(stream, head.as_bytes())?;
                for piece in sent.chunks(size) {
                    thread::sleep(pause);
                    super::send(stream, piece)?;
                }
            }
        }
        Ok(self.cut.is_none())
    }
}
