//! The frames between server and step: two lengths, a JSON header, raw bytes.
//!
//! The step's side is hostile. Lengths are capped before anything is kept, headers follow a strict
//! schema (serde_json bounds their depth), and a body is never parsed here.

use crate::error::ScriptError;
use crate::step::{Language, Level, Redirect};
use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes before the header: header length, then body length, both u32 little endian.
const PREFIX: usize = 8;
/// Largest header that a step may send.
pub(crate) const STEP_HEADER: usize = 256 << 10;

/// Why bytes are not a frame. The step that sent them is ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("a frame is longer than allowed")]
    TooLong,
    #[error("a frame has a malformed header")]
    Malformed,
}

/// From the server to a step's process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ToStep {
    /// Body: the parts, one after the other.
    Run(RunHeader),
    /// Body: the source.
    Compile { language: Language },
    /// Body: of the response.
    Fetched { id: u32, answer: Result<FetchedHeader, ScriptError> },
    /// Body: the answer.
    Answered { id: u32, error: Option<ScriptError> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunHeader {
    pub(crate) memory_bytes: usize,
    pub(crate) output_bytes: usize,
    pub(crate) log_bytes: usize,
    pub(crate) request_bytes: usize,
    pub(crate) fetches_at_once: u32,
    pub(crate) cpu_seconds: u64,
    /// Lengths in the body of javascript, trigger, steps, run, item (0: none) and credentials (JSON).
    pub(crate) parts: [usize; 6],
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchedHeader {
    pub(crate) status: u16,
    pub(crate) status_text: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) redirected: bool,
}

/// From a step's process to the server.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum FromStep {
    /// Body: the text.
    Log { level: Level },
    /// Body: of the request.
    Fetch(FetchHeader),
    /// No body.
    Abort { id: u32 },
    /// Body: the message to sign, where there is one.
    Ask { id: u32, ask: AskHeader },
    /// Body: the output.
    Output {},
    /// No body.
    Failed { code: String, message: String, key: Option<String>, line: Option<u32> },
    /// Body: the compiled source.
    Compiled { keys: Vec<String> },
    /// No body.
    Refused { line: u32, column: u32, message: String },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchHeader {
    pub(crate) id: u32,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) credential: Option<String>,
    pub(crate) redirect: Redirect,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskHeader {
    pub(crate) kind: AskKind,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) field: Option<String>,
    #[serde(default)]
    pub(crate) algorithm: Option<String>,
    #[serde(default)]
    pub(crate) encoding: Option<String>,
    #[serde(default)]
    pub(crate) signature: Option<String>,
    #[serde(default)]
    pub(crate) claims: Option<String>,
    #[serde(default)]
    pub(crate) header: Option<String>,
    #[serde(default)]
    pub(crate) expires_in: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AskKind {
    Expose,
    Basic,
    Base64,
    Hmac,
    Jwt,
    VerifyHmac,
}

/// Appends one frame. Fails where a length does not fit its field.
pub(crate) fn encode<H: Serialize>(
    out: &mut Vec<u8>,
    header: &H,
    body: &[&[u8]],
) -> Result<(), WireError> {
    let body_len: usize = body.iter().map(|part| part.len()).sum();
    let body_field = u32::try_from(body_len).map_err(|_| WireError::TooLong)?;
    encode_head(out, header, body_field)?;
    out.reserve(body_len);
    for part in body {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// Appends a frame up to its body, which the caller sends.
pub(crate) fn encode_head<H: Serialize>(
    out: &mut Vec<u8>,
    header: &H,
    body_len: u32,
) -> Result<(), WireError> {
    let header = serde_json::to_vec(header).map_err(|_| WireError::Malformed)?;
    let header_len = u32::try_from(header.len()).map_err(|_| WireError::TooLong)?;
    out.reserve(PREFIX + header.len());
    out.extend_from_slice(&header_len.to_le_bytes());
    out.extend_from_slice(&body_len.to_le_bytes());
    out.extend_from_slice(&header);
    Ok(())
}

/// Cuts frames out of a stream of bytes, whatever pieces they come in.
pub(crate) struct Decoder<H> {
    pub(crate) buffer: BytesMut,
    header_cap: usize,
    header: Option<(H, usize)>,
}

impl<H: DeserializeOwned> Decoder<H> {
    pub(crate) fn new(header_cap: usize) -> Self {
        Self { buffer: BytesMut::new(), header_cap, header: None }
    }

    /// The next whole frame, or none until more bytes are in `buffer`.
    /// `body_cap` says how long the body of such a frame may be.
    pub(crate) fn next(
        &mut self,
        body_cap: impl Fn(&H) -> usize,
    ) -> Result<Option<(H, Bytes)>, WireError> {
        if self.header.is_none() {
            self.header = self.read_header(body_cap)?;
        }
        match self.header.take() {
            Some((header, body)) if self.buffer.len() >= body => {
                Ok(Some((header, self.buffer.split_to(body).freeze())))
            }
            unfinished => {
                self.header = unfinished;
                Ok(None)
            }
        }
    }

    fn read_header(
        &mut self,
        body_cap: impl Fn(&H) -> usize,
    ) -> Result<Option<(H, usize)>, WireError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h] = *prefix;
        let header_len = u32::from_le_bytes([a, b, c, d]) as usize;
        let body_len = u32::from_le_bytes([e, f, g, h]) as usize;
        if header_len > self.header_cap {
            return Err(WireError::TooLong);
        }
        let Some(header) = self.buffer.get(PREFIX..PREFIX + header_len) else { return Ok(None) };
        let header: H = serde_json::from_slice(header).map_err(|_| WireError::Malformed)?;
        if body_len > body_cap(&header) {
            return Err(WireError::TooLong);
        }
        self.buffer.advance(PREFIX + header_len);
        Ok(Some((header, body_len)))
    }
}
