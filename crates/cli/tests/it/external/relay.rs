//! A way to a server that a test can close and open again, and that counts who takes it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A relay to a port of 127.0.0.1; it ends with this value.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    to: u16,
    is_open: AtomicBool,
    count: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Opens a way to that port.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let shared = Shared {
            to: port,
            is_open: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            streams: Mutex::default(),
        };
        let address = listener.local_addr().expect("its address");
        let mut relay = Self { address, shared: Arc::new(shared), accepting: None };
        relay.listen(listener);
        relay
    }

    /// The same to where a URL leads.
    pub fn to_url(url: &str) -> Self {
        Self::to(url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"))
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL with that scheme.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// How many connections there were.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Ends all connections and refuses others.
    pub fn close(&mut self) {
        self.shared.is_open.store(false, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("the relay ends");
        }
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub fn open(&mut self) {
        let listener = TcpListener::bind(self.address).expect("the port from before");
        self.listen(listener);
    }

    fn listen(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).expect("a listener that does not wait");
        self.shared.is_open.store(true, Ordering::SeqCst);
        let shared = self.shared.clone();
        self.accepting = Some(thread::spawn(move || shared.accept(&listener)));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        while self.is_open.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((stream, _)) => drop(self.join(&stream)),
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn join(&self, near: &TcpStream) -> io::Result<()> {
        near.set_nonblocking(false)?;
        self.count.fetch_add(1, Ordering::SeqCst);
        let far = TcpStream::connect((Ipv4Addr::LOCALHOST, self.to))?;
        for stream in [near, &far] {
            stream.set_nodelay(true)?;
            self.streams.lock().unwrap().push(stream.try_clone()?);
        }
        for (from, to) in [(near, &far), (&far, near)] {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            thread::spawn(move || pour(from, to));
        }
        Ok(())
    }
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Both);
}
