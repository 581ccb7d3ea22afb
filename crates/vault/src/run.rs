//! What the vault holds for one run: the sealing key, the masker, and derivations made in it.

use crate::bytes::Key;
use crate::derive::{Derivation, DeriveError};
use crate::placeholder;
use crate::received::{Full, Kept};
use crate::ring::WorkspaceKeys;
use crate::seal::{self, Aad, Text};
use crate::step::StepVault;
use crate::vault::{Vault, VaultError};
use keyward_model::credential::Sealed;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, RunId, WorkspaceId};
use keyward_model::mask::{Masked, Masker};
use keyward_model::policy::StepContext;
use keyward_store::RunSecret;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How many values may be computed in a run.
const MAX_DERIVED: usize = 1_000;
/// How many bytes all that they are computed from may have.
const MAX_DERIVED_BYTES: usize = 8 << 20;

/// A value computed from a secret in this run, by its placeholder.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Derived {
    pub(crate) credential: CredentialId,
    pub(crate) key: String,
    pub(crate) field: String,
    pub(crate) derivation: Derivation,
}

/// What a run keeps beside its rows, sealed under its key.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A value computed from a credential.
    Derived(Derived),
    /// A value that the run has received.
    Received(Full),
}

/// A run's own key, with the record that stands in the database.
struct RunKey {
    key: Key,
    wrapped: Sealed,
}

/// What is not in the database yet.
enum NotSaved {
    /// An entry that holds no value.
    Content(Vec<u8>),
    /// A record under the run's key.
    Sealed(Arc<Sealed>),
}

/// How people stand to a run: what rows 2, 5 and 6 ask of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// Whether the starter may run the workflow.
    pub starter_may_run: bool,
    /// The workflow's owner, whose personal credentials count.
    pub owner: Option<MemberId>,
    /// Who saved the version that runs.
    pub author: Option<MemberId>,
}

/// The vault's side of one run. Cheap to clone.
#[derive(Clone)]
pub struct RunVault(pub(crate) Arc<RunState>);

pub(crate) struct RunState {
    pub(crate) vault: Vault,
    pub(crate) keys: Arc<WorkspaceKeys>,
    pub(crate) sealing: Key,
    pub(crate) masker: Masker,
    pub(crate) standing: Standing,
    pub(crate) derived: Mutex<BTreeMap<String, Derived>>,
    pub(crate) received: Mutex<BTreeMap<String, Kept>>,
    /// What was read of secret stores, sealed under the run's key: read once, unless a step wants more.
    reads: Mutex<BTreeMap<String, Sealed>>,
    unsaved: Mutex<Vec<(String, NotSaved)>>,
    run_key: Mutex<Option<RunKey>>,
}

impl Vault {
    /// Begins or continues a run; how people stand to it is asked anew for each run.
    pub async fn run(
        &self,
        context: &StepContext,
        standing: Standing,
    ) -> Result<RunVault, VaultError> {
        let keys = self.keys(context.workspace).await?;
        Ok(RunVault(Arc::new(RunState {
            vault: self.clone(),
            sealing: keys.run_sealing(context.run),
            keys,
            masker: Masker::new(),
            standing,
            derived: Mutex::default(),
            received: Mutex::default(),
            reads: Mutex::default(),
            unsaved: Mutex::default(),
            run_key: Mutex::default(),
        })))
    }
}

impl Vault {
    /// For each sealed value of an earlier run, given with its key, the one that stands for the same
    /// field in another run. What was derived or came from outside has none, and is left out.
    pub async fn renamed_seals(
        &self,
        workspace: WorkspaceId,
        (from, to): (RunId, RunId),
        seals: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, VaultError> {
        let keys = self.keys(workspace).await?;
        let (before, after) = (keys.run_sealing(from), keys.run_sealing(to));
        let mut renamed = BTreeMap::new();
        for (seal, key) in seals {
            let key = key.clone();
            let rows = self.store().read(move |tx| tx.credentials_by_key(workspace, &key)).await?;
            for credential in rows.into_iter().filter_map(|row| keys.verify(row).ok()) {
                for field in &credential.details.secret {
                    let name = |sealing| placeholder::compute(sealing, credential.id, field, None);
                    if name(&before) == *seal {
                        renamed.insert(seal.clone(), name(&after));
                    }
                }
            }
        }
        Ok(renamed)
    }
}

impl Vault {
    /// Seals a text of a no-store run, for as long as the run is under way.
    pub async fn seal_row(&self, at: &StepContext, text: &Masked) -> Result<Masked, VaultError> {
        let keys = self.keys(at.workspace).await?;
        let text = text.as_str().as_bytes();
        let sealed = seal::seal_text(&keys, Text::NoStoreRow, at.run.as_bytes(), text)?;
        Ok(Masked::of_sealed(&sealed))
    }

    /// Opens what `seal_row` sealed. What is not sealed is given back as it is.
    pub async fn open_row(&self, at: &StepContext, text: String) -> Result<String, VaultError> {
        let Some(sealed) = Masked::sealed_in(&text) else { return Ok(text) };
        let keys = self.keys_for(at.workspace, &sealed).await?;
        let bytes = seal::open_text(&keys, Text::NoStoreRow, at.run.as_bytes(), &sealed)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| VaultError::Unreadable)
    }
}

impl RunVault {
    /// The run's masker, taught by every release.
    pub fn masker(&self) -> &Masker {
        &self.0.masker
    }

    /// Begins a step: resolves each declared key and records what is refused.
    pub async fn step(
        &self,
        context: StepContext,
        declared: &[String],
    ) -> Result<StepVault, VaultError> {
        StepVault::begin(self.clone(), context, declared).await
    }

    /// What the run must remember of derivations made since the last call: written with the step's
    /// record, and deleted with the run's key when the run ends. `None` where there is nothing.
    pub fn take_unsaved(&self, context: &StepContext) -> Result<Option<Unsaved>, VaultError> {
        let unsaved =
            std::mem::take(&mut *self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        if unsaved.is_empty() {
            return Ok(None);
        }
        let mut slot = self.0.run_key.lock().unwrap_or_else(PoisonError::into_inner);
        let RunKey { key, wrapped } = self.fresh_run_key(context, &mut slot)?;
        let seal = |(id, entry): (String, NotSaved)| {
            let sealed = match entry {
                NotSaved::Content(content) => {
                    seal::seal(key, [0; 16], &secret_aad(context, &id), &content)?
                }
                NotSaved::Sealed(sealed) => Sealed::clone(&sealed),
            };
            Ok(RunSecret { id, details: "{}".into(), sealed })
        };
        let secrets = unsaved.into_iter().map(seal).collect::<Result<_, VaultError>>()?;
        let wrapped_key = wrapped.as_bytes().to_vec();
        Ok(Some(Unsaved { wrapped_key, secrets }))
    }

    /// Seals an entry under the run's key.
    pub(crate) fn seal_entry(
        &self,
        context: &StepContext,
        id: &str,
        content: &[u8],
    ) -> Result<Sealed, VaultError> {
        self.with_run_key(context, |key| {
            seal::seal(key, [0; 16], &secret_aad(context, id), content)
        })
    }

    /// Works with the run's key, which is made at first need.
    pub(crate) fn with_run_key<T>(
        &self,
        context: &StepContext,
        work: impl FnOnce(&Key) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let mut slot = self.0.run_key.lock().unwrap_or_else(PoisonError::into_inner);
        work(&self.fresh_run_key(context, &mut slot)?.key)
    }

    /// What the run has read under that name, secrets in it.
    pub(crate) fn known_read(&self, context: &StepContext, name: &str) -> Option<Value> {
        let reads = self.0.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = reads.get(name)?;
        let opened = self.with_run_key(context, |key| {
            seal::open(key, [0; 16], &secret_aad(context, name), sealed.as_bytes())
        });
        serde_json::from_slice(&opened.ok()?).ok()
    }

    /// Keeps what was read, for as long as this node drives the run.
    pub(crate) fn note_read(&self, context: &StepContext, name: String, output: &Value) {
        let content = Zeroizing::new(serde_json::to_vec(output).unwrap_or_default());
        if let Ok(sealed) = self.seal_entry(context, &name, &content) {
            let mut reads = self.0.reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.insert(name, sealed);
        }
    }

    pub(crate) fn note_unsaved(&self, id: String, sealed: Arc<Sealed>) {
        let mut unsaved = self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        unsaved.push((id, NotSaved::Sealed(sealed)));
    }

    /// Takes up what an earlier owner of the run had saved.
    pub fn restore(
        &self,
        context: &StepContext,
        wrapped_key: Vec<u8>,
        saved: &[RunSecret],
    ) -> Result<(), VaultError> {
        let key = self.open_run_key(context, &wrapped_key)?;
        for secret in saved {
            let aad = secret_aad(context, &secret.id);
            let content = seal::open(&key, [0; 16], &aad, secret.sealed.as_bytes())?;
            match serde_json::from_slice(&content).map_err(|_| VaultError::Unreadable)? {
                Entry::Derived(entry) => {
                    let derived = self.0.derived.lock();
                    let mut derived = derived.unwrap_or_else(PoisonError::into_inner);
                    derived.insert(secret.id.clone(), entry);
                }
                Entry::Received(full) => {
                    self.restore_received(&secret.id, &full, secret.sealed.clone())?;
                }
            }
        }
        let run_key = RunKey { key, wrapped: Sealed::from_bytes(wrapped_key) };
        *self.0.run_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(run_key);
        Ok(())
    }

    /// The run's own key, made at first need, under the generation that seals now. Where that fails, the
    /// key stays what it was.
    fn fresh_run_key<'k>(
        &self,
        context: &StepContext,
        slot: &'k mut Option<RunKey>,
    ) -> Result<&'k RunKey, VaultError> {
        let keys = &self.0.keys;
        let wrap =
            |key: &Key| seal::seal_text(keys, Text::RunKey, context.run.as_bytes(), key.bytes());
        match slot {
            Some(kept) if keys.seals_like(kept.wrapped.as_bytes()) => {}
            Some(kept) => kept.wrapped = wrap(&kept.key)?,
            None => {
                let key = Key::random()?;
                let wrapped = wrap(&key)?;
                *slot = Some(RunKey { key, wrapped });
            }
        }
        slot.as_ref().ok_or(VaultError::Unreadable)
    }

    fn open_run_key(&self, context: &StepContext, wrapped: &[u8]) -> Result<Key, VaultError> {
        let sealed = Sealed::from_bytes(wrapped.to_vec());
        let bytes = seal::open_text(&self.0.keys, Text::RunKey, context.run.as_bytes(), &sealed)?;
        Key::from_slice(&bytes).ok_or(VaultError::Unreadable)
    }

    /// Notes a derivation and gives its placeholder.
    ///
    /// # Errors
    /// `TooMany` where a run computes more than is kept of one.
    pub(crate) fn note(&self, entry: Derived) -> Result<String, DeriveError> {
        let state = &self.0;
        let mut derived = state.derived.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = derived.values().map(|entry| entry.derivation.size()).sum::<usize>();
        if noted.saturating_add(entry.derivation.size()) > MAX_DERIVED_BYTES {
            return Err(DeriveError::TooMany);
        }
        let name = placeholder::compute(
            &state.sealing,
            entry.credential,
            &entry.field,
            Some(&entry.derivation),
        );
        if derived.contains_key(&name) {
            return Ok(name);
        }
        if derived.len() >= MAX_DERIVED {
            return Err(DeriveError::TooMany);
        }
        let content = serde_json::to_vec(&Entry::Derived(entry.clone())).unwrap_or_default();
        let mut unsaved = state.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
        unsaved.push((name.clone(), NotSaved::Content(content)));
        derived.insert(name.clone(), entry);
        Ok(name)
    }
}

/// Secrets of a run that are not in the database yet, with the key that they are sealed under.
#[derive(Clone)]
pub struct Unsaved {
    /// The run's key, wrapped by the workspace's.
    pub wrapped_key: Vec<u8>,
    /// The secrets by placeholder.
    pub secrets: Vec<RunSecret>,
}

pub(crate) fn secret_aad(context: &StepContext, id: &str) -> Aad {
    let mut aad = Aad::new("keyward/run-secret/v1");
    aad.part(context.workspace.as_bytes()).part(context.run.as_bytes()).part(id.as_bytes());
    aad
}
