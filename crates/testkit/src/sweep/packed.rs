//! Gzip and zlib streams, wherever they begin.

use std::io::Read;

use flate2::bufread::{GzDecoder, ZlibDecoder};

use super::view::View;

/// No stream is unpacked beyond this: test data is not that large, and bombs are.
const MOST: u64 = 64 << 20;

/// Whatever unpacks, also when the stream is cut off.
pub(super) fn deflated(bytes: &[u8]) -> Vec<View> {
    let mut view = View::of_runs("deflate");
    for start in 0..bytes.len() {
        let unpacked = match &bytes[start..] {
            rest @ [0x1f, 0x8b, 8, ..] => unpack(GzDecoder::new(rest)),
            rest @ [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => unpack(ZlibDecoder::new(rest)),
            _ => continue,
        };
        view.run(start, &unpacked);
    }
    view.into_vec()
}

fn unpack(stream: impl Read) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // An error only says where the stream ends; what came before it counts.
    let _ended = stream.take(MOST).read_to_end(&mut unpacked);
    unpacked
}
