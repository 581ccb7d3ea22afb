//! One decoding of some bytes: what came out, and where it came from.

/// Shorter pieces cannot hold a window of a value.
pub(super) const SHORTEST: usize = super::WINDOW;

/// The decoded runs of one encoding, one after the other with a NUL between them.
#[derive(Debug)]
pub(super) struct View {
    pub(super) encoding: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Pairs of an offset in `bytes` and the offset in the source that it came from, ascending.
    marks: Vec<(usize, usize)>,
    /// Whether a decoded byte stands for one byte of the source, up to the next mark.
    exact: bool,
}

impl View {
    /// A view whose offsets are known only up to the beginning of a run.
    pub(super) fn of_runs(encoding: &'static str) -> Self {
        Self { encoding, bytes: Vec::new(), marks: Vec::new(), exact: false }
    }

    /// A view that leaves most bytes as they are, with a mark after each that it does not.
    pub(super) fn of_text(encoding: &'static str) -> Self {
        Self { exact: true, ..Self::of_runs(encoding) }
    }

    /// What is pushed from here on came from `source` on.
    pub(super) fn mark(&mut self, source: usize) {
        self.marks.push((self.bytes.len(), source));
    }

    /// Adds a decoded run that began at `source`; one that is too short is left out.
    pub(super) fn run(&mut self, source: usize, decoded: &[u8]) {
        if decoded.len() >= SHORTEST {
            self.mark(source);
            self.bytes.extend_from_slice(decoded);
            self.bytes.push(0);
        }
    }

    /// Forgets everything pushed and marked since there were `length` bytes.
    pub(super) fn take_back(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.marks.truncate(self.marks.partition_point(|(at, _)| *at < length));
    }

    /// Where in the source the byte at this offset came from.
    pub(super) fn source_of(&self, offset: usize) -> usize {
        let next = self.marks.partition_point(|(at, _)| *at <= offset);
        let Some((at, source)) = next.checked_sub(1).map(|last| self.marks[last]) else {
            return offset;
        };
        if self.exact { source + (offset - at) } else { source }
    }

    /// The view, where anything was decoded.
    pub(super) fn into_vec(self) -> Vec<Self> {
        if self.bytes.len() < SHORTEST { Vec::new() } else { vec![self] }
    }
}

/// The maximal runs of bytes that `belongs` accepts, at least `shortest` long, with their offsets.
pub(super) fn runs<'a>(
    bytes: &'a [u8],
    shortest: usize,
    belongs: impl Fn(u8) -> bool + 'a,
) -> impl Iterator<Item = (usize, &'a [u8])> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes[at..].iter().position(|byte| belongs(*byte))?;
            let rest = &bytes[start..];
            let length = rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
            at = start + length;
            if length >= shortest {
                return Some((start, &rest[..length]));
            }
        }
    })
}

/// The value of a hex digit.
pub(super) fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The byte that two hex digits at the beginning stand for.
pub(super) fn hex_byte(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [high, low, ..] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    }
}
