//! The listening half of the in-process servers: plain or TLS, one thread a connection, HTTP/1.1 as
//! it was on the wire.

use std::cell::RefCell;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::echo::{Received, Reply, read};

/// What gives each request its answer.
type Answer = dyn Fn(Received) -> Reply + Send + Sync;

/// A listening server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    streams: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Listener {
    /// Answers what arrives at a socket, over TLS where it is given what that runs on.
    pub(crate) fn start(
        socket: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = socket.local_addr().expect("the socket's address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&socket, tls.as_ref(), &Arc::new(answer)));
        Self { address, shared }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees the flag.
        drop(TcpStream::connect(self.address));
        for stream in self.shared.streams().iter() {
            // An error only says that it is closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept<A>(&self, socket: &TcpListener, tls: Option<&Arc<ServerConfig>>, answer: &Arc<A>)
    where
        A: Fn(Received) -> Reply + Send + Sync + 'static,
    {
        while let Ok((stream, _)) = socket.accept() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            self.streams().extend(stream.try_clone());
            let (tls, answer) = (tls.cloned(), Arc::clone(answer));
            thread::spawn(move || {
                // A client that breaks off is nothing to this server; the test sees its own side.
                let _broken = serve(&stream, tls, &*answer);
                let _closed = stream.shutdown(Shutdown::Both);
            });
        }
    }
}

fn serve(stream: &TcpStream, tls: Option<Arc<ServerConfig>>, answer: &Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return converse(&Duplex::new(stream), answer) };
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let secured = Duplex::new(StreamOwned::new(connection, stream.try_clone()?));
    let ended = converse(&secured, answer);
    let mut secured = secured.0.borrow_mut();
    secured.conn.send_close_notify();
    secured.flush()?;
    ended
}

fn converse<S: Read + Write>(stream: &Duplex<S>, answer: &Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream.clone());
    while let Some(received) = read(&mut reader, &mut stream.clone())? {
        let last = received.header("connection").is_some_and(|said| said == "close");
        let goes_on = answer(received).send(&mut stream.clone())?;
        if last || !goes_on {
            break;
        }
    }
    Ok(())
}

/// One stream that is read from and written to by one thread in turn.
struct Duplex<S>(Rc<RefCell<S>>);

impl<S> Duplex<S> {
    fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(stream)))
    }
}

impl<S> Clone for Duplex<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: Read> Read for Duplex<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<S: Write> Write for Duplex<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}
