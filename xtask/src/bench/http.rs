//! The least HTTP/1.1 client that keeps a connection open: one request out, one answer in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(30);

/// A place on a server of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Host and port.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

impl Url {
    /// Reads `http://host:port/path`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let rest = text.strip_prefix("http://").with_context(|| format!("{text} is not http"))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self { authority: authority.to_owned(), path: format!("/{path}") })
    }

    /// The same server, another path.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { authority: self.authority.clone(), path: path.to_owned() }
    }
}

/// The bytes of a request.
pub(super) fn request(method: &str, url: &Url, token: Option<&str>, body: &str) -> Vec<u8> {
    let Url { authority, path } = url;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(token) = token {
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// An answer's status and body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// A connection that is used again and again.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Bytes received that belong to no answer yet.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects to the server of that URL.
    pub(super) fn open(url: &Url) -> Result<Self> {
        let stream = TcpStream::connect(&url.authority)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Sends the request and waits for its answer.
    pub(super) fn exchange(&mut self, request: &[u8]) -> Result<Response> {
        self.stream.write_all(request)?;
        loop {
            if let Some((response, length)) = parse(&self.buffer)? {
                self.buffer.drain(..length);
                return Ok(response);
            }
            let mut piece = [0; 16 * 1024];
            let length = self.stream.read(&mut piece)?;
            match piece.get(..length) {
                None | Some([]) => {
                    bail!("the server closed the connection before its answer ended")
                }
                Some(bytes) => self.buffer.extend_from_slice(bytes),
            }
        }
    }
}

/// The answer that the bytes begin with and its length, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(Response, usize)>> {
    let Some(head_length) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else { return Ok(None) };
    let head = String::from_utf8_lossy(bytes.get(..head_length).unwrap_or_default());
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.context("the answer has no status")?;
    let (mut length, mut chunked) = (0, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse()?,
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let rest = bytes.get(head_length..).unwrap_or_default();
    let body =
        if chunked { chunks(rest)? } else { rest.get(..length).map(|b| (b.to_vec(), length)) };
    Ok(body.map(|(body, length)| (Response { status, body }, head_length + length)))
}

/// A chunked body and its length on the wire, once it is whole.
fn chunks(mut rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let whole = rest.len();
    let mut body = Vec::new();
    loop {
        let Some(line) = find(rest, b"\r\n") else { return Ok(None) };
        let size = String::from_utf8_lossy(rest.get(..line).unwrap_or_default()).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no size")?;
        let Some(after) = rest.get(line + 2 + size + 2..) else { return Ok(None) };
        body.extend_from_slice(rest.get(line + 2..line + 2 + size).unwrap_or_default());
        rest = after;
        if size == 0 {
            return Ok(Some((body, whole - rest.len())));
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use keyward_testkit::echo::{Echo, Reply};

    use super::{Connection, Response, Url, parse, request};

    #[test]
    fn answers_are_whole_or_not_there_yet() {
        let cases: [(&str, Option<(&str, usize)>); 5] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", Some(("ab", 40))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", None),
            ("HTTP/1.1 200 OK\r\nContent-Le", None),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
                Some(("a", 58)),
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", None),
        ];
        for (bytes, expected) in cases {
            let expected = expected
                .map(|(body, length)| (Response { status: 200, body: body.into() }, length));
            assert_eq!(parse(bytes.as_bytes()).expect("HTTP"), expected, "{bytes}");
        }
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }

    #[test]
    fn one_connection_serves_many_requests() {
        let echo = Echo::start();
        let url = Url::parse(&echo.url("/hook?a=1")).expect("a URL");
        assert_eq!(url.at("/x").path, "/x");
        let mut connection = Connection::open(&url).expect("connected");
        for body in ["first", ""] {
            echo.queue(Reply::text(body));
            let response =
                connection.exchange(&request("POST", &url, Some("t"), body)).expect("answered");
            assert_eq!(response, Response { status: 200, body: body.into() });
        }
        let received = echo.received();
        assert_eq!(
            (received[0].target.as_str(), received[0].text().as_str()),
            ("/hook?a=1", "first")
        );
        assert_eq!(received[0].header("authorization"), Some("Bearer t"));
    }
}
