//! The store: chooses the back end once and brings closures to its connections.

use crate::chain::{AuditMac, Chains, Shared};
use crate::error::StoreError;
use crate::postgres::{Connection, WORKERS, Worker};
use crate::queue::{Copies, Job, Queue, ReadJob, RecordJob, ScrubJob, WriteJob};
use crate::sqlite::{self, Readers, Writer};
use crate::tls::Server;
use crate::tx::{AuditReceipt, Audited, Reader, RunTx, Tx};
use crate::{migrate, value::values};
use keyward_model::audit::Head;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Where the data lies.
#[derive(Debug, Clone)]
pub enum Target {
    /// A SQLite file; it and its folder are made if they are not there.
    Sqlite(PathBuf),
    /// A `postgres://` URL; `sslmode=require`, `verify-ca` or `verify-full` asks for verified TLS.
    Postgres(String),
}

/// A database, open. Cheap to clone; its threads end with the last clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    copies: Arc<Copies>,
    /// SQLite's reading connections; PostgreSQL reads on its worker threads.
    readers: Option<Readers>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Store {
    /// Opens the database and brings its schema up to date. Blocks; takes milliseconds.
    ///
    /// # Errors
    /// `Unavailable`, `NewerSchema`, or `Target` where the URL cannot be read.
    pub fn open(target: &Target) -> Result<Self, StoreError> {
        match target {
            Target::Sqlite(path) => Self::open_sqlite(path),
            Target::Postgres(url) => Self::open_postgres(url),
        }
    }

    fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        let connection = sqlite::open(path)?;
        migrate::sqlite(&connection)?;
        let (queue, shared) = (Arc::<Queue>::default(), Arc::<Shared>::default());
        let writer = Writer::new(connection, Chains::new(shared.clone()));
        let jobs = queue.clone();
        let thread = spawn("store-writer", move || writer.work(&jobs))?;
        let readers = Some(Readers::new(path.to_owned()));
        let threads = Mutex::new(vec![thread]);
        Ok(Self(Arc::new(Inner { queue, shared, copies: Arc::default(), readers, threads })))
    }

    fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url)?;
        // The driver runs a runtime of its own, which must not start inside a caller's.
        let ready = server.clone();
        let opening = spawn("store-open", move || -> Result<Connection, StoreError> {
            let mut connection = Connection::open(&ready)?;
            migrate::postgres(&mut connection)?;
            Ok(connection)
        })?;
        let mut first = Some(opening.join().map_err(|_| ended())??);
        let (queue, shared) = (Arc::<Queue>::default(), Arc::<Shared>::default());
        let losses = Arc::<AtomicU64>::default();
        let mut threads = Vec::with_capacity(WORKERS);
        for _ in 0..WORKERS {
            let chains = Chains::new(shared.clone());
            let worker = Worker::new(server.clone(), first.take(), chains, losses.clone());
            let jobs = queue.clone();
            threads.push(spawn("store-worker", move || worker.work(&jobs))?);
        }
        let threads = Mutex::new(threads);
        let (copies, readers) = (Arc::default(), None);
        Ok(Self(Arc::new(Inner { queue, shared, copies, readers, threads })))
    }

    /// Hands over the function that authenticates audit records; before, every `write` fails with
    /// `AuditUnavailable`.
    pub fn arm(&self, mac: AuditMac) {
        self.0.shared.arm(mac);
    }

    /// Commits what the closure writes together with its audit events, and gives the receipt.
    /// The closure may run several times.
    ///
    /// # Errors
    /// What the closure gave, `NoEvent`, `AuditUnavailable` or `Unavailable`; then nothing is
    /// written, save where a connection broke during the commit itself.
    pub async fn write<T, F>(&self, closure: F) -> Result<(T, AuditReceipt), StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<Audited<T>, StoreError> + Send + 'static,
    {
        let copies = self.0.copies.clone();
        let job = |reply| WriteJob { closure, value: None, left: false, copies, reply };
        self.send(|reply| Box::new(job(reply))).await
    }

    /// Commits the engine's bookkeeping. The closure may run several times.
    ///
    /// # Errors
    /// What the closure gave, or `Unavailable`.
    pub async fn record<T, F>(&self, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut RunTx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let copies = self.0.copies.clone();
        let job = |reply| RecordJob { closure, value: None, left: false, copies, reply };
        self.send(|reply| Box::new(job(reply))).await
    }

    /// Reads; on SQLite right here, without leaving the calling thread.
    ///
    /// # Errors
    /// What the closure gave, or `Unavailable`; as the closure runs once only, also the first time
    /// after PostgreSQL has cut the connection.
    pub async fn read<T, F>(&self, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        if let Some(readers) = &self.0.readers {
            if self.0.queue.is_closed() {
                return Err(ended());
            }
            return readers.with(|session| closure(&mut Reader::new(session.lend())));
        }
        let closure = Some(closure);
        self.send(|reply| Box::new(ReadJob { closure, value: None, reply })).await
    }

    /// Overwrites the copies that deleted data of runs and destroyed values have left: those in
    /// SQLite's write-ahead log. Does nothing where there are none, nor on PostgreSQL, whose own
    /// vacuum and log decide. Call after deleting, and once in a while for what is done beside.
    ///
    /// # Errors
    /// `Unavailable`, also where somebody is just reading an earlier state; then call again later.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        let copies = self.0.copies.clone();
        self.send(|reply| Box::new(ScrubJob { copies, reply })).await
    }

    async fn send<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Box<dyn Job>,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.queue.push(job(reply));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The newest record of each chain that this process has written, for the anchor file.
    pub fn heads(&self) -> Vec<Head> {
        self.0.shared.heads()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `Unavailable` where it does not.
    pub async fn healthy(&self) -> Result<(), StoreError> {
        let asked = "SELECT count(*) FROM migrations";
        self.read(move |reader| reader.session.query(asked, values![]).map(|_| ())).await
    }

    /// Does what still waits, tidies the file and ends the threads. Later calls fail.
    pub async fn close(&self) {
        self.0.queue.close();
        if let Some(readers) = &self.0.readers {
            readers.close();
        }
        let threads =
            std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let join = move || threads.into_iter().for_each(|thread| drop(thread.join()));
        // Fails only where the runtime itself is shutting down.
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

fn ended() -> StoreError {
    StoreError::unavailable("the store is closed")
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|_| StoreError::unavailable("no thread for the database"))
}
