//! All vendors at once: one TLS server on a loopback address of its own, at port 443, which answers
//! for the names that a test asks for out of a table that the test gives, and keeps every request.

mod description;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::authority::Authority;
use crate::echo::{Received, Reply};
use crate::hosts::Hosts;
use crate::listener::Listener;

pub use self::description::check;

/// The port of all vendors: their hosts are written without one.
const PORT: u16 = 443;
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Vendors {
    listener: Listener,
    state: Arc<Mutex<State>>,
    authority: Authority,
    names: Vec<String>,
    hosts: Hosts,
    folder: tempfile::TempDir,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    faults: VecDeque<(String, Reply)>,
    table: Vec<(Endpoint, VecDeque<Reply>)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Endpoint {
    method: String,
    host: String,
    path: String,
}

impl Vendors {
    /// Starts a server with a certificate for these names.
    ///
    /// # Panics
    /// Where port 443 cannot be taken or names cannot be given to a process of their own; the
    /// message says what to do.
    pub fn start(names: &[&str]) -> Self {
        let socket = bind();
        let address = socket.local_addr().expect("its address").ip();
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new("The vendors' issuer");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("a file");
        let state = Arc::new(Mutex::new(State::default()));
        let answering = Arc::clone(&state);
        let answer = move |received| lock(&answering).answer(received);
        Self {
            listener: Listener::start(socket, Some(authority.server(names)), answer),
            state,
            authority,
            names: names.iter().map(ToString::to_string).collect(),
            hosts: Hosts::new(folder.path(), names, address),
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The certificate of the issuer of its certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// A file with that, for as long as this value lives.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its names, as `KEYWARD_EGRESS_ALLOW` is written.
    pub fn allow(&self) -> String {
        self.names.join(",")
    }

    /// How a program is started that finds this server under its names.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Answers requests to that method, host and path (without a query) with these in turn, and with
    /// the last again and again; in place of what was told before.
    pub fn on(&self, method: &str, host: &str, path: &str, replies: &[Reply]) -> &Self {
        assert!(!replies.is_empty(), "an answer for {method} {host}{path}");
        assert!(self.names.iter().any(|name| name == host), "`{host}` is none of its names");
        let (method, host, path) = (method.to_owned(), host.to_owned(), path.to_owned());
        let endpoint = Endpoint { method, host, path };
        let mut state = lock(&self.state);
        state.table.retain(|(known, _)| *known != endpoint);
        state.table.push((endpoint, replies.iter().cloned().collect()));
        drop(state);
        self
    }

    /// Answers the next request to that host that has no such answer yet with this, wherever it goes.
    pub fn queue(&self, host: &str, reply: Reply) -> &Self {
        lock(&self.state).faults.push_back((host.to_owned(), reply));
        self
    }

    /// All requests so far, in the order of their arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// All requests since the last time, which are then forgotten.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut lock(&self.state).received)
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
        let (method, host, path) = (&received.method, received.host(), received.path());
        let fault = self.faults.iter().position(|(asked, _)| asked == host);
        let fault = fault.and_then(|at| self.faults.remove(at));
        let mut table = self.table.iter_mut();
        let reply = fault.map(|(_, reply)| reply).or_else(|| {
            let (_, replies) = table.find(|(endpoint, _)| {
                (&endpoint.method, endpoint.host.as_str(), endpoint.path.as_str())
                    == (method, host, path)
            })?;
            let last = replies.len() == 1;
            if last { replies.front().cloned() } else { replies.pop_front() }
        });
        let reply = reply.unwrap_or_else(|| {
            let detail = format!("this test has no answer for {method} {host}{path}");
            Reply::json(&json!({ "error": detail })).with_status(501)
        });
        self.received.push(received);
        reply
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes port 443 of an address that no other test has.
fn bind() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(257);
        let [.., third, fourth] = std::process::id().wrapping_add(number).to_be_bytes();
        let address = Ipv4Addr::new(127, 77, third, fourth);
        match TcpListener::bind((address, PORT)) {
            Ok(socket) => return socket,
            Err(e) if e.kind() == ErrorKind::AddrInUse => {}
            Err(e) => panic!(
                "port {PORT} of {address} cannot be taken ({e}): run the tests as root, or with \
                 net.ipv4.ip_unprivileged_port_start=443"
            ),
        }
    }
    panic!("port {PORT} is taken at every address: stop what listens on 0.0.0.0:{PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::call_tls;

    #[test]
    fn it_answers_for_its_names_out_of_the_table() {
        let vendors = Vendors::start(&["slack.com", "api.example.com"]);
        let ask = |host: &str, method: &str, target: &str| {
            let server = (vendors.address(), host, vendors.ca_pem());
            call_tls(server, method, target, &[("X-First", "1"), ("x-second", "2")], "{}")
        };
        let pages = ["one", "two"].map(Reply::text);
        vendors.on("GET", "slack.com", "/api/list", &pages);
        vendors.on("GET", "api.example.com", "/api/list", &[Reply::text("other")]);
        let check = |host: &str, target: &str, expected: (u16, &str)| {
            let answer = ask(host, "GET", target).expect("an answer");
            assert_eq!((answer.status, answer.body.as_str()), expected, "{host}{target}");
        };
        check("slack.com", "/api/list?cursor=1", (200, "one"));
        check("slack.com", "/api/list?cursor=2", (200, "two"));
        check("slack.com", "/api/list?cursor=2", (200, "two"));
        check("api.example.com", "/api/list", (200, "other"));
        vendors.queue("slack.com", Reply::text("slow down").with_status(429));
        check("api.example.com", "/api/list", (200, "other"));
        check("slack.com", "/elsewhere", (429, "slow down"));
        vendors.queue("slack.com", Reply::hang_up());
        assert!(ask("slack.com", "GET", "/api/list").is_err());
        let missing = ask("slack.com", "POST", "/api/list").expect("an answer");
        assert!(missing.status == 501 && missing.body.contains("POST slack.com/api/list"));

        let received = vendors.take();
        assert_eq!(received.len(), 8);
        let first = &received[0];
        assert_eq!((first.method.as_str(), first.host()), ("GET", "slack.com"));
        assert_eq!((first.path(), first.query()), ("/api/list", "cursor=1"));
        let own: Vec<_> = first.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(own[1..3], ["X-First", "x-second"]);
        assert_eq!(first.json(), json!({}));
        assert!(vendors.received().is_empty());
    }

    #[test]
    fn other_names_and_other_issuers_are_refused_by_clients() {
        let vendors = Vendors::start(&["slack.com"]);
        let other = Vendors::start(&["slack.com"]);
        let ask =
            |name: &str, ca: &str| call_tls((vendors.address(), name, ca), "GET", "/", &[], "");
        assert!(ask("slack.com", vendors.ca_pem()).is_ok());
        assert!(ask("slack.com", other.ca_pem()).is_err());
        assert!(ask("slack.example", vendors.ca_pem()).is_err());
        assert_eq!(vendors.received().len(), 1);
    }
}
