//! The packets of MySQL's protocol, and the numbers and texts in them, least significant byte first.

use crate::sources::SourceError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// The length at which a payload goes on in the next packet.
const FULL: usize = 0xff_ffff;

/// A stream, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Packets in both directions.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    /// Of the next packet, in whichever direction; a command begins with 0.
    sequence: u8,
}

impl Wire {
    /// `sequence`: of the next packet.
    pub(super) fn new(stream: Box<dyn Stream>, sequence: u8) -> Self {
        Self { stream: BufReader::new(stream), sequence }
    }

    pub(super) async fn send_command(
        &mut self,
        command: u8,
        body: &[u8],
    ) -> Result<(), SourceError> {
        self.sequence = 0;
        let mut payload = Vec::with_capacity(1 + body.len());
        payload.push(command);
        payload.extend_from_slice(body);
        self.send(&payload).await
    }

    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), SourceError> {
        let mut written = Vec::with_capacity(payload.len() + 4);
        let (full, rest) = payload.as_chunks::<FULL>();
        // A payload of just that length ends with an empty packet.
        for part in full.iter().map(<[u8; FULL]>::as_slice).chain([rest]) {
            let [low, middle, high, ..] = part.len().to_le_bytes();
            written.extend_from_slice(&[low, middle, high, self.sequence]);
            written.extend_from_slice(part);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.stream.write_all(&written).await.map_err(|_| SourceError::Broken)?;
        self.stream.flush().await.map_err(|_| SourceError::Broken)
    }

    pub(super) async fn receive(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut payload = Vec::new();
        loop {
            let (part, sequence) = read_packet(&mut self.stream).await?;
            if sequence != self.sequence {
                return Err(SourceError::Protocol);
            }
            self.sequence = self.sequence.wrapping_add(1);
            payload.extend_from_slice(&part);
            if part.len() < FULL {
                return Ok(payload);
            }
        }
    }
}

/// One packet and its number. Reads no byte beyond it.
pub(super) async fn read_packet(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<(Vec<u8>, u8), SourceError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.map_err(|_| SourceError::Broken)?;
    let [low, middle, high, sequence] = header;
    let length = u32::from_le_bytes([low, middle, high, 0]);
    let mut payload = Vec::new();
    let read = stream.take(u64::from(length)).read_to_end(&mut payload).await;
    match read {
        Ok(read) if u32::try_from(read) == Ok(length) => Ok((payload, sequence)),
        _ => Err(SourceError::Broken),
    }
}

/// What of a packet is still to be read.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], SourceError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SourceError::Protocol)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], SourceError> {
        self.take(N)?.try_into().map_err(|_| SourceError::Protocol)
    }

    pub(super) fn u8(&mut self) -> Result<u8, SourceError> {
        self.fixed().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, SourceError> {
        self.fixed().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, SourceError> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// A length-encoded integer.
    pub(super) fn length(&mut self) -> Result<u64, SourceError> {
        Ok(match self.u8()? {
            0xfc => u64::from(self.u16()?),
            0xfd => {
                let [low, middle, high] = self.fixed()?;
                u64::from(u32::from_le_bytes([low, middle, high, 0]))
            }
            0xfe => u64::from_le_bytes(self.fixed()?),
            0xfb | 0xff => return Err(SourceError::Protocol),
            small => u64::from(small),
        })
    }

    /// A length-encoded string.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], SourceError> {
        let length = usize::try_from(self.length()?).map_err(|_| SourceError::Protocol)?;
        self.take(length)
    }

    /// What stands before the next zero byte.
    pub(super) fn until_zero(&mut self) -> Result<&'a [u8], SourceError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(SourceError::Protocol)?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Appends a length-encoded string.
pub(super) fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len();
    let [a, b, c, ..] = length.to_le_bytes();
    match length {
        0..=0xfa => out.push(a),
        0xfb..=0xffff => out.extend_from_slice(&[0xfc, a, b]),
        0x1_0000..=0xff_ffff => out.extend_from_slice(&[0xfd, a, b, c]),
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}
