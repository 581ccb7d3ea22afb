//! A small HTTP/1.1 server on loopback that keeps every request byte for byte and answers what a
//! test told it to. Written on plain sockets, because a library would tidy up what tests want to see.

mod reply;
mod request;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::listener::Listener;

pub use self::reply::Reply;
pub use self::request::Received;
pub(crate) use self::request::read;

const PATIENCE: Duration = Duration::from_secs(10);

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Echo {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    queue: VecDeque<Reply>,
    routes: Vec<(String, Reply)>,
}

impl Echo {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let state = Arc::new(Mutex::new(State::default()));
        let answering = Arc::clone(&state);
        let answer = move |received| lock(&answering).answer(received);
        Self { listener: Listener::start(socket, None, answer), state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address(), path.trim_start_matches('/'))
    }

    /// Answers the next request that has no answer queued yet with this, wherever it goes.
    pub fn queue(&self, reply: Reply) -> &Self {
        lock(&self.state).queue.push_back(reply);
        self
    }

    /// Answers every request to this path with this, unless an answer is queued. All other requests
    /// are answered with what they were, as JSON: `method`, `target`, `headers`, `body`.
    pub fn route(&self, path: &str, reply: Reply) -> &Self {
        lock(&self.state).routes.push((path.to_owned(), reply));
        self
    }

    /// All requests so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
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

impl State {
    fn answer(&mut self, received: Received) -> Reply {
        let routed = || {
            let route = self.routes.iter().find(|(path, _)| path == received.path());
            route.map(|(_, reply)| reply.clone())
        };
        let reply = self.queue.pop_front().or_else(routed);
        let reply = reply.unwrap_or_else(|| Reply::json(&received.as_json()));
        self.received.push(received);
        reply
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes and flushes.
fn send(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
