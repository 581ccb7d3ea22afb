//! Values that a run has received: with its trigger, or fetched by one of its steps. They have no home
//! in the vault: each lies under the run's own key, as long as the run is under way, and a sealed
//! value stands in its place before anything is written.

use crate::bytes::Key;
use crate::placeholder;
use crate::run::{Entry, RunVault, secret_aad};
use crate::seal;
use crate::secret::Secret;
use crate::vault::VaultError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, Details, MAX_FIELD_BYTES, Scope, Sealed, Status,
};
use keyward_model::destination::{EgressPolicy, Place};
use keyward_model::id::{CredentialId, Identifier as _, MemberId};
use keyward_model::mask::Needles;
use keyward_model::policy::{Permit, StepContext, Use};
use keyward_model::sealing::{SealRule, Sealing};
use keyward_model::template::{Path, Root, Segment};
use keyward_store::AuditReceipt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use zeroize::{Zeroize as _, Zeroizing};

/// How many characters of an origin are kept.
const MAX_ORIGIN: usize = 200;
/// How many values one run may receive.
const MAX_RECEIVED: usize = 10_000;

/// What is known of a received value beside the value itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Stands for it as a credential would.
    pub(crate) id: CredentialId,
    /// Where it was found, such as `trigger.body.token`.
    pub(crate) origin: String,
    /// Whether it came as text; numbers are sealed too, but no credential is one.
    pub(crate) is_text: bool,
    /// How many bytes it has.
    pub(crate) length: usize,
    hosts: Vec<String>,
}

/// The same with its record.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) about: Received,
    sealed: Arc<Sealed>,
}

/// As it is sealed, in JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Full {
    #[serde(flatten)]
    pub(crate) about: Received,
    /// base64.
    value: String,
}

impl Drop for Full {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl Full {
    pub(crate) fn value(&self) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        STANDARD.decode(&self.value).map(Zeroizing::new).map_err(|_| VaultError::Unreadable)
    }
}

impl Received {
    /// The credential that it would be: what decides where it may go.
    pub(crate) fn credential(&self, at: &StepContext) -> Credential {
        let epoch = Timestamp::from_millis(0);
        Credential {
            workspace: at.workspace,
            id: self.id,
            key: self.origin.clone(),
            kind: CredentialType::Custom,
            scope: Scope::Workspace,
            policy: self.policy(),
            code_access: CodeAccess::Sealed,
            details: Details { secret: vec![String::new()], ..Details::default() },
            version: 1,
            status: Status::Active,
            status_reason: None,
            // Nobody's: the run stands in for one.
            owner: MemberId::from_bytes(*at.run.as_bytes()),
            created_at: epoch,
            updated_at: epoch,
            rotated_at: epoch,
            expires_at: None,
            revision: 1,
            lifecycle: Default::default(),
        }
    }

    fn policy(&self) -> EgressPolicy {
        // The path of a URL too: where an app wants a value there, its manifest has said so.
        let policy = EgressPolicy::parse(&self.hosts, &[], &[], Place::ALL);
        // Hosts were checked when the workflow was saved; what cannot be read admits nothing.
        policy.unwrap_or_else(|_| EgressPolicy::nowhere())
    }
}

impl RunVault {
    /// Takes secrets out of what `root` holds, by the sealing's rules, and leaves sealed values. The
    /// masker learns them, so that other places in which they stand are hidden too. They are part of
    /// what `take_unsaved` gives, and so must be written together with the value.
    ///
    /// # Errors
    /// Where the operating system has no random bytes, or the value holds too many.
    pub fn receive(
        &self,
        at: &StepContext,
        root: &Root,
        value: &mut Value,
        sealing: &Sealing,
    ) -> Result<(), VaultError> {
        for rule in &sealing.rules {
            let mut outcome = Ok(());
            rule.path.each_leaf(value, &rule.spared, &mut |place, leaf| {
                if outcome.is_ok() {
                    let hosts = hosts(sealing, rule, place);
                    outcome = match leaf {
                        Value::String(text)
                            if sealing.computed && placeholder::holds_whole(text) =>
                        {
                            self.receive_beside(at, (root, place), text, &hosts)
                        }
                        leaf => self.receive_leaf(at, (root, place), leaf, hosts),
                    };
                }
            });
            outcome?;
        }
        Ok(())
    }

    /// Takes what stands beside sealed values out of a text, each piece as a value of its own.
    fn receive_beside(
        &self,
        at: &StepContext,
        (root, place): (&Root, &[Segment]),
        text: &mut String,
        hosts: &[String],
    ) -> Result<(), VaultError> {
        let names: Vec<String> = placeholder::whole(text).map(str::to_owned).collect();
        let (mut sealed, mut rest) = (String::new(), text.as_str());
        for name in names.iter().map(String::as_str).chain([""]) {
            let (piece, after) = match rest.split_once(name).filter(|_| !name.is_empty()) {
                Some(found) => found,
                None => (rest, ""),
            };
            let mut piece = Value::String(piece.to_owned());
            // `Bearer ` is no secret, and who attaches the value looks for it.
            if piece.as_str().is_some_and(|piece| auth_scheme(&format!("{piece}x")) != piece) {
                self.receive_leaf(at, (root, place), &mut piece, hosts.to_vec())?;
            }
            sealed.push_str(piece.as_str().unwrap_or_default());
            sealed.push_str(name);
            rest = after;
        }
        text.zeroize();
        *text = sealed;
        Ok(())
    }

    fn receive_leaf(
        &self,
        at: &StepContext,
        (root, place): (&Root, &[Segment]),
        leaf: &mut Value,
        hosts: Vec<String>,
    ) -> Result<(), VaultError> {
        let (before, text, is_text) = match leaf {
            // What a step gives may be sealed already; an event cannot be.
            Value::String(text) if text.is_empty() => return Ok(()),
            Value::String(text) if *root != Root::Trigger && placeholder::holds_whole(text) => {
                return Ok(());
            }
            // Another rule has sealed it just now: nobody knows a run's sealed values before it.
            Value::String(text) if !self.received_in(text).is_empty() => return Ok(()),
            Value::String(text) => {
                let scheme = auth_scheme(text);
                let secret = text.get(scheme.len()..).unwrap_or_default().to_owned();
                (scheme.to_owned(), Zeroizing::new(secret), true)
            }
            Value::Number(number) => (String::new(), Zeroizing::new(number.to_string()), false),
            _ => return Ok(()),
        };
        let origin = Path { root: root.clone(), segments: place.to_vec() }.to_string();
        // Names of members come with the data.
        let origin: String = origin.chars().take(MAX_ORIGIN).collect();
        if *root != Root::Trigger && holds_encoded(&text) {
            return Err(VaultError::EncodedPlaceholder);
        }
        let about =
            Received { id: self.0.vault.fresh(), origin, is_text, length: text.len(), hosts };
        let name = self.keep_received(at, about, text.as_bytes())?;
        if let Value::String(text) = leaf {
            text.zeroize();
        }
        *leaf = Value::String(format!("{before}{name}"));
        Ok(())
    }

    fn keep_received(
        &self,
        at: &StepContext,
        about: Received,
        value: &[u8],
    ) -> Result<String, VaultError> {
        let name = placeholder::compute(&self.0.sealing, about.id, "", None);
        let full = Full { about: about.clone(), value: STANDARD.encode(value) };
        let entry = Entry::Received(full);
        let content = Zeroizing::new(serde_json::to_vec(&entry).unwrap_or_default());
        let sealed = Arc::new(self.seal_entry(at, &name, &content)?);
        self.teach_received(&name, value);
        let mut received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        if received.len() >= MAX_RECEIVED {
            return Err(VaultError::TooMany);
        }
        received.insert(name.clone(), Kept { about, sealed: sealed.clone() });
        drop(received);
        self.note_unsaved(name.clone(), sealed);
        Ok(name)
    }

    pub(crate) fn teach_received(&self, name: &str, value: &[u8]) {
        // What is larger than a field may be is never sent, and so never comes back.
        if value.len() <= MAX_FIELD_BYTES {
            // No other run has the same value under the same id, so that keeping these helps nobody.
            self.masker().learn(Arc::new(Needles::build(value)), name);
        }
    }

    /// Takes up one that an earlier owner of the run had saved.
    pub(crate) fn restore_received(
        &self,
        name: &str,
        full: &Full,
        sealed: Sealed,
    ) -> Result<(), VaultError> {
        self.teach_received(name, &full.value()?);
        let kept = Kept { about: full.about.clone(), sealed: Arc::new(sealed) };
        let mut received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.insert(name.to_owned(), kept);
        Ok(())
    }

    /// All that the run has received, by sealed value.
    pub(crate) fn received(&self) -> BTreeMap<String, Kept> {
        self.0.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a received value that came as text stands in a text.
    pub fn holds_received_text(&self, text: &str) -> bool {
        let received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.iter().any(|(name, kept)| kept.about.is_text && text.contains(name.as_str()))
    }

    /// Which of the run's received values stand in a text, with their origins.
    pub fn received_in(&self, text: &str) -> BTreeMap<String, String> {
        if !text.contains(placeholder::PREFIX) {
            return BTreeMap::new();
        }
        let received = self.0.received.lock().unwrap_or_else(PoisonError::into_inner);
        let found = placeholder::whole(text).filter_map(|name| received.get_key_value(name));
        found.map(|(name, kept)| (name.clone(), kept.about.origin.clone())).collect()
    }
}

/// Where a value at that place may go: to all whom it feeds. The rule may stand for it in another form
/// than its path has.
fn hosts(sealing: &Sealing, rule: &SealRule, place: &[Segment]) -> Vec<String> {
    let rules = sealing.rules.iter().filter(|other| other.path.covers(place));
    let all: BTreeSet<&String> = rules.chain([rule]).flat_map(|rule| &rule.hosts).collect();
    all.into_iter().cloned().collect()
}

/// Opens a received value: for a permitted use that is on record.
pub(crate) fn open(
    key: &Key,
    at: &StepContext,
    (name, kept): (&str, &Kept),
    _permit: &Permit<Use>,
    _receipt: &AuditReceipt,
) -> Result<Secret, VaultError> {
    let content = seal::open(key, [0; 16], &secret_aad(at, name), kept.sealed.as_bytes())?;
    match serde_json::from_slice(&content).map_err(|_| VaultError::Unreadable)? {
        Entry::Received(full) => full.value().map(Secret::new),
        Entry::Derived(_) => Err(VaultError::Unreadable),
    }
}

/// Whether a text is base64 of something that a sealed value stands in: the value could not be filled
/// in there any more.
fn holds_encoded(text: &str) -> bool {
    let decoded = STANDARD.decode(text.trim_end_matches('=')).or_else(|_| STANDARD.decode(text));
    decoded.is_ok_and(|decoded| placeholder::holds_whole(&String::from_utf8_lossy(&decoded)))
}

/// `Bearer `, `Basic ` or `Token ` before a token (RFC 9110 §11.4): the token alone is the secret.
fn auth_scheme(text: &str) -> &str {
    let Some((scheme, token)) = text.split_once(' ') else { return "" };
    let known = ["bearer", "basic", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    match known && !token.is_empty() && !token.contains(char::is_whitespace) {
        true => text.get(..scheme.len() + 1).unwrap_or_default(),
        false => "",
    }
}
