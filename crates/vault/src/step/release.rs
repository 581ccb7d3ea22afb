//! Releasing values: rows 7 to 10 for each holder, then opening, for one request or one server.

use super::failure::unusable;
use super::{Audible, FRESH, Holder, Reference, Released, StepFailure, StepVault, What};
use super::{apply, audible, internal};
use crate::broker::raw;
use crate::placeholder::Found;
use crate::received::{self, Kept};
use crate::run::RunVault;
use crate::secret::Secret;
use crate::vault::VaultError;
use keyward_model::destination::{Destination, Place, Scheme, canonical_host};
use keyward_model::error::StepErrorCode;
use keyward_model::policy::{Grant, Permit, StepContext, Use};
use keyward_model::settings::Settings;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

impl StepVault {
    /// Rows 7 to 10 for one request, then the values: each placeholder number with its places.
    pub(crate) async fn release(
        &self,
        to: &Destination,
        references: &[Reference],
        wanted: &[(usize, Vec<Place>)],
        operator_allows: bool,
    ) -> Result<HashMap<usize, Arc<Secret>>, StepFailure> {
        let mut by_holder: BTreeMap<&Holder, Vec<Place>> = BTreeMap::new();
        for (number, places) in wanted {
            let reference = references.get(*number).ok_or_else(internal)?;
            by_holder.entry(&reference.holder).or_default().extend(places);
        }
        let asked = Instant::now();
        let uses = self.permits(to, &by_holder, operator_allows).await?;
        let revisions: BTreeMap<_, _> = by_holder
            .keys()
            .copied()
            .zip(uses.iter().map(|(audible, _)| audible.clone()))
            .collect();
        self.audit_uses(uses).await?;
        let mut values = HashMap::new();
        for (number, _) in wanted {
            let reference = references.get(*number).ok_or_else(internal)?;
            let audible = revisions.get(&reference.holder).ok_or_else(internal)?;
            values.insert(*number, self.open_reference(reference, audible).await?);
        }
        // The record may have taken its time, and what was suspended meanwhile must not go out.
        if asked.elapsed() >= FRESH {
            self.permits(to, &by_holder, operator_allows).await?;
        }
        Ok(values)
    }

    /// The value of a text that a sealed value stands in, released for a server that speaks no HTTP.
    pub(crate) async fn release_text(
        &self,
        text: &str,
        host: &str,
        port: u16,
    ) -> Result<Arc<Secret>, StepFailure> {
        let (known, references) = self.known();
        let number = |found| match found {
            Found::Whole { number, .. } => Some((number, vec![Place::Body])),
            Found::Unknown | Found::Damaged => None,
        };
        let wanted: Vec<_> = known.search(text.as_bytes()).into_iter().filter_map(number).collect();
        let to = Destination {
            scheme: Scheme::Tcp,
            host: canonical_host(host).unwrap_or_else(|| host.to_owned()),
            port,
            method: "CONNECT".into(),
            path: "/".into(),
        };
        let plain_allowed = self.egress().allows_plain(host, port);
        let values = self.release(&to, &references, &wanted, plain_allowed).await?;
        let value = |number: usize| values.get(&number).map(|secret| secret.expose());
        Ok(Arc::new(Secret::new(raw(&known, text, &value))))
    }

    /// Refuses inputs in which a sealed value stands: what takes them is no place for a secret.
    pub(crate) async fn refuse_sealed(
        &self,
        inputs: &serde_json::Value,
    ) -> Result<(), StepFailure> {
        let (known, _) = self.known();
        let text = inputs.to_string();
        if known.search(text.as_bytes()).is_empty() {
            return Ok(());
        }
        self.record_misplaced("place", None).await;
        let message =
            "a sealed value stands in the inputs; this action sends its inputs as they are";
        Err(StepFailure::new(StepErrorCode::CredentialNotAllowedHere, message))
    }

    /// Row 7 and the record of a use that opens nothing.
    pub(crate) async fn record_plain_use(&self, key: &str) -> Result<(), StepFailure> {
        let grant = self.current(key).await?;
        let vault = self.vault();
        let permit = self.allowed(grant.verify(vault.fresh(), vault.now())).await?;
        self.audit_release(vec![permit.event().clone()]).await?;
        self.note_use(permit.credential(), None, "sealed");
        Ok(())
    }

    /// Row 7 alone, for what is kept in memory: it opens nothing, so only a refusal is recorded.
    pub(crate) async fn check_usable(&self, key: &str) -> Result<(), StepFailure> {
        let grant = self.current(key).await?;
        let vault = self.vault();
        self.allowed(grant.verify(vault.fresh(), vault.now())).await.map(drop)
    }

    /// Rows 7 and 8 for each holder, in their order; refusals are recorded.
    async fn permits(
        &self,
        to: &Destination,
        by_holder: &BTreeMap<&Holder, Vec<Place>>,
        operator_allows: bool,
    ) -> Result<Vec<(Audible, Permit<Use>)>, StepFailure> {
        let mut uses = Vec::with_capacity(by_holder.len());
        for (holder, places) in by_holder {
            let vault = self.vault();
            let grant = match holder {
                Holder::Stored(key) => self.current(key).await?,
                Holder::Received(name) => self.received(name)?.0.clone(),
            };
            let permit = grant.use_at(vault.fresh(), vault.now(), to, places, operator_allows);
            let permit = self.allowed(permit).await?;
            uses.push((audible(permit.credential(), to), permit));
        }
        Ok(uses)
    }

    fn received(&self, name: &str) -> Result<&(Grant, Kept), StepFailure> {
        self.0.received.get(name).ok_or_else(internal)
    }

    /// What people are told of a holder: a key, or an origin.
    pub(crate) fn shown(&self, holder: &Holder) -> String {
        match holder {
            Holder::Stored(key) => key.clone(),
            Holder::Received(name) => {
                let kept = self.0.received.get(name);
                kept.map(|(_, kept)| kept.about.origin.clone()).unwrap_or_default()
            }
        }
    }

    async fn open_reference(
        &self,
        reference: &Reference,
        audible: &Audible,
    ) -> Result<Arc<Secret>, StepFailure> {
        let released = self.state().audited.get(audible).cloned().ok_or_else(internal)?;
        if let What::Session(session) = &reference.what {
            let secret = session.fields.get(&reference.field).cloned().ok_or_else(internal)?;
            self.teach(released.permit.credential(), secret.expose(), Some(&reference.name));
            return Ok(secret);
        }
        match &reference.holder {
            Holder::Stored(key) => self.open_stored(key, reference, &released).await.map(Arc::new),
            Holder::Received(name) => self.open_received(name, &released).map(Arc::new),
        }
    }

    /// A value that came in another form than text, or is too large, is no credential.
    fn open_received(&self, name: &str, released: &Released) -> Result<Secret, StepFailure> {
        let (_, kept) = self.received(name)?;
        let (run, context) = (&self.0.run, &self.0.context);
        let opened = run.with_run_key(context, |key| {
            received::open(key, context, (name, kept), &released.permit, &released.receipt)
        });
        opened.map_err(|error| {
            tracing::error!(run = %context.run, %error, "received value does not open");
            internal()
        })
    }

    async fn open_stored(
        &self,
        key: &str,
        reference: &Reference,
        released: &Released,
    ) -> Result<Secret, StepFailure> {
        let credential = released.permit.credential();
        if !credential.details.secret.contains(&reference.field) {
            return Err(unusable(key));
        }
        let secret = self.open(&released.permit, &released.receipt, &reference.field).await?;
        let plain = self.placeholder(credential.id, &reference.field, None);
        self.teach(credential, secret.expose(), Some(&plain));
        let What::Derived(derivation) = &reference.what else { return Ok(secret) };
        let value = apply(credential, derivation, &secret)?;
        self.teach(credential, value.expose(), Some(&reference.name));
        Ok(value)
    }
}

/// A grant for each value that the run has received: whatever its data flows to may send it, where it
/// is bound to.
pub(super) async fn received_grants(
    run: &RunVault,
    context: &StepContext,
) -> Result<BTreeMap<String, (Grant, Kept)>, VaultError> {
    let received = run.received();
    if received.is_empty() {
        return Ok(BTreeMap::new());
    }
    let workspace = context.workspace;
    let settings = run.0.vault.store().read(move |tx| tx.settings(workspace)).await;
    let settings = settings.ok().flatten().and_then(|row| run.0.keys.verify(row).ok());
    let settings = settings.map_or_else(Settings::strictest, |row| row.settings);
    let grant = |(name, kept): (String, Kept)| {
        let bound = kept.about.credential(context);
        let grant = Grant::of_received(context.clone(), bound, settings.require_hosts);
        (name, (grant, kept))
    };
    Ok(received.into_iter().map(grant).collect())
}
