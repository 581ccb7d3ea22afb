//! A small HTTP/1.1 server on loopback that keeps every request byte for byte and answers what a
//! test told it to. Written on plain sockets, because a library would tidy up what tests want to see.

mod reply;
mod request;

use std::collections::VecDeque;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub use self::reply::Reply;
pub use self::request::Received;

const PATIENCE: Duration = Duration::from_secs(10);

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    queue: VecDeque<Reply>,
    routes: Vec<(String, Reply)>,
    streams: Vec<TcpStream>,
}

impl Echo {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// Answers the next request that has no answer queued yet with this, wherever it goes.
    pub fn queue(&self, reply: Reply) -> &Self {
        self.shared.lock().queue.push_back(reply);
        self
    }

    /// Answers every request to this path with this, unless an answer is queued. All other requests
    /// are answered with what they were, as JSON: `method`, `target`, `headers`, `body`.
    pub fn route(&self, path: &str, reply: Reply) -> &Self {
        self.shared.lock().routes.push((path.to_owned(), reply));
        self
    }

    /// All requests so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// All requests, once there are `count`.
    ///
    /// # Panics
    /// When they are not there after ten seconds.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let start = Instant::now();
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            assert!(start.elapsed() < PATIENCE, "{} of {count} requests came", received.len());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag.
        drop(TcpStream::connect(self.address));
        for stream in &self.shared.lock().streams {
            // An error only says that it is closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            self.lock().streams.extend(stream.try_clone());
            let shared = Arc::clone(self);
            thread::spawn(move || {
                // A client that breaks off is nothing to this server; the test sees its own side.
                let _broken = shared.serve(&stream);
                let _closed = stream.shutdown(Shutdown::Both);
            });
        }
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(received) = request::read(&mut reader, &mut &*stream)? {
            let reply = self.answer(received);
            if !reply.send(&mut &*stream)? {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, received: Received) -> Reply {
        let mut state = self.lock();
        let routed = |state: &State| {
            let route = state.routes.iter().find(|(path, _)| path == received.path());
            route.map(|(_, reply)| reply.clone())
        };
        let reply = state.queue.pop_front().or_else(|| routed(&state));
        let reply = reply.unwrap_or_else(|| Reply::json(&received.as_json()));
        state.received.push(received);
        reply
    }
}

/// Writes and flushes.
fn send(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
