//! Decompresses a body as it arrives, and stops at a size or a ratio.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::error::{Excess, Failure};
use crate::response::Unread;

/// Below this many bytes the ratio does not count: short texts may well be that repetitive.
const RATIO_FROM: usize = 64 * 1024;

/// A content coding that is understood (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The coding that the headers name, where it is the only one and a known one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let only = values.next().filter(|_| values.next().is_none())?;
        match only.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

/// A decoder that writes into a bounded buffer.
pub(crate) struct Decoder {
    coding: Coding,
    /// None before the first byte, which tells whether `deflate` has its zlib header.
    stage: Option<Stage>,
    max: usize,
    ratio: usize,
    received: usize,
}

enum Stage {
    Gzip(MultiGzDecoder<Bounded>),
    Zlib(ZlibDecoder<Bounded>),
    Raw(DeflateDecoder<Bounded>),
}

#[derive(Default)]
struct Bounded {
    out: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.out.len().saturating_add(data.len()) > self.limit {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage {
    fn begin(coding: Coding, first: u8) -> Self {
        let sink = Bounded::default();
        match coding {
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(sink)),
            // RFC 1950 section 2.2: the low half of its first byte is 8. Some send RFC 1951 bare.
            Coding::Deflate if first & 0x0f == 8 => Self::Zlib(ZlibDecoder::new(sink)),
            Coding::Deflate => Self::Raw(DeflateDecoder::new(sink)),
        }
    }

    fn sink(&mut self) -> &mut Bounded {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
        }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.write_all(data),
            Self::Zlib(decoder) => decoder.write_all(data),
            Self::Raw(decoder) => decoder.write_all(data),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
        }
    }

    fn why(&mut self) -> Unread {
        if self.sink().exceeded {
            return Unread::TooLarge(Excess::Decompressed);
        }
        Unread::Failed(Failure::Decode)
    }
}

impl Decoder {
    pub(crate) fn new(coding: Coding, max: usize, ratio: usize) -> Self {
        Self { coding, stage: None, max, ratio, received: 0 }
    }

    pub(crate) fn push(&mut self, data: &[u8]) -> Result<(), Unread> {
        let Some(first) = data.first() else {
            return Ok(());
        };
        self.received = self.received.saturating_add(data.len());
        let stage = self.stage.get_or_insert_with(|| Stage::begin(self.coding, *first));
        let allowed = self.received.saturating_mul(self.ratio).max(RATIO_FROM);
        stage.sink().limit = allowed.min(self.max);
        stage.write(data).map_err(|_| stage.why())
    }

    /// The whole body. A gzip body that ends before its end mark is an error.
    pub(crate) fn finish(self) -> Result<Bytes, Unread> {
        let Some(mut stage) = self.stage else {
            return Ok(Bytes::new());
        };
        stage.end().map_err(|_| stage.why())?;
        Ok(std::mem::take(&mut stage.sink().out).into())
    }
}
