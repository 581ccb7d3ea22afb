//! What is remembered of services between runs. What signing in gave: secrets of an app that live in memory alone, for as long as they are valid.
//! The first who needs one gets it for all who wait.

use crate::secret::Secret;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;

/// A session is given up this much before its time, so that no request goes out with one that ends.
const MARGIN: Duration = Duration::from_secs(5);
/// How many are kept.
const MAX_KEPT: usize = 10_000;

/// The fields that a sign-in gave.
pub(crate) struct Session {
    pub(crate) fields: BTreeMap<String, Arc<Secret>>,
    until: Instant,
}

impl Session {
    pub(crate) fn new(fields: BTreeMap<String, Arc<Secret>>, seconds: u64) -> Self {
        let lasts = Duration::from_secs(seconds.clamp(1, 86_400));
        let margin = MARGIN.min(lasts / 4);
        Self { fields, until: Instant::now() + lasts - margin }
    }

    fn is_valid(&self) -> bool {
        Instant::now() < self.until
    }
}

/// One session, or nothing yet; locked while somebody gets it.
type Slot = Arc<AsyncMutex<Option<Arc<Session>>>>;

/// The sessions of one server, by what they belong to.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Slot>>);

impl Sessions {
    /// The session of that name, or the one that `sign_in` gets; `stale` is one that the service no
    /// longer takes.
    pub(crate) async fn get<E>(
        &self,
        name: &str,
        stale: Option<&Arc<Session>>,
        sign_in: impl Future<Output = Result<Session, E>>,
    ) -> Result<Arc<Session>, E> {
        let slot = self.slot(name);
        let mut kept = slot.lock().await;
        let fits = |session: &&Arc<Session>| {
            session.is_valid() && !stale.is_some_and(|stale| Arc::ptr_eq(stale, session))
        };
        if let Some(session) = kept.as_ref().filter(fits) {
            return Ok(session.clone());
        }
        let session = Arc::new(sign_in.await?);
        *kept = Some(session.clone());
        Ok(session)
    }

    fn slot(&self, name: &str) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KEPT {
            self.forget(&mut all);
        }
        all.entry(name.to_owned()).or_default().clone()
    }

    /// Drops what is over, and everything where nothing is.
    fn forget(&self, all: &mut HashMap<String, Slot>) {
        all.retain(|_, slot| {
            slot.try_lock().map_or(true, |kept| kept.as_ref().is_some_and(|s| s.is_valid()))
        });
        if all.len() >= MAX_KEPT {
            all.clear();
        }
    }

    /// Drops what is over; called once in a while by the composition root.
    pub(crate) fn forget_old(&self) {
        self.forget(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Which actions are done by their fallback: what was learnt of a service, and forgotten with the process.
#[derive(Default)]
pub(crate) struct Fallbacks(Mutex<HashSet<String>>);

impl Fallbacks {
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// Remembers it, or forgets it.
    pub(crate) fn set(&self, name: String, falls_back: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !falls_back {
            known.remove(&name);
            return;
        }
        if known.len() >= MAX_KEPT {
            known.clear();
        }
        known.insert(name);
    }
}
