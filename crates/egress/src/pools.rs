//! Keeps connections: one small pool per workspace and origin, dropped when it is not used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connect::Connector;

/// How long an idle connection is kept: under the minute after which many services close it.
const IDLE: Duration = Duration::from_secs(50);
/// Idle connections kept per pool.
const MAX_IDLE: usize = 32;
/// Pools kept in all; the one unused longest makes room.
const MAX_POOLS: usize = 512;
/// How often a busy HTTP/2 connection is asked whether it still lives, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_ANSWER: Duration = Duration::from_secs(10);

pub(crate) type Http = legacy::Client<Connector, Full<Bytes>>;

/// All pools of a client, by a key that never mixes workspaces, origins or roots of trust.
pub(crate) struct Pools {
    max_headers: usize,
    pools: Mutex<HashMap<Key, Pool>>,
}

/// What must be equal for a connection to be used again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The workspace.
    pub(crate) pool: String,
    /// Scheme, host and port.
    pub(crate) origin: String,
    /// Roots that only this request trusts.
    pub(crate) extra_roots: Option<Arc<[u8]>>,
}

struct Pool {
    http: Http,
    used: Instant,
}

impl Pools {
    pub(crate) fn new(max_headers: usize) -> Self {
        Self { max_headers, pools: Mutex::new(HashMap::new()) }
    }

    /// The pool of this key, made where there is none.
    pub(crate) fn get<E>(
        &self,
        key: Key,
        connector: impl FnOnce() -> Result<Connector, E>,
    ) -> Result<Http, E> {
        let now = Instant::now();
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get_mut(&key) {
            pool.used = now;
            return Ok(pool.http.clone());
        }
        let http = self.build(connector()?);
        make_room(&mut pools, now);
        pools.insert(key, Pool { http: http.clone(), used: now });
        Ok(http)
    }

    fn build(&self, connector: Connector) -> Http {
        legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(self.max_headers)
            .http2_max_header_list_size(u32::try_from(self.max_headers).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWER)
            .build(connector)
    }
}

/// Drops pools whose connections have all gone idle too long, and one more where none had.
fn make_room(pools: &mut HashMap<Key, Pool>, now: Instant) {
    pools.retain(|_, pool| now.duration_since(pool.used) < IDLE);
    if pools.len() < MAX_POOLS {
        return;
    }
    let oldest = pools.iter().min_by_key(|(_, pool)| pool.used).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        pools.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let origin = "https://a.example".to_owned();
        Key { pool: format!("ws_{number}"), origin, extra_roots: None }
    }

    #[tokio::test]
    async fn pools_do_not_grow_without_bound() {
        let guard = Arc::new(crate::guard::Guard::new(
            crate::Allow::default(),
            Vec::new(),
            crate::guard::system_resolver(),
        ));
        let tls = crate::tls::Roots::load(None).unwrap().config().unwrap();
        let draft: [(&str, &str); 0] = [];
        let draft = crate::Draft::parse("GET", "https://a.example/", draft, Bytes::new()).unwrap();
        let connector = Connector {
            guard,
            destination: Arc::clone(draft.destination()),
            tls: Arc::new(tls),
            timeout: Duration::from_secs(1),
        };
        let pools = Pools::new(64 * 1024);
        for number in 0..MAX_POOLS + 10 {
            pools.get(key(number), || Ok::<_, ()>(connector.clone())).unwrap();
            pools.get(key(0), || Err(())).expect("the pool in use is kept");
        }
        let held = pools.pools.lock().unwrap();
        assert_eq!(held.len(), MAX_POOLS);
        assert!(!held.contains_key(&key(1)), "the one unused longest made room");
    }
}
