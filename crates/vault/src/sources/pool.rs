//! Idle connections, each kept for a short while for whoever it was opened for.

use super::{PoolKey, Session, SourceError, Target, TlsMode};
use crate::bytes;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const KEEP: Duration = Duration::from_secs(25);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const RESET_LIMIT: Duration = Duration::from_secs(5);
const PER_KEY: usize = 8;
const OVERALL: usize = 64;

/// Everything in which two connections may differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pool: PoolKey,
    host: String,
    port: u16,
    database: Option<String>,
    username: String,
    /// Who does not know the password gets no connection of who does.
    password_hash: [u8; 32],
    tls: TlsMode,
    ca: Option<[u8; 32]>,
}

/// This process's own, for hashes of passwords.
static HASH_KEY: LazyLock<Option<bytes::Key>> = LazyLock::new(|| bytes::Key::random().ok());

impl Key {
    pub(super) fn new(pool: &PoolKey, target: &Target<'_>) -> Result<Self, SourceError> {
        let hash_key = HASH_KEY.as_ref().ok_or(SourceError::Internal)?;
        Ok(Self {
            pool: pool.clone(),
            host: target.host.to_owned(),
            port: target.port,
            database: target.database.map(str::to_owned),
            username: target.username.to_owned(),
            password_hash: hash_key.mac(&[target.password.expose()]),
            tls: target.tls,
            ca: target.ca_pem.map(bytes::sha256),
        })
    }
}

struct Idle<S> {
    session: S,
    since: Instant,
}

/// The idle connections of one protocol.
pub(super) struct Pool<S> {
    state: Mutex<State<S>>,
}

struct State<S> {
    idle: HashMap<Key, Vec<Idle<S>>>,
    /// Whether a task looks after what nobody asks for again.
    swept: bool,
}

impl<S> Default for Pool<S> {
    fn default() -> Self {
        Self { state: Mutex::new(State { idle: HashMap::new(), swept: false }) }
    }
}

impl<S: Session> Pool<S> {
    /// The connection that was used last.
    pub(super) fn take(&self, key: &Key) -> Option<S> {
        let mut state = self.lock();
        state.drop_old();
        let found = state.idle.get_mut(key)?.pop()?;
        Some(found.session)
    }

    /// Takes a connection back beside its caller, once the server has forgotten what was done.
    pub(super) fn give_back(self: &Arc<Self>, key: Key, mut session: S) {
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let reset = tokio::time::timeout(RESET_LIMIT, session.reset()).await;
            if matches!(reset, Ok(Ok(()))) && pool.keep(key, session) {
                pool.sweep().await;
            }
        });
    }

    /// Whether the caller is to sweep.
    fn keep(&self, key: Key, session: S) -> bool {
        let mut state = self.lock();
        state.drop_old();
        let overall = state.idle.values().map(Vec::len).sum::<usize>();
        let same = state.idle.get(&key).map_or(0, Vec::len);
        if overall >= OVERALL || same >= PER_KEY {
            return false;
        }
        state.idle.entry(key).or_default().push(Idle { session, since: Instant::now() });
        !std::mem::replace(&mut state.swept, true)
    }

    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let mut state = self.lock();
            state.drop_old();
            state.swept = !state.idle.is_empty();
            if !state.swept {
                return;
            }
        }
    }

    /// How many are idle.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().idle.values().map(Vec::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> State<S> {
    fn drop_old(&mut self) {
        self.idle.retain(|_, sessions| {
            sessions.retain(|idle| idle.since.elapsed() < KEEP);
            !sessions.is_empty()
        });
    }
}
