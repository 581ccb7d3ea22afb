//! What came back: read within limits, decompressed, unmasked; for the broker's eyes.

use std::fmt;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{self, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::decode::{Coding, Decoder};
use crate::error::{Excess, Failure};

/// One hop's answer, redirects included. Whatever it echoes is still in it.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The HTTP/1 reason phrase where it is not the status's own.
    pub reason: Option<Vec<u8>>,
    /// Headers in order, names in lower case. `content-encoding` and `content-length` are gone where
    /// the body was decompressed; a `content-encoding` that is left says that it could not be.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, decompressed from gzip or deflate.
    pub body: Bytes,
    /// Trailers in order, names in lower case.
    pub trailers: Vec<(String, Vec<u8>)>,
}

/// Shows sizes only: headers and body may echo what was sent.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers.len())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// How much of an answer is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the body on the wire.
    pub(crate) body: usize,
    /// Bytes of headers, and again of trailers.
    pub(crate) headers: usize,
    /// Bytes of the body after decompression.
    pub(crate) decompressed: usize,
    /// Decompressed bytes for each byte on the wire.
    pub(crate) ratio: usize,
}

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Failed(Failure),
    TooLarge(Excess),
}

/// Reads an answer to its end.
pub(crate) async fn read(
    answer: http::Response<Incoming>,
    limits: Limits,
    is_head: bool,
) -> Result<Response, Unread> {
    let (mut parts, body) = answer.into_parts();
    if size(&parts.headers) > limits.headers {
        return Err(Unread::TooLarge(Excess::Headers));
    }
    let reason = parts.extensions.remove::<hyper::ext::ReasonPhrase>();
    let reason = reason.map(|reason| reason.as_bytes().to_vec());
    let coding = if is_head { None } else { Coding::of(&parts.headers) };
    let (body, trailers) = read_body(body, limits, coding).await?;
    if coding.is_some() && !body.is_empty() {
        parts.headers.remove(header::CONTENT_ENCODING);
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let trailers = trailers.as_ref().map(listed).unwrap_or_default();
    let headers = listed(&parts.headers);
    Ok(Response { status: parts.status.as_u16(), reason, headers, body, trailers })
}

async fn read_body(
    mut body: Incoming,
    limits: Limits,
    coding: Option<Coding>,
) -> Result<(Bytes, Option<HeaderMap>), Unread> {
    // A length that is announced spares reading up to the limit.
    if body.size_hint().lower() > limits.body as u64 {
        return Err(Unread::TooLarge(Excess::Body));
    }
    let mut sink = Sink::new(coding, limits);
    let mut trailers = None;
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Unread::Failed(body_failure(&error)))?;
        match frame.into_data() {
            Ok(data) => {
                received = received.saturating_add(data.len());
                if received > limits.body {
                    return Err(Unread::TooLarge(Excess::Body));
                }
                sink.push(data)?;
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if trailers.as_ref().is_some_and(|trailers| size(trailers) > limits.headers) {
        return Err(Unread::TooLarge(Excess::Headers));
    }
    Ok((sink.finish()?, trailers))
}

/// Where the body goes: kept as it came, or through a decoder.
enum Sink {
    One(Bytes),
    Many(BytesMut),
    Decoded(Box<Decoder>),
}

impl Sink {
    fn new(coding: Option<Coding>, limits: Limits) -> Self {
        match coding {
            Some(coding) => {
                Self::Decoded(Box::new(Decoder::new(coding, limits.decompressed, limits.ratio)))
            }
            None => Self::One(Bytes::new()),
        }
    }

    fn push(&mut self, data: Bytes) -> Result<(), Unread> {
        match self {
            Self::One(first) if first.is_empty() => *first = data,
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(first.len() + data.len());
                all.extend_from_slice(first);
                all.extend_from_slice(&data);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(&data),
            Self::Decoded(decoder) => decoder.push(&data)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Bytes, Unread> {
        match self {
            Self::One(body) => Ok(body),
            Self::Many(body) => Ok(body.freeze()),
            Self::Decoded(decoder) => decoder.finish(),
        }
    }
}

fn body_failure(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::NotHttp } else { Failure::Incomplete }
}

fn size(headers: &HeaderMap) -> usize {
    // Each line has a colon, a space and a line break.
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn listed(headers: &HeaderMap<HeaderValue>) -> Vec<(String, Vec<u8>)> {
    let line = |(name, value): (&http::HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    headers.iter().map(line).collect()
}
