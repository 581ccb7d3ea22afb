//! Backup files: compressed and sealed as a whole under a key derived from the root key, in chunks that
//! cannot be cut, reordered or taken from another file (docs/sealed-format.md).

use crate::bytes::{Key, random};
use crate::keys::backup_key;
use crate::root::RootKey;
use crate::vault::VaultError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{self, Read, Write};

const MAGIC: &[u8; 14] = b"keyward-backup";
const VERSION: u8 = 1;
const FINGERPRINT: usize = 19;
const SALT: usize = 32;
const HEADER: usize = MAGIC.len() + 1 + FINGERPRINT + SALT;
/// How much a chunk holds; only the last holds less.
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

/// Why a backup file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BackupFileError {
    /// It begins like something else.
    #[error("this is not a keyward backup")]
    NotABackup,
    /// A newer release wrote it.
    #[error("this backup is of format {0}, which this release does not know: use a newer one")]
    NewerFormat(u8),
    /// Another key than the one that it was made with.
    #[error("this backup was sealed by the root key {expected}; the key here is {found}")]
    OtherKey {
        /// The fingerprint of the key that sealed the file.
        expected: String,
        /// The fingerprint of the key at hand.
        found: String,
    },
    /// A chunk does not open, or the last one is missing.
    #[error("this backup is damaged: it was cut off or altered")]
    Damaged,
    /// Keys or random bytes.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a file begins with; authenticated with each chunk.
struct Header([u8; HEADER]);

impl Header {
    fn new(fingerprint: &str, salt: &[u8; SALT]) -> Self {
        let mut bytes = [0; HEADER];
        let parts: [&[u8]; 4] = [MAGIC, &[VERSION], fingerprint.as_bytes(), salt];
        bytes.iter_mut().zip(parts.concat()).for_each(|(slot, byte)| *slot = byte);
        Self(bytes)
    }

    fn read(input: &mut impl Read) -> Result<Self, BackupFileError> {
        let mut bytes = Vec::new();
        input.take(HEADER as u64).read_to_end(&mut bytes)?;
        let version = bytes.strip_prefix(MAGIC).and_then(|rest| rest.first().copied());
        match version.ok_or(BackupFileError::NotABackup)? {
            VERSION => bytes.try_into().map(Self).map_err(|_| BackupFileError::Damaged),
            newer => Err(BackupFileError::NewerFormat(newer)),
        }
    }

    fn fingerprint(&self) -> Result<String, BackupFileError> {
        let bytes = self.0.get(MAGIC.len() + 1..HEADER - SALT).unwrap_or_default();
        let is_one = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
        match bytes.iter().all(is_one) {
            true => Ok(String::from_utf8_lossy(bytes).into_owned()),
            false => Err(BackupFileError::Damaged),
        }
    }

    fn key(&self, root: &RootKey) -> Key {
        backup_key(root, self.0.get(HEADER - SALT..).unwrap_or_default())
    }
}

/// The fingerprint of the root key that sealed a file, as its header says. Not authenticated: only
/// opening the file is.
///
/// # Errors
/// `NotABackup`, `NewerFormat`, `Damaged` or `Io`.
pub fn sealed_by(input: &mut impl Read) -> Result<String, BackupFileError> {
    Header::read(input)?.fingerprint()
}

/// Opens every chunk of a file and keeps nothing.
///
/// # Errors
/// Any, where the file is not whole or not this key's.
pub fn check(root: &RootKey, input: impl Read) -> Result<(), BackupFileError> {
    let mut opener = Opener::new(root, input, CHUNK)?;
    while opener.next()? {}
    Ok(())
}

/// Compresses and seals what is written to it. Without `finish` the file stays one that was cut off.
pub struct BackupWriter<W: Write>(DeflateEncoder<Sealer<W>>);

impl<W: Write> BackupWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// `Vault` without random bytes, `Io` where the header cannot be written.
    pub fn new(root: &RootKey, out: W) -> Result<Self, BackupFileError> {
        // Most of what is large is text; the fast level halves it and is not what one waits for.
        Ok(Self(DeflateEncoder::new(Sealer::new(root, out, CHUNK)?, Compression::fast())))
    }

    /// Seals the last chunk; gives back what it was all written to.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()?.finish()
    }
}

impl<W: Write> Write for BackupWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads what a file holds. A chunk that does not open is an error of the kind `InvalidData`.
pub struct BackupReader<R: Read>(DeflateDecoder<Opener<R>>);

impl<R: Read> BackupReader<R> {
    /// Opens a file.
    ///
    /// # Errors
    /// Any; of the chunks only the first is looked at.
    pub fn new(root: &RootKey, input: R) -> Result<Self, BackupFileError> {
        Ok(Self(DeflateDecoder::new(Opener::new(root, input, CHUNK)?)))
    }
}

impl<R: Read> Read for BackupReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

/// STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015): each chunk's nonce holds its number and
/// whether it is the last. The key is the file's own, so no nonce comes twice.
struct Stream {
    key: LessSafeKey,
    header: Header,
    number: u64,
}

impl Stream {
    fn new(root: &RootKey, header: Header) -> Result<Self, BackupFileError> {
        let key = UnboundKey::new(&AES_256_GCM, header.key(root).bytes());
        let key = LessSafeKey::new(key.map_err(|_| VaultError::Unreadable)?);
        Ok(Self { key, header, number: 0 })
    }

    fn nonce(&mut self, is_last: bool) -> Nonce {
        let [a, b, c, d, e, f, g, h] = self.number.to_be_bytes();
        self.number += 1;
        Nonce::assume_unique_for_key([0, 0, 0, a, b, c, d, e, f, g, h, u8::from(is_last)])
    }
}

struct Sealer<W: Write> {
    out: W,
    stream: Stream,
    chunk: Vec<u8>,
    size: usize,
}

impl<W: Write> Sealer<W> {
    fn new(root: &RootKey, mut out: W, size: usize) -> Result<Self, BackupFileError> {
        let header = Header::new(&root.fingerprint(), &random()?);
        out.write_all(&header.0)?;
        let stream = Stream::new(root, header)?;
        Ok(Self { out, stream, chunk: Vec::with_capacity(size + TAG), size })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.stream.nonce(is_last);
        let aad = Aad::from(&self.stream.header.0);
        let sealed = self.stream.key.seal_in_place_append_tag(nonce, aad, &mut self.chunk);
        sealed.map_err(|_| io::Error::other("a chunk cannot be sealed"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    /// A full chunk waits until more comes: it might be the last.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == self.size && !bytes.is_empty() {
            self.seal(false)?;
        }
        let (now, _) = bytes.split_at(bytes.len().min(self.size - self.chunk.len()));
        self.chunk.extend_from_slice(now);
        Ok(now.len())
    }

    /// What waits in a chunk is written with it.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Opener<R: Read> {
    input: R,
    stream: Stream,
    /// The open chunk, and how much of it was read.
    chunk: Vec<u8>,
    read: usize,
    /// The next one, still sealed; `None` after the last.
    ahead: Option<Vec<u8>>,
    size: usize,
}

impl<R: Read> Opener<R> {
    fn new(root: &RootKey, mut input: R, size: usize) -> Result<Self, BackupFileError> {
        let header = Header::read(&mut input)?;
        let (expected, found) = (header.fingerprint()?, root.fingerprint());
        if expected != found {
            return Err(BackupFileError::OtherKey { expected, found });
        }
        let stream = Stream::new(root, header)?;
        let mut opener = Self { input, stream, chunk: Vec::new(), read: 0, ahead: None, size };
        opener.ahead = Some(opener.sealed()?);
        opener.next()?;
        Ok(opener)
    }

    /// The next sealed chunk; empty at the end.
    fn sealed(&mut self) -> io::Result<Vec<u8>> {
        let whole = self.size + TAG;
        let mut sealed = Vec::with_capacity(whole);
        self.input.by_ref().take(whole as u64).read_to_end(&mut sealed)?;
        Ok(sealed)
    }

    /// Opens the next chunk; `false` after the last.
    fn next(&mut self) -> Result<bool, BackupFileError> {
        let Some(mut sealed) = self.ahead.take() else { return Ok(false) };
        let after = self.sealed()?;
        let nonce = self.stream.nonce(after.is_empty());
        let aad = Aad::from(&self.stream.header.0);
        let opened = self.stream.key.open_in_place(nonce, aad, &mut sealed);
        let length = opened.map_err(|_| BackupFileError::Damaged)?.len();
        sealed.truncate(length);
        (self.chunk, self.read) = (sealed, 0);
        self.ahead = Some(after).filter(|after| !after.is_empty());
        Ok(true)
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() {
            match self.next() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(BackupFileError::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        let rest = self.chunk.get(self.read..).unwrap_or_default();
        let count = rest.len().min(out.len());
        out.iter_mut().zip(rest).for_each(|(slot, byte)| *slot = *byte);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
