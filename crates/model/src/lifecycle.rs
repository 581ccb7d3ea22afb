//! The life of a credential's value: staged, tested, promoted, returned to, suspended, deleted.
//!
//! Each operation is one function from a head to the next head or a reason why not. Which versions
//! still have their keys is said by `kept_versions`; whoever saves the head destroys the others.

use crate::clock::Timestamp;
use crate::credential::{Credential, Link, Scope, Status};
use crate::id::MemberId;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many versions are kept beside the current one; a new one pushes out the oldest.
pub const KEPT_VERSIONS: usize = 10;
/// For how many days a deleted credential can be restored.
pub const RESTORE_DAYS: i64 = 30;
const DAY_MILLIS: i64 = 86_400_000;

/// The fields of one version: plain ones with their values, secret ones by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FieldSet {
    /// Plain fields by name.
    pub plain: BTreeMap<String, String>,
    /// Names of the secret fields.
    pub secret: Vec<String>,
    /// When the value stops working.
    pub expires_at: Option<Timestamp>,
    /// Secret fields that a secret store holds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, Link>,
}

/// How a connection test ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TestOutcome {
    /// Whether the service accepted the value.
    pub ok: bool,
    /// The status that it answered with.
    pub status: Option<u16>,
    /// What happened, in words of the server's own.
    pub detail: String,
    /// When.
    pub tested_at: Timestamp,
}

/// A version that was saved but is not in use yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Its number.
    pub version: i64,
    /// Its fields.
    pub fields: FieldSet,
    /// Who saved it.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
    /// Its last test.
    pub test: Option<TestOutcome>,
}

/// An earlier version that can be returned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Its number.
    pub version: i64,
    /// Its fields.
    pub fields: FieldSet,
    /// Since when it is not the current one.
    pub at: Timestamp,
    /// Until when it can be returned to; then its key is destroyed.
    pub until: Timestamp,
}

/// A version that was promoted by a rotation, until the earlier one is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promoted {
    /// The version that became the current one.
    pub version: i64,
    /// The one before it.
    pub from: i64,
    /// Who promoted it.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
    /// When it had been saved.
    pub staged_at: Timestamp,
    /// When a test had passed before.
    pub tested_at: Option<Timestamp>,
}

/// Who did something, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Who.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
    /// A fixed word, or empty.
    pub reason: String,
}

/// What of a credential's life its head remembers. Stored as one JSON document in the tagged row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// The greatest number that a version was ever given; 0 where that is the current one's.
    pub newest: i64,
    /// The version that waits for its promotion.
    pub staged: Option<Staged>,
    /// Earlier versions, newest first.
    pub retired: Vec<Retired>,
    /// The rotation that is being verified.
    pub promoted: Option<Promoted>,
    /// The last test of the current version.
    pub test: Option<TestOutcome>,
    /// Since when every use is refused.
    pub suspended: Option<Done>,
    /// Since when it is deleted.
    pub deleted: Option<Done>,
    /// Findings of the access review that were accepted, by kind: until when.
    pub kept: BTreeMap<String, Timestamp>,
}

/// Why a step of a credential's life is refused. Each is a clear error to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// A version waits already.
    #[error("a version is staged already; promote it, or discard it first")]
    StagedAlready,
    /// No such version waits.
    #[error("this version is not staged")]
    NotStaged,
    /// The workspace asks for a passed test.
    #[error("this workspace wants a staged version tested before it is promoted; test it first")]
    NotTested,
    /// The version's date has passed.
    #[error("this version's date has passed, so nothing could use it")]
    Expired,
    /// The version is the current one.
    #[error("this version is the current one")]
    Current,
    /// The earlier version is gone.
    #[error("this version cannot be returned to: its grace period is over, or it was destroyed")]
    Gone,
    /// Suspended already.
    #[error("this credential is suspended already")]
    Suspended,
    /// Not suspended.
    #[error("this credential is not suspended")]
    NotSuspended,
    /// Suspended because it is nobody's.
    #[error("its owner has left the workspace; transfer it to a member first")]
    OwnerLeft,
    /// Not deleted.
    #[error("this credential is not deleted")]
    NotDeleted,
    /// The time for restoring is over.
    #[error("this credential was deleted more than {RESTORE_DAYS} days ago and cannot be restored")]
    TooLate,
}

type Outcome = Result<(), LifecycleError>;

impl FieldSet {
    /// Whether its date has passed.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Credential {
    /// The fields of the current version.
    pub fn field_set(&self) -> FieldSet {
        FieldSet {
            plain: self.details.plain.clone(),
            secret: self.details.secret.clone(),
            links: self.details.links.clone(),
            expires_at: self.expires_at,
        }
    }

    fn set_fields(&mut self, fields: FieldSet) {
        self.details.plain = fields.plain;
        self.details.secret = fields.secret;
        self.details.links = fields.links;
        self.expires_at = fields.expires_at;
    }

    /// The number of the next version.
    pub fn next_version(&self) -> i64 {
        self.version.max(self.lifecycle.newest).saturating_add(1)
    }

    /// Every version whose key is still needed: the current, the staged, and those in grace.
    pub fn kept_versions(&self) -> Vec<i64> {
        let life = &self.lifecycle;
        let staged = life.staged.iter().map(|staged| staged.version);
        let retired = life.retired.iter().map(|retired| retired.version);
        std::iter::once(self.version).chain(staged).chain(retired).collect()
    }

    /// The earlier version of that number.
    pub fn retired(&self, version: i64) -> Option<&Retired> {
        self.lifecycle.retired.iter().find(|retired| retired.version == version)
    }

    /// A head that stands for one of its versions, to test a staged one.
    pub fn at_version(&self, version: i64) -> Option<Self> {
        if version == self.version {
            return Some(self.clone());
        }
        let life = &self.lifecycle;
        let staged = life.staged.iter().map(|staged| (staged.version, &staged.fields));
        let retired = life.retired.iter().map(|retired| (retired.version, &retired.fields));
        let (_, fields) = staged.chain(retired).find(|(number, _)| *number == version)?;
        let mut head = self.clone();
        head.set_fields(fields.clone());
        head.version = version;
        Some(head)
    }

    /// When something of it is to be destroyed: an earlier version, or all of a deleted one.
    pub fn next_due(&self) -> Option<Timestamp> {
        let retired = self.lifecycle.retired.iter().map(|retired| retired.until);
        retired.chain(self.restorable_until()).min()
    }

    /// A changed head: what compares and sets sees it as another one.
    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision = self.revision.saturating_add(1);
    }

    /// Saves a version beside the current one; gives its number.
    pub fn stage(
        &mut self,
        fields: FieldSet,
        by: MemberId,
        now: Timestamp,
    ) -> Result<i64, LifecycleError> {
        if self.lifecycle.staged.is_some() {
            return Err(LifecycleError::StagedAlready);
        }
        let version = self.next_version();
        self.lifecycle.newest = version;
        self.lifecycle.staged = Some(Staged { version, fields, by, at: now, test: None });
        self.touch(now);
        Ok(version)
    }

    /// Replaces the value at once; gives the new version's number. What is staged stays staged.
    pub fn overwrite(&mut self, fields: FieldSet, now: Timestamp, settings: &Settings) -> i64 {
        let version = self.next_version();
        self.lifecycle.newest = version;
        self.lifecycle.promoted = None;
        self.become_version(version, fields, now, settings);
        version
    }

    /// Makes a staged version the current one.
    pub fn promote(
        &mut self,
        version: i64,
        by: MemberId,
        now: Timestamp,
        settings: &Settings,
    ) -> Outcome {
        if version == self.version {
            return Err(LifecycleError::Current);
        }
        let fits = |staged: &Staged| staged.version == version;
        let tested = |staged: &Staged| staged.test.as_ref().is_some_and(|test| test.ok);
        match &self.lifecycle.staged {
            Some(staged) if !fits(staged) => return Err(LifecycleError::NotStaged),
            Some(staged) if settings.require_version_test && !tested(staged) => {
                return Err(LifecycleError::NotTested);
            }
            Some(staged) if staged.fields.is_over(now) => return Err(LifecycleError::Expired),
            Some(_) => {}
            None => return Err(LifecycleError::NotStaged),
        }
        let Some(staged) = self.lifecycle.staged.take() else {
            return Err(LifecycleError::NotStaged);
        };
        let (from, staged_at) = (self.version, staged.at);
        self.become_version(version, staged.fields, now, settings);
        let tested_at = staged.test.as_ref().filter(|test| test.ok).map(|test| test.tested_at);
        self.lifecycle.test = staged.test;
        // Without a grace period there is nothing to return to, and so nothing to verify.
        let promoted = Promoted { version, from, by, at: now, staged_at, tested_at };
        self.lifecycle.promoted = Some(promoted).filter(|_| self.retired(from).is_some());
        Ok(())
    }

    /// Returns to an earlier version within its grace period.
    pub fn roll_back(&mut self, version: i64, now: Timestamp, settings: &Settings) -> Outcome {
        if version == self.version {
            return Err(LifecycleError::Current);
        }
        let place = self.lifecycle.retired.iter().position(|retired| retired.version == version);
        let Some(place) = place else { return Err(LifecycleError::Gone) };
        let retired = self.lifecycle.retired.remove(place);
        let refusal = match retired.until <= now {
            true => Some(LifecycleError::Gone),
            false => retired.fields.is_over(now).then_some(LifecycleError::Expired),
        };
        if let Some(refusal) = refusal {
            self.lifecycle.retired.insert(place, retired);
            return Err(refusal);
        }
        self.lifecycle.newest = self.next_version().saturating_sub(1);
        self.lifecycle.promoted = None;
        self.become_version(version, retired.fields, now, settings);
        Ok(())
    }

    fn become_version(
        &mut self,
        version: i64,
        fields: FieldSet,
        now: Timestamp,
        settings: &Settings,
    ) {
        let until = now.plus_millis(i64::from(settings.grace_days).saturating_mul(DAY_MILLIS));
        let before = Retired { version: self.version, fields: self.field_set(), at: now, until };
        self.lifecycle.retired.insert(0, before);
        self.lifecycle.retired.truncate(KEPT_VERSIONS);
        self.end_grace(now);
        self.lifecycle.test = None;
        self.set_fields(fields);
        self.version = version;
        self.forget_failure();
        self.rotated_at = now;
        self.touch(now);
    }

    /// A new value forgets what was wrong with the old; a suspension stays.
    fn forget_failure(&mut self) {
        if self.lifecycle.suspended.is_none() {
            self.status = Status::Active;
            self.status_reason = None;
        }
    }

    /// Gives up a staged or an earlier version: its key is destroyed.
    pub fn discard(&mut self, version: i64, now: Timestamp) -> Outcome {
        if version == self.version {
            return Err(LifecycleError::Current);
        }
        if !self.kept_versions().contains(&version) {
            return Err(LifecycleError::Gone);
        }
        let life = &mut self.lifecycle;
        life.staged = life.staged.take().filter(|staged| staged.version != version);
        life.retired.retain(|retired| retired.version != version);
        life.promoted = life.promoted.take().filter(|promoted| promoted.from != version);
        self.touch(now);
        Ok(())
    }

    /// Notes how a test of one of its versions ended.
    pub fn note_test(&mut self, version: i64, outcome: TestOutcome, now: Timestamp) {
        let ok = outcome.ok;
        if let Some(staged) = self.lifecycle.staged.as_mut().filter(|s| s.version == version) {
            staged.test = Some(outcome);
        } else if version == self.version {
            self.lifecycle.test = Some(outcome);
            if ok {
                self.forget_failure();
            }
        }
        self.touch(now);
    }

    /// Gives up every version that the current binding does not hold: after a widening nobody has
    /// entered their values again.
    pub fn drop_other_versions(&mut self) {
        self.lifecycle.staged = None;
        self.lifecycle.retired.clear();
        self.lifecycle.promoted = None;
    }

    /// Forgets earlier versions whose grace period is over; gives their numbers.
    pub fn end_grace(&mut self, now: Timestamp) -> Vec<i64> {
        let over = |retired: &&Retired| retired.until <= now;
        let gone: Vec<_> = self.lifecycle.retired.iter().filter(over).map(|r| r.version).collect();
        if !gone.is_empty() {
            let life = &mut self.lifecycle;
            life.retired.retain(|retired| retired.until > now);
            life.promoted = life.promoted.take().filter(|promoted| !gone.contains(&promoted.from));
            self.touch(now);
        }
        gone
    }

    /// Refuses every use from now on.
    pub fn suspend(&mut self, by: MemberId, now: Timestamp, reason: &str) -> Outcome {
        if self.lifecycle.suspended.is_some() {
            return Err(LifecycleError::Suspended);
        }
        self.lifecycle.suspended = Some(Done { by, at: now, reason: reason.into() });
        self.status = Status::Suspended;
        self.status_reason = Some(reason.into());
        self.touch(now);
        Ok(())
    }

    /// Allows uses again.
    pub fn resume(&mut self, now: Timestamp) -> Outcome {
        match &self.lifecycle.suspended {
            None => return Err(LifecycleError::NotSuspended),
            Some(done) if done.reason == OWNER_LEFT => return Err(LifecycleError::OwnerLeft),
            Some(_) => self.lifecycle.suspended = None,
        }
        self.forget_failure();
        self.touch(now);
        Ok(())
    }

    /// Takes it out of use and out of sight; it can be restored for `RESTORE_DAYS` days.
    pub fn delete(&mut self, by: MemberId, now: Timestamp) {
        self.lifecycle.deleted = Some(Done { by, at: now, reason: String::new() });
        self.touch(now);
    }

    /// Brings it back.
    pub fn restore(&mut self, now: Timestamp) -> Outcome {
        let Some(until) = self.restorable_until() else { return Err(LifecycleError::NotDeleted) };
        if until <= now {
            return Err(LifecycleError::TooLate);
        }
        self.lifecycle.deleted = None;
        self.touch(now);
        Ok(())
    }

    /// Until when a deleted credential can be restored.
    pub fn restorable_until(&self) -> Option<Timestamp> {
        let deleted = self.lifecycle.deleted.as_ref()?;
        Some(deleted.at.plus_millis(RESTORE_DAYS * DAY_MILLIS))
    }

    /// Gives it another owner; a personal one counts for that owner from now on.
    pub fn transfer(&mut self, to: MemberId, now: Timestamp) {
        self.owner = to;
        if let Scope::Personal(_) = self.scope {
            self.scope = Scope::Personal(to);
        }
        let left = |done: &Done| done.reason == OWNER_LEFT;
        if self.lifecycle.suspended.as_ref().is_some_and(left) {
            self.lifecycle.suspended = None;
            self.forget_failure();
        }
        self.touch(now);
    }

    /// The status and its reason at a time: `expired` once its date has passed.
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.expires_at {
            Some(at) if at <= now && self.status != Status::Suspended => Status::Expired,
            _ => self.status,
        }
    }
}

/// The reason of a suspension that ends with a new owner.
pub const OWNER_LEFT: &str = "owner_left";
