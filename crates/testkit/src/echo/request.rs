//! What a client sent, read without changing anything.

use std::io::{self, BufRead, Read, Write};

use serde_json::{Value, json};

/// A request as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names and values in order, the names in the case they had.
    pub headers: Vec<(String, String)>,
    /// The body; the chunks of a chunked one put together.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of the first header with that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query without its question mark; empty where there is none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The host that was asked, without a port.
    pub fn host(&self) -> &str {
        let host = self.header("host").unwrap_or_default();
        host.split(':').next().unwrap_or_default()
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The request as the server answers it by default.
    pub(super) fn as_json(&self) -> Value {
        let Self { method, target, headers, .. } = self;
        json!({ "method": method, "target": target, "headers": headers, "body": self.text() })
    }
}

/// The next request of a connection; none where the client has closed it.
pub(crate) fn read(
    reader: &mut impl BufRead,
    writer: &mut impl Write,
) -> io::Result<Option<Received>> {
    let Some(first) = line(reader)? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other("no request line"));
    };
    let mut headers = Vec::new();
    while let Some(header) = line(reader)?.filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut received = Received { method, target, headers, body: Vec::new() };
    if received.header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        super::send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    received.body = body(reader, &received)?;
    Ok(Some(received))
}

fn body(reader: &mut impl BufRead, received: &Received) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let coding = received.header("transfer-encoding").unwrap_or_default();
    if coding.eq_ignore_ascii_case("chunked") {
        loop {
            let size = line(reader)?.unwrap_or_default();
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            reader.by_ref().take(size).read_to_end(&mut body)?;
            line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = received.header("content-length").and_then(|length| length.parse().ok());
    reader.by_ref().take(length.unwrap_or(0)).read_to_end(&mut body)?;
    Ok(body)
}

/// A line without its end; header bytes that are not UTF-8 are read as Latin-1.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let latin = || text.iter().copied().map(char::from).collect();
    Ok(Some(std::str::from_utf8(text).map_or_else(|_| latin(), str::to_owned)))
}
