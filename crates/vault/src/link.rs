//! Linked fields: their values lie in a secret store and are read when they are used. One is kept in
//! memory for as long as its credential says, and never sent after that.

use crate::action::{Act, Boxed, Doing};
use crate::authentication::Using;
use crate::secret::Secret;
use crate::step::{StepFailure, StepVault};
use keyward_model::credential::{Credential, Link, Scope};
use keyward_model::error::StepErrorCode;
use keyward_model::policy::{Grant, Permit};
use keyward_model::saved_workflow::Allowlist;
use keyward_model::sealing::Sealing;
use keyward_model::settings::Settings;
use keyward_model::tag::Tagged;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;
use zeroize::Zeroizing;

/// How long one read may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many values are kept.
const MAX_KEPT: usize = 10_000;

/// A value that was read.
pub(crate) struct Read {
    value: Arc<Secret>,
    until: Instant,
    lease: Option<Lent>,
}

/// A value that its store has lent out.
pub(crate) struct Lent {
    id: String,
    seconds: u64,
    until: Instant,
}

type Slot = Arc<AsyncMutex<Option<Read>>>;

/// The values that were read, by credential, version and field.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<String, Slot>>);

impl Links {
    fn slot(&self, name: &str) -> Slot {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KEPT {
            all.clear();
        }
        all.entry(name.to_owned()).or_default().clone()
    }

    /// Wipes what is too old, and lent out no longer; called once in a while by the composition root.
    pub(crate) fn forget_old(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, slot| {
            slot.try_lock()
                .map_or(true, |kept| kept.as_ref().is_some_and(|read| read.may_serve(now)))
        });
    }
}

impl StepVault {
    /// The value of a linked field: as it was read not long ago, or read now. Whoever comes meanwhile
    /// waits for the one read.
    pub(crate) async fn linked<P: Sync>(
        &self,
        permit: &Permit<P>,
        field: &str,
        link: &Link,
    ) -> Result<Secret, StepFailure> {
        let read = self.kept_or_read(permit, field, link).await;
        read.map_err(|failure| {
            let key = &permit.credential().key;
            let message = format!(
                "credential \"{key}\" is linked to a secret store, which could not be read: {}",
                failure.message
            );
            StepFailure::of_key(StepErrorCode::StoreUnavailable, key, message)
        })
    }

    async fn kept_or_read<P: Sync>(
        &self,
        permit: &Permit<P>,
        field: &str,
        link: &Link,
    ) -> Result<Secret, StepFailure> {
        let deadline = Instant::now() + TIMEOUT;
        let grant = self.reading(permit, link).await?;
        // What is kept counts for as long as both credentials are what they were when it was read.
        let [linked, reading] = [permit.credential(), grant.credential()]
            .map(|credential| format!("{}/{}", credential.id, credential.revision));
        let slot = self.vault().links().slot(&format!("{linked}/{field}/{reading}"));
        let reader = Self::fixed(self.run().clone(), self.context().clone(), grant);
        reader.check_usable(&link.credential).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let kept = tokio::time::timeout(left, slot.lock()).await;
        let mut kept = kept.map_err(|_| {
            StepFailure::new(StepErrorCode::Timeout, "it does not answer those who came before")
        })?;
        let now = Instant::now();
        if let Some(read) = kept.as_ref().filter(|read| read.until > now) {
            return Ok(read.value.copied());
        }
        let before = kept.take();
        let read = reader.read_link(link, before, deadline).await?;
        let value = read.value.copied();
        *kept = Some(read);
        Ok(value)
    }

    /// Boxed, since reading a link uses a credential, as whatever reads the link does.
    fn read_link<'s>(
        &'s self,
        link: &'s Link,
        before: Option<Read>,
        deadline: Instant,
    ) -> Boxed<'s, Result<Read, StepFailure>> {
        Box::pin(self.read_from_store(link, before, deadline))
    }

    /// Reads with the one credential that this attempt has.
    async fn read_from_store(
        &self,
        link: &Link,
        before: Option<Read>,
        deadline: Instant,
    ) -> Result<Read, StepFailure> {
        let app = self.app_of(&link.credential).await?;
        let action = app.reading(link.action.as_deref()).ok_or_else(|| missing(link))?;
        let nothing = Sealing::default();
        let mut doing = self.prepare(Act {
            app: &app,
            action: &action.id,
            inputs: Value::Object(link.inputs.clone()),
            using: Using::Stored(&link.credential),
            sealing: &nothing,
            fresh: true,
            idempotency_key: "",
            timeout: deadline.saturating_duration_since(Instant::now()),
        })?;
        let age = Duration::from_secs(link.max_age_seconds.into());
        if let Some(renewed) = self.renewed(&mut doing, before, age).await {
            return Ok(renewed);
        }
        let (output, lease) = self.act_with_lease(&mut doing).await?;
        let found = link.path().and_then(|path| path.lookup(&output).cloned());
        let Some(Value::String(text)) = found.filter(|value| *value != "") else {
            let message = format!("its output has no text at {}", link.output);
            return Err(StepFailure::new(StepErrorCode::ValidationFailed, message));
        };
        let value = Arc::new(Secret::new(Zeroizing::new(text.into_bytes())));
        let now = Instant::now();
        let lease = lease.map(|(id, seconds)| Lent {
            id,
            seconds,
            until: now + Duration::from_secs(seconds),
        });
        let until = now + lease.as_ref().map_or(age, |lent| age.min(lent.left()));
        Ok(Read { value, until, lease })
    }

    /// The same value for longer, where its lease can be renewed.
    async fn renewed(
        &self,
        doing: &mut Doing<'_>,
        before: Option<Read>,
        age: Duration,
    ) -> Option<Read> {
        let Read { value, lease, .. } = before?;
        let lease = lease.filter(|lent| !lent.left().is_zero())?;
        let seconds = self.renew_lease(doing, &lease.id).await.ok()?;
        let now = Instant::now();
        let lent = Lent { seconds, until: now + Duration::from_secs(seconds), ..lease };
        tracing::debug!(seconds = lent.seconds, "lease renewed");
        let until = now + age.min(lent.left());
        Some(Read { value, until, lease: Some(lent) })
    }

    /// The grant of the credential that reads.
    async fn reading<P: Sync>(
        &self,
        permit: &Permit<P>,
        link: &Link,
    ) -> Result<Grant, StepFailure> {
        let linked = permit.credential();
        let (workspace, key) = (linked.workspace, link.credential.clone());
        let workflow = self.context().workflow;
        let read = self.vault().store().read(move |tx| {
            let allowlist = tx.allowlist(workspace, workflow)?;
            Ok((tx.credentials_by_key(workspace, &key)?, tx.settings(workspace)?, allowlist))
        });
        let (rows, settings, allowlist) = read.await.map_err(|error| {
            tracing::error!(run = %self.context().run, %error, "linked credential not looked up");
            missing(link)
        })?;
        let keys = &self.run().0.keys;
        // Row 3, for the key that reads as well. A connection test belongs to no workflow.
        let allows = |row: Tagged<Allowlist>| {
            let list = keys.verify(row).ok();
            list.is_some_and(|list| !list.enabled || list.keys.contains(&link.credential))
        };
        if !allowlist.is_none_or(allows) {
            return Err(missing(link));
        }
        let settings = settings.and_then(|row| keys.verify(row).ok());
        let settings = settings.map_or_else(Settings::strictest, |row| row.settings);
        // Where somebody else wrote one of the rows, none of them says which is the nearest.
        let found: Result<Vec<Credential>, _> =
            rows.into_iter().map(|row| keys.verify(row)).collect();
        let mut found = found.map_err(|_| missing(link))?;
        // The nearest one counts.
        found.sort_by_key(|credential| credential.scope == Scope::Workspace);
        let context = self.context();
        let grant = |reading: Credential| {
            Grant::of_link(context.clone(), permit, reading, settings.require_hosts)
        };
        found.into_iter().find_map(grant).ok_or_else(|| missing(link))
    }
}

impl Read {
    /// Whether it is still used, or would be once its lease is renewed.
    fn may_serve(&self, now: Instant) -> bool {
        self.until > now || self.lease.as_ref().is_some_and(|lent| !lent.left().is_zero())
    }
}

impl Lent {
    /// How long it is still lent, less a margin for the request that uses it.
    fn left(&self) -> Duration {
        let margin = Duration::from_secs(5.min(self.seconds / 4));
        self.until.saturating_duration_since(Instant::now() + margin)
    }
}

fn missing(link: &Link) -> StepFailure {
    let message = format!("there is no credential \"{}\" that may read it", link.credential);
    StepFailure::new(StepErrorCode::MissingCredential, message)
}
