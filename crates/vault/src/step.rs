//! What the vault holds for one attempt of one step: its grants, what was opened, and what was used.

mod failure;
mod record;
mod release;
pub(crate) mod resolve;

pub use failure::StepFailure;

pub(crate) use failure::internal;
use failure::{derive_failure, unusable};
use resolve::resolve;

use crate::derive::{Derivation, verify_hmac};
use crate::placeholder::{self, Known};
use crate::received::{Kept, Received};
use crate::run::{Derived, RunVault};
use crate::seal;
use crate::secret::{Exposed, Secret};
use crate::session::Session;
use crate::vault::{Vault, VaultError};
use keyward_egress::Client;
use keyward_model::credential::{Credential, CredentialVersion};
use keyward_model::destination::Destination;
use keyward_model::error::StepErrorCode;
use keyward_model::id::CredentialId;
use keyward_model::mask::Masker;
use keyward_model::policy::{Grant, Permit, Refusal, StepContext, Use};
use keyward_model::workflow::CredentialKey;
use keyward_store::AuditReceipt;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How many signatures one step may check.
const MAX_VERIFICATIONS: u32 = 100;
/// For so long what was granted at a step's start counts; afterwards each release asks anew.
const FRESH: Duration = Duration::from_millis(20);

/// One credential that a step used, for its record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UsedCredential {
    /// The key; for a value that the run has received, its origin.
    pub key: String,
    /// The credential; none for a received value.
    pub credential_id: Option<CredentialId>,
    /// Its version.
    pub version: Option<i64>,
    /// Scheme, host and port that it went to; null where it was handed to code.
    pub destination: Option<String>,
    /// `sealed` or `exposed`.
    pub access: &'static str,
    /// Whether the service answered with 401 or 403.
    #[serde(skip)]
    pub rejected: bool,
}

/// What a code step is given of a credential: placeholders, plain fields, and how it is bound.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The key.
    pub key: String,
    /// Secret fields as placeholders and plain ones as they are; without secret ones where readable.
    pub fields: BTreeMap<String, String>,
    /// Names of the secret fields.
    pub secret: Vec<String>,
    /// The field that `credential("KEY")` means.
    pub main: Option<String>,
    /// Whether code gets the value itself, by asking for it.
    pub readable: bool,
    /// Type, hosts and expiry, as `credential.info` shows them.
    pub info: serde_json::Value,
}

/// What a sealed value stands for, with its placeholder.
pub(crate) struct Reference {
    holder: Holder,
    field: String,
    what: What,
    name: String,
}

/// Whose value a sealed value is: what its permits are asked of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// The stored credential of that key.
    Stored(String),
    /// The run, under that placeholder.
    Received(String),
}

/// What of its holder a sealed value is.
enum What {
    /// A field.
    Field,
    /// Something computed from a field.
    Derived(Derivation),
    /// What a sign-in gave.
    Session(Arc<Session>),
}

impl Reference {
    /// Whose it is.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// The vault's side of one attempt of one step. Cheap to clone.
#[derive(Clone)]
pub struct StepVault(Arc<Inner>);

struct Inner {
    run: RunVault,
    context: StepContext,
    grants: BTreeMap<String, Grant>,
    /// What the run has received, by placeholder.
    received: BTreeMap<String, (Grant, Kept)>,
    refusals: BTreeMap<String, Refusal>,
    begun: Instant,
    /// A connection test, and the reading of a linked field, keep the grant that they began with;
    /// they are over in seconds.
    fixed: bool,
    state: Mutex<State>,
}

/// One use that is recorded once in a step: credential, its revision, and origin.
type Audible = (CredentialId, i64, String);

#[derive(Default)]
struct State {
    audited: HashMap<Audible, Arc<Released>>,
    /// The version that was read last, with the head's revision at that time.
    versions: HashMap<CredentialId, (i64, Arc<CredentialVersion>)>,
    used: Vec<UsedCredential>,
    verifications: u32,
    missed: Vec<String>,
    /// What signing in gave, with the placeholder of each of its fields.
    sessions: Vec<(Holder, CredentialId, Arc<Session>)>,
    /// Whether anything is in the audit trail, and what was refused last: what a test tells.
    recorded: bool,
    refused: Option<Refusal>,
}

/// A permit with the receipt of its record: what opening asks for.
struct Released {
    permit: Permit<Use>,
    receipt: Arc<AuditReceipt>,
}

impl StepVault {
    pub(crate) async fn begin(
        run: RunVault,
        context: StepContext,
        declared: &[String],
    ) -> Result<Self, VaultError> {
        let (mut grants, mut refusals) = (BTreeMap::new(), BTreeMap::new());
        if !declared.is_empty() {
            for (key, outcome) in resolve(&run, &context, declared).await? {
                match outcome {
                    Ok(grant) => drop(grants.insert(key, grant)),
                    Err(refusal) => drop(refusals.insert(key, refusal)),
                }
            }
        }
        let received = release::received_grants(&run, &context).await?;
        let (begun, state, fixed) = (Instant::now(), Mutex::default(), false);
        let step =
            Self(Arc::new(Inner { run, context, grants, received, refusals, begun, fixed, state }));
        let refused = step.0.refusals.iter().map(|(key, refusal)| step.refusal(key, *refusal));
        step.record_refusals(refused.collect()).await;
        Ok(step)
    }

    /// An attempt with one grant, which counts to its end.
    pub(crate) fn fixed(run: RunVault, context: StepContext, grant: Grant) -> Self {
        let grants = BTreeMap::from([(grant.credential().key.clone(), grant)]);
        let (received, refusals, state) = Default::default();
        let (begun, fixed) = (Instant::now(), true);
        Self(Arc::new(Inner { run, context, grants, received, refusals, begun, fixed, state }))
    }

    /// Whether this attempt stands in the audit trail.
    pub(crate) fn is_recorded(&self) -> bool {
        self.state().recorded
    }

    /// What was refused last.
    pub(crate) fn last_refusal(&self) -> Option<Refusal> {
        self.state().refused
    }

    /// What a code step is given for each key that it was granted.
    pub fn handles(&self) -> Vec<Handle> {
        self.0.grants.values().map(|grant| self.handle(grant)).collect()
    }

    fn handle(&self, grant: &Grant) -> Handle {
        let (credential, readable) = (grant.credential(), grant.readable());
        let mut fields = credential.details.plain.clone();
        if !readable {
            let secret = credential.details.secret.iter();
            fields.extend(
                secret.map(|name| (name.clone(), self.placeholder(credential.id, name, None))),
            );
        }
        let (hosts, ..) = credential.policy.lists();
        Handle {
            key: credential.key.clone(),
            fields,
            secret: credential.details.secret.clone(),
            main: credential.main_field().map(str::to_owned),
            readable,
            info: serde_json::json!({
                "type": credential.kind.as_str(),
                "hosts": hosts,
                "expires_at": credential.expires_at,
            }),
        }
    }

    /// The grant of a key, or the failure that the step is told.
    pub(crate) fn grant(&self, key: &str) -> Result<&Grant, StepFailure> {
        self.0.grants.get(key).ok_or_else(|| match self.0.refusals.get(key) {
            Some(refusal) if refusal.code == StepErrorCode::CredentialUnusable => unusable(key),
            _ => self.missing(key),
        })
    }

    /// The grant as it is now: what was deleted, narrowed or taken away while the step runs counts
    /// for its next use.
    async fn current(&self, key: &str) -> Result<Grant, StepFailure> {
        let begun = self.grant(key)?;
        if self.0.fixed || self.0.begun.elapsed() < FRESH {
            return Ok(begun.clone());
        }
        let resolved = resolve(&self.0.run, &self.0.context, &[key.to_owned()]).await;
        let outcome = match resolved.map(|mut outcomes| outcomes.pop()) {
            Ok(Some((_, outcome))) => outcome,
            Ok(None) => return Err(internal()),
            Err(error) => {
                tracing::error!(run = %self.0.context.run, %error, "grant not looked up again");
                return Err(unusable(key));
            }
        };
        let replaced = Refusal { code: StepErrorCode::CredentialUnusable, reason: "replaced" };
        let refusal = match outcome {
            Ok(grant) if grant.credential().id == begun.credential().id => {
                return Ok(self.keep_version(grant, begun).await);
            }
            Ok(_) => replaced,
            Err(refusal) => refusal,
        };
        self.record_refusals(vec![self.refusal(key, refusal)]).await;
        Err(match refusal.code {
            StepErrorCode::CredentialUnusable => unusable(key),
            _ => self.missing(key),
        })
    }

    /// A step that runs keeps the value that it began with; the next one gets what has replaced it.
    /// Where widening has dropped the earlier version, there is only the new one.
    async fn keep_version(&self, grant: Grant, begun: &Grant) -> Grant {
        if grant.credential().version == begun.credential().version {
            return grant;
        }
        let kept = grant.keeping_version(begun);
        if self.version(kept.credential()).await.is_ok() { kept } else { grant }
    }

    /// The one text for whatever keeps a step from a key.
    fn missing(&self, key: &str) -> StepFailure {
        let message =
            format!("no credential \"{key}\" is available to workflow {}", self.0.context.workflow);
        StepFailure::of_key(StepErrorCode::MissingCredential, key, message)
    }

    /// Records that code asked for a key that its step does not declare, once for each key. What
    /// code calls a key may be anything, so what has not a key's form, or holds a value, is left out.
    pub async fn record_undeclared(&self, asked: &str) {
        let key = match CredentialKey::parse(asked) {
            Ok(_) if self.masker().text(asked).as_str() == asked => asked,
            _ => "",
        };
        let known = self.0.grants.contains_key(key) || self.0.refusals.contains_key(key);
        let first = {
            let mut state = self.state();
            let first = !state.missed.iter().any(|missed| missed == key) && state.missed.len() < 64;
            if first {
                state.missed.push(key.to_owned());
            }
            first
        };
        if !known && first {
            let reason = Refusal { code: StepErrorCode::MissingCredential, reason: "undeclared" };
            self.record_refusals(vec![self.refusal(key, reason)]).await;
        }
    }

    /// Hands a readable value to code, audited as exposed.
    pub async fn expose(&self, key: &str, field: Option<&str>) -> Result<Exposed, StepFailure> {
        let grant = self.current(key).await?;
        let field = self.field(&grant, field)?;
        let secret = self.open_exposed(&grant, &field).await?;
        let text = secret.expose_text().ok_or_else(|| unusable(key))?;
        Ok(Exposed::new(Zeroizing::new(text.to_owned())))
    }

    /// Computes from a value: gives a placeholder, or for a readable credential the result itself.
    pub async fn derive(
        &self,
        key: &str,
        field: Option<&str>,
        derivation: Derivation,
    ) -> Result<Exposed, StepFailure> {
        derivation.check().map_err(|error| derive_failure(&error))?;
        let grant = self.grant(key)?;
        let field = self.field(grant, field)?;
        let credential = grant.credential();
        if !grant.readable() {
            let (id, key) = (credential.id, key.to_owned());
            let noted = self.0.run.note(Derived { credential: id, key, field, derivation });
            let name = noted.map_err(|error| derive_failure(&error))?;
            return Ok(Exposed::new(Zeroizing::new(name)));
        }
        let grant = self.current(key).await?;
        let secret = self.open_exposed(&grant, &field).await?;
        let value = apply(grant.credential(), &derivation, &secret)?;
        self.teach(grant.credential(), value.expose(), None);
        let text = value.expose_text().ok_or_else(|| unusable(key))?;
        Ok(Exposed::new(Zeroizing::new(text.to_owned())))
    }

    /// Checks an HMAC in constant time; code learns yes or no.
    pub async fn verify_hmac(
        &self,
        key: &str,
        field: Option<&str>,
        message: &[u8],
        signature: (&str, &str, &str),
    ) -> Result<bool, StepFailure> {
        let (signature, algorithm, encoding) = signature;
        let grant = self.current(key).await?;
        let field = self.field(&grant, field)?;
        self.count_verification()?;
        let vault = self.vault();
        let permit = grant.verify(vault.fresh(), vault.now());
        let permit = self.allowed(permit).await?;
        let receipt = self.audit_release(vec![permit.event().clone()]).await?;
        let secret = self.open(&permit, &receipt, &field).await?;
        self.note_use(permit.credential(), None, "sealed");
        verify_hmac(secret.expose(), message, signature, algorithm, encoding)
            .map_err(|error| derive_failure(&error))
    }

    /// Whether code was given a value itself.
    pub fn has_exposed(&self) -> bool {
        self.state().used.iter().any(|used| used.access == "exposed")
    }

    /// The credentials used so far.
    pub fn used(&self) -> Vec<UsedCredential> {
        self.state().used.clone()
    }

    /// Which of this step's placeholders stand in a text, with the keys that they stand for.
    pub fn seals_in(&self, text: &str) -> BTreeMap<String, String> {
        if !text.contains(placeholder::PREFIX) {
            return BTreeMap::new();
        }
        let all = self.references().into_iter().map(|reference| {
            let key = self.shown(&reference.holder);
            (reference.name, key)
        });
        all.filter(|(name, _)| text.contains(name.as_str())).collect()
    }

    // What the broker and actions need of a step.

    /// Notes what signing in gave, so that its sealed values are known.
    pub(crate) fn note_session(&self, holder: Holder, id: CredentialId, session: Arc<Session>) {
        let mut state = self.state();
        state.sessions.retain(|(known, ..)| *known != holder);
        state.sessions.push((holder, id, session));
    }

    /// The received values whose sealed values stand in a text, in their order.
    pub(crate) fn received_in(&self, text: &str) -> Vec<(String, Received)> {
        let all = self.0.received.iter();
        let mut found: Vec<_> = all
            .filter_map(|(name, (_, kept))| Some((text.find(name.as_str())?, name, kept)))
            .collect();
        found.sort_by_key(|(at, ..)| *at);
        found.into_iter().map(|(_, name, kept)| (name.clone(), kept.about.clone())).collect()
    }

    pub(crate) fn received_id(&self, name: &str) -> CredentialId {
        self.0.received.get(name).map_or_else(|| self.fresh_id(), |(_, kept)| kept.about.id)
    }

    pub(crate) fn fresh_id(&self) -> CredentialId {
        self.vault().fresh()
    }

    pub(crate) fn context(&self) -> &StepContext {
        &self.0.context
    }

    pub(crate) fn run(&self) -> &RunVault {
        &self.0.run
    }

    pub(crate) fn egress(&self) -> &Client {
        self.vault().egress()
    }

    pub(crate) fn pool(&self) -> String {
        self.0.context.workspace.to_string()
    }

    pub(crate) fn masker(&self) -> &Masker {
        self.0.run.masker()
    }

    pub(crate) fn placeholder(
        &self,
        credential: CredentialId,
        field: &str,
        derivation: Option<&Derivation>,
    ) -> String {
        placeholder::compute(&self.0.run.0.sealing, credential, field, derivation)
    }

    /// Every placeholder that this step may use, by its number in the list.
    pub(crate) fn known(&self) -> (Known, Vec<Reference>) {
        let references = self.references();
        let mut known = Known::default();
        for (number, reference) in references.iter().enumerate() {
            known.insert(&reference.name, number);
        }
        (known, references)
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.run.0.vault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn references(&self) -> Vec<Reference> {
        let mut all: Vec<Reference> = Vec::new();
        for (key, grant) in &self.0.grants {
            let credential = grant.credential();
            all.extend(credential.details.secret.iter().map(|field| Reference {
                holder: Holder::Stored(key.clone()),
                field: field.clone(),
                what: What::Field,
                name: self.placeholder(credential.id, field, None),
            }));
        }
        all.extend(self.0.received.keys().map(|name| Reference {
            holder: Holder::Received(name.clone()),
            field: String::new(),
            what: What::Field,
            name: name.clone(),
        }));
        for (holder, id, session) in &self.state().sessions {
            all.extend(session.fields.keys().map(|field| Reference {
                holder: holder.clone(),
                field: field.clone(),
                what: What::Session(session.clone()),
                name: self.placeholder(*id, field, None),
            }));
        }
        let derived = self.0.run.0.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = |entry: &Derived| {
            let grant = self.0.grants.get(&entry.key);
            grant.is_some_and(|grant| grant.credential().id == entry.credential)
        };
        all.extend(derived.iter().filter(|(_, entry)| granted(entry)).map(|(name, entry)| {
            Reference {
                holder: Holder::Stored(entry.key.clone()),
                field: entry.field.clone(),
                what: What::Derived(entry.derivation.clone()),
                name: name.clone(),
            }
        }));
        all
    }

    fn field(&self, grant: &Grant, field: Option<&str>) -> Result<String, StepFailure> {
        let credential = grant.credential();
        let name = field.or_else(|| credential.main_field());
        let known = name.filter(|name| credential.details.secret.iter().any(|f| f == name));
        known.map(str::to_owned).ok_or_else(|| {
            let message = format!("credential \"{}\" has no such secret field", credential.key);
            StepFailure::of_key(StepErrorCode::MissingCredential, &credential.key, message)
        })
    }

    async fn open_exposed(&self, grant: &Grant, field: &str) -> Result<Secret, StepFailure> {
        let vault = self.vault();
        let permit = self.allowed(grant.expose(vault.fresh(), vault.now())).await?;
        let receipt = self.audit_release(vec![permit.event().clone()]).await?;
        let secret = self.open(&permit, &receipt, field).await?;
        let credential = grant.credential();
        let name = self.placeholder(credential.id, field, None);
        self.teach(credential, secret.expose(), Some(&name));
        self.note_use(credential, None, "exposed");
        Ok(secret)
    }

    async fn open<P: Sync>(
        &self,
        permit: &Permit<P>,
        receipt: &AuditReceipt,
        field: &str,
    ) -> Result<Secret, StepFailure> {
        let credential = permit.credential();
        if let Some(link) = credential.details.links.get(field) {
            return self.linked(permit, field, link).await;
        }
        let row = match self.version(credential).await {
            Ok(row) => row,
            Err(error) => return Err(self.broken(credential, &error).await),
        };
        match seal::open_field(&self.0.run.0.keys, permit, receipt, &row, field) {
            Ok(secret) => Ok(secret),
            Err(error) => Err(self.broken(credential, &error).await),
        }
    }

    async fn version(&self, credential: &Credential) -> Result<Arc<CredentialVersion>, VaultError> {
        let keys = &self.0.run.0.keys;
        if let Some((revision, row)) = self.state().versions.get(&credential.id)
            && *revision == credential.revision
            // Since it was read, its key may have been wrapped anew, and the old wrap be shut.
            && keys.opens(row.wrapped_key.as_bytes())
        {
            return Ok(row.clone());
        }
        let (workspace, id, version) = (credential.workspace, credential.id, credential.version);
        let row =
            self.vault().store().read(move |tx| tx.credential_version(workspace, id, version));
        let row = Arc::new(row.await?.ok_or(VaultError::Unreadable)?);
        self.vault().keys_for(workspace, &row.wrapped_key).await?;
        self.state().versions.insert(id, (credential.revision, row.clone()));
        Ok(row)
    }

    fn teach(&self, credential: &Credential, value: &[u8], name: Option<&str>) {
        let needles = self.vault().needles(credential.id, value);
        self.masker().learn(needles, name.unwrap_or("***"));
    }

    fn count_verification(&self) -> Result<(), StepFailure> {
        let mut state = self.state();
        state.verifications += 1;
        if state.verifications <= MAX_VERIFICATIONS {
            return Ok(());
        }
        let message = format!("a step may check at most {MAX_VERIFICATIONS} signatures");
        Err(StepFailure::new(StepErrorCode::ValidationFailed, message))
    }
}

fn audible(credential: &Credential, to: &Destination) -> Audible {
    (credential.id, credential.revision, to.origin())
}

fn apply(
    credential: &Credential,
    derivation: &Derivation,
    secret: &Secret,
) -> Result<Secret, StepFailure> {
    let username = credential.details.plain.get("username").map(String::as_str);
    let value = derivation.apply(username.unwrap_or_default(), secret.expose());
    value.map(Secret::new).map_err(|error| derive_failure(&error))
}
