//! A step's end of the socket, and what the script's built-in functions share.

use crate::error::ScriptError;
use crate::session::LOG_LINE;
use crate::step::Level;
use crate::wire::{self, AskHeader, Decoder, FromStep, RunHeader, ToStep};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// Frames are gathered up to this size, then sent.
const GATHER_BYTES: usize = 16 << 10;
/// Bytes read at first: enough for most requests, and on a page that is in use anyway.
const FIRST_BYTES: usize = 4 << 10;
/// Bytes read at a time where a frame is longer.
const READ_BYTES: usize = 64 << 10;
/// How long a log line may wait to be sent while the script computes.
const GATHER_TIME: Duration = Duration::from_millis(100);
/// Largest header that is accepted from the server, which is trusted.
const SERVER_HEADER: usize = 16 << 20;

/// The socket of one step, its bounds, and what has been sent so far.
pub(crate) struct Host {
    socket: RefCell<Option<File>>,
    decoder: RefCell<Decoder<ToStep>>,
    chunk: RefCell<Vec<u8>>,
    out: RefCell<Vec<u8>>,
    sent_at: Cell<Instant>,
    waiting: RefCell<VecDeque<(ToStep, Bytes)>>,
    bounds: RefCell<Bounds>,
    parts: RefCell<[Bytes; 6]>,
    log_cut: Cell<bool>,
    questions: Cell<u32>,
    finished: Cell<bool>,
    started: Cell<Instant>,
    random: Cell<[u64; 2]>,
}

/// The bounds that the script's side keeps; the server keeps them too.
#[derive(Default)]
struct Bounds {
    output: usize,
    log_left: usize,
    request: usize,
    fetches: u32,
}

impl Host {
    /// A host without a socket, as the zygote holds it.
    pub(crate) fn new() -> Self {
        Self {
            socket: RefCell::new(None),
            decoder: RefCell::new(Decoder::new(SERVER_HEADER)),
            chunk: RefCell::new(Vec::new()),
            out: RefCell::new(Vec::new()),
            sent_at: Cell::new(Instant::now()),
            waiting: RefCell::new(VecDeque::new()),
            bounds: RefCell::new(Bounds::default()),
            parts: RefCell::new([const { Bytes::new() }; 6]),
            log_cut: Cell::new(false),
            questions: Cell::new(0),
            finished: Cell::new(false),
            started: Cell::new(Instant::now()),
            random: Cell::new([0; 2]),
        }
    }

    /// Gives the forked process its socket.
    pub(crate) fn connect(&self, socket: File) {
        *self.socket.borrow_mut() = Some(socket);
    }

    /// Takes over the bounds and the input of the step that now begins.
    pub(crate) fn begin(&self, run: &RunHeader, mut body: Bytes) -> io::Result<()> {
        *self.bounds.borrow_mut() = Bounds {
            output: run.output_bytes,
            log_left: run.log_bytes,
            request: run.request_bytes,
            fetches: run.fetches_at_once,
        };
        for (part, length) in self.parts.borrow_mut().iter_mut().zip(run.parts) {
            if length > body.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            *part = body.split_to(length);
        }
        self.started.set(Instant::now());
        Ok(())
    }

    /// The JSON or source text of one part of the input.
    pub(crate) fn part(&self, index: usize) -> Bytes {
        self.parts.borrow().get(index).cloned().unwrap_or_default()
    }

    /// Milliseconds since the step began, whole ones only.
    pub(crate) fn now(&self) -> f64 {
        self.started.get().elapsed().as_millis() as f64
    }

    pub(crate) fn request_bytes(&self) -> usize {
        self.bounds.borrow().request
    }

    pub(crate) fn fetches_at_once(&self) -> u32 {
        self.bounds.borrow().fetches
    }

    /// Whether the step has said how it ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// A number from 0 up to 1. Seeded by the kernel on first use, which is after the fork.
    pub(crate) fn random(&self) -> f64 {
        let [mut a, b] = self.random.get();
        if a == 0 && b == 0 {
            let mut seed = [0; 16];
            fill_random(&mut seed);
            let seed = u128::from_le_bytes(seed) | 1;
            return self.random_from(seed as u64, (seed >> 64) as u64);
        }
        // xorshift128+
        a ^= a << 23;
        self.random_from(b, a ^ b ^ (a >> 18) ^ (b >> 5))
    }

    fn random_from(&self, a: u64, b: u64) -> f64 {
        self.random.set([a, b]);
        (a.wrapping_add(b) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One line of the log; over its bound a last line says so and the rest is dropped.
    pub(crate) fn log(&self, level: Level, text: &str) {
        if self.log_cut.get() || self.finished.get() {
            return;
        }
        let left = self.bounds.borrow().log_left;
        let fits = text.len() + LOG_LINE <= left;
        if fits {
            self.bounds.borrow_mut().log_left = left - text.len() - LOG_LINE;
            self.queue(&FromStep::Log { level }, text.as_bytes());
        } else {
            self.log_cut.set(true);
            let room = text.floor_char_boundary(left.saturating_sub(LOG_LINE));
            if room > 0 {
                let head = text.get(..room).unwrap_or_default();
                self.queue(&FromStep::Log { level }, head.as_bytes());
            }
            let last = "the log has reached its limit and was cut here; the code goes on";
            self.queue(&FromStep::Log { level: Level::Warn }, last.as_bytes());
        }
        let waited = self.sent_at.get().elapsed() > GATHER_TIME;
        if waited || self.out.borrow().len() > GATHER_BYTES {
            self.flush_or_end();
        }
    }

    /// Puts a frame among those to be sent.
    pub(crate) fn queue(&self, header: &FromStep, body: &[u8]) {
        // Lengths over 4 GiB cannot come about under the memory bound.
        let _ = wire::encode(&mut self.out.borrow_mut(), header, &[body]);
    }

    /// Sends the output, or that it is too large. The first end counts.
    pub(crate) fn output(&self, text: &str) {
        let limit = self.bounds.borrow().output;
        if text.len() > limit {
            let message =
                format!("the output has {} bytes of JSON; {limit} are allowed", text.len());
            self.fail("output_too_large", message, None, None);
        } else if !self.finished.replace(true) {
            self.queue(&FromStep::Output {}, text.as_bytes());
        }
    }

    /// Says that the step failed. The first end counts.
    pub(crate) fn fail(&self, code: &str, message: String, key: Option<String>, line: Option<u32>) {
        if !self.finished.replace(true) {
            self.queue(&FromStep::Failed { code: code.to_owned(), message, key, line }, &[]);
        }
    }

    /// Sends a question and waits for its answer; other frames that arrive meanwhile wait.
    pub(crate) fn ask(&self, ask: AskHeader, message: &[u8]) -> Result<String, ScriptError> {
        let id = self.questions.get().wrapping_add(1);
        self.questions.set(id);
        self.queue(&FromStep::Ask { id, ask }, message);
        self.flush_or_end();
        loop {
            match self.read_frame() {
                Ok((ToStep::Answered { id: answered, error }, body)) if answered == id => {
                    return match error {
                        Some(error) => Err(error),
                        None => Ok(String::from_utf8_lossy(&body).into_owned()),
                    };
                }
                Ok(other) => self.waiting.borrow_mut().push_back(other),
                Err(_) => end(),
            }
        }
    }

    /// The next frame, waiting for it.
    pub(crate) fn receive(&self) -> io::Result<(ToStep, Bytes)> {
        match self.waiting.borrow_mut().pop_front() {
            Some(frame) => Ok(frame),
            None => self.read_frame(),
        }
    }

    /// Whether a frame has arrived, or bytes of one, within this time.
    pub(crate) fn wait(&self, milliseconds: i32) -> bool {
        !self.waiting.borrow().is_empty()
            || !self.decoder.borrow().buffer.is_empty()
            || crate::descriptors::readable(milliseconds)
    }

    fn read_frame(&self) -> io::Result<(ToStep, Bytes)> {
        let mut decoder = self.decoder.borrow_mut();
        let mut socket = self.socket.borrow_mut();
        let socket = socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut first = [0; FIRST_BYTES];
        let mut long = self.chunk.borrow_mut();
        let mut chunk = first.as_mut_slice();
        loop {
            let frame = decoder.next(|_| usize::MAX).map_err(io::Error::other)?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            let read = socket.read(chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            decoder.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if read == FIRST_BYTES {
                long.resize(READ_BYTES, 0);
                chunk = long.as_mut_slice();
            }
        }
    }

    /// Sends what has been gathered.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut out = self.out.borrow_mut();
        if !out.is_empty()
            && let Some(socket) = self.socket.borrow_mut().as_mut()
        {
            socket.write_all(&out)?;
            out.clear();
        }
        self.sent_at.set(Instant::now());
        Ok(())
    }

    fn flush_or_end(&self) {
        if self.flush().is_err() {
            end();
        }
    }
}

/// The server is gone, and nobody is left to hear of it.
#[expect(clippy::exit, reason = "this process belongs to one step, whose server is gone")]
fn end() -> ! {
    std::process::exit(1)
}

/// Fills a buffer from the kernel's generator.
pub(crate) fn fill_random(buffer: &mut [u8]) {
    crate::descriptors::random(buffer);
}
