//! The frames between server and step: two lengths, a JSON header, raw bytes.
//!
//! The step's side is hostile. Lengths are capped before anything is kept, headers follow a strict
//! schema (serde_json bounds their depth), and a body is never parsed here.

use crate::error::ScriptError;
use crate::shape::Shape;
use crate::step::{KeyLiteral, Language, Level, Redirect};
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    Compiled { keys: Vec<String>, literals: Vec<KeyLiteral>, returns: Shape },
    /// No body.
    Refused { line: u32, column: u32, message: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchHeader {
    pub(crate) id: u32,
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) credential: Option<String>,
    pub(crate) redirect: Redirect,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_all(
        bytes: &[u8],
        pieces: &[usize],
        cap: usize,
    ) -> Result<Vec<(FromStep, Bytes)>, WireError> {
        let mut decoder = Decoder::<FromStep>::new(1_000);
        let (mut rest, mut frames, mut piece) = (bytes, Vec::new(), pieces.iter().cycle());
        loop {
            while let Some(frame) = decoder.next(|_| cap)? {
                frames.push(frame);
            }
            assert!(decoder.buffer.len() < PREFIX + 1_000 + cap + 64, "the buffer is bounded");
            if rest.is_empty() {
                return Ok(frames);
            }
            let take = piece.next().copied().unwrap_or(1).clamp(1, rest.len());
            let (now, later) = rest.split_at(take);
            decoder.buffer.extend_from_slice(now);
            rest = later;
        }
    }

    fn some_frame() -> impl Strategy<Value = (FromStep, Vec<u8>)> {
        let text = ".{0,20}";
        let header = prop_oneof![
            Just(FromStep::Log { level: Level::Warn }),
            any::<u32>().prop_map(|id| FromStep::Abort { id }),
            Just(FromStep::Output {}),
            (text, text, any::<Option<u32>>()).prop_map(|(code, message, line)| {
                FromStep::Failed { code, message, key: None, line }
            }),
            (any::<u32>(), text, proptest::collection::vec((text, text), 0..4)).prop_map(
                |(id, url, headers)| FromStep::Fetch(FetchHeader {
                    id,
                    url,
                    method: "GET".to_owned(),
                    headers,
                    credential: None,
                    redirect: Redirect::Follow,
                })
            ),
        ];
        (header, proptest::collection::vec(any::<u8>(), 0..100))
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            frames in proptest::collection::vec(some_frame(), 0..6),
            pieces in proptest::collection::vec(1_usize..60, 1..8),
        ) {
            let mut bytes = Vec::new();
            for (header, body) in &frames {
                encode(&mut bytes, header, &[body.as_slice()]).expect("it fits");
            }
            let decoded = decode_all(&bytes, &pieces, 100).expect("valid frames");
            let expected: Vec<_> =
                frames.into_iter().map(|(header, body)| (header, Bytes::from(body))).collect();
            prop_assert_eq!(decoded, expected);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
            pieces in proptest::collection::vec(1_usize..60, 1..8),
        ) {
            // What matters is that it returns, within its bounds.
            let _ = decode_all(&bytes, &pieces, 500);
        }

        #[test]
        fn a_damaged_frame_is_a_frame_or_an_error(
            (header, body) in some_frame(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &header, &[body.as_slice()]).expect("it fits");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode_all(&bytes, &[7], 500);
        }
    }

    #[test]
    fn lengths_are_refused_before_anything_is_kept() {
        let prefix = |header: u32, body: u32| [header.to_le_bytes(), body.to_le_bytes()].concat();
        let log = br#"{"log":{"level":"info"}}"#;
        let with_header = |body| [prefix(log.len() as u32, body).as_slice(), log].concat();
        for (bytes, expected) in [
            (prefix(1_001, 0), Err(WireError::TooLong)),
            (prefix(u32::MAX, u32::MAX), Err(WireError::TooLong)),
            (prefix(1_000, u32::MAX), Ok(0)),
            (with_header(501), Err(WireError::TooLong)),
            (with_header(500), Ok(0)),
            (with_header(0), Ok(1)),
            (prefix(0, 0), Err(WireError::Malformed)),
        ] {
            let got = decode_all(&bytes, &[3], 500).map(|frames| frames.len());
            assert_eq!(got, expected, "{bytes:?}");
        }
    }
}
