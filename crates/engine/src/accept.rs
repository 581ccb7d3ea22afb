//! The one door for events: HTTP triggers, manual runs and retries all become runs here.

use crate::no_store::context;
use crate::runner::{Drive, Ended};
use crate::withheld::Hidden;
use crate::{Engine, EngineError};
use keyward_model::actor::Actor;
use keyward_model::audit::Event as AuditEvent;
use keyward_model::id::{MemberId, RunId};
use keyward_model::mask::{Masked, Masker};
use keyward_model::policy::StepContext;
use keyward_model::run::{NewRun, NewStep, Origin};
use keyward_model::saved_workflow::Workflow;
use keyward_model::sealing::Sealing;
use keyward_model::template::Root;
use keyward_store::{Audited, Owned, RunTx, Tx};
use keyward_vault::{Standing, Unsaved};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Something that starts a run.
pub struct Event {
    /// The workflow's head, its tag checked.
    pub workflow: Workflow,
    /// Which door it came by.
    pub origin: Origin,
    /// Who it is put down to.
    pub starter: Actor,
    /// The member whose rights count; the workflow's owner for triggers.
    pub member: MemberId,
    /// The trigger, as steps see it.
    pub trigger: serde_json::Value,
    /// Whether the event asks for no-store.
    pub no_store: bool,
    /// What is retried.
    pub retry_of: Option<RetryOf>,
    /// What the audit says, where a person did it.
    pub audit: Option<AuditEvent>,
}

/// A run that is retried.
pub struct RetryOf {
    /// The new run's id, for which sealed values in the records are written.
    pub id: RunId,
    /// The run that failed.
    pub run: RunId,
    /// The records that need no second execution.
    pub records: Vec<NewStep>,
}

/// An accepted event: durable, and under way.
pub struct Accepted {
    /// The run.
    pub run: RunId,
    /// Gives how the run ended. Dropping it does not end the run.
    pub ended: JoinHandle<Ended>,
}

/// A trigger without the secrets that came with it.
struct Received {
    trigger: Masked,
    /// JSON object: sealed value to origin.
    seals: String,
    unsaved: Option<Unsaved>,
}

impl Engine {
    /// Accepts an event: once this returns, the run is never lost.
    pub async fn accept(&self, event: Event) -> Result<Accepted, EngineError> {
        let compiled = self.compiled(&event.workflow, event.workflow.version).await?;
        let (id, retry_of, carried) = match event.retry_of {
            Some(RetryOf { id, run, records }) => (id, Some(run), records),
            None => (self.vault().fresh(), None, Vec::new()),
        };
        let at = context(event.workflow.workspace, event.workflow.id, id, &event.starter);
        let received = self.receive(&at, event.trigger, &compiled.plan.trigger).await?;
        let stays_unread = event.no_store || compiled.definition.settings.no_store;
        let withheld = !compiled.plan.withheld.is_empty();
        let new = NewRun {
            workspace: event.workflow.workspace,
            id,
            workflow: event.workflow.id,
            version: compiled.version,
            origin: event.origin,
            starter: event.starter,
            member: Some(event.member),
            no_store: stays_unread || withheld,
            withheld: withheld && !stays_unread,
            retry_of,
            node: self.node(),
            created_at: self.vault().now(),
            trigger: received.trigger,
            seals: if stays_unread { "{}".into() } else { received.seals },
        };
        let plain: Arc<str> = new.trigger.as_str().into();
        let stored = self.to_store(&new).await?;
        let new_row = NewRun { trigger: stored, ..new.clone() };
        let owned = self.write(new_row, &carried, received.unsaved, event.audit);
        let drive = Drive {
            owned: owned.await?,
            workflow: new.workflow,
            starter: new.starter,
            member: Some(event.member),
            trigger: plain,
            hidden: Hidden::of(new.no_store, new.withheld),
            compiled,
        };
        let engine = self.clone();
        let ended = tokio::spawn(async move { engine.drive(drive, carried).await });
        Ok(Accepted { run: new.id, ended })
    }

    /// Takes out of a trigger what feeds external credentials, before anything of it is written.
    async fn receive(
        &self,
        at: &StepContext,
        mut trigger: serde_json::Value,
        sealing: &Sealing,
    ) -> Result<Received, EngineError> {
        if sealing.rules.is_empty() {
            let trigger = Masker::new().json(&trigger);
            return Ok(Received { trigger, seals: "{}".into(), unsaved: None });
        }
        let vault = self.vault().run(at, Standing::default()).await?;
        vault.receive(at, &Root::Trigger, &mut trigger, sealing)?;
        let trigger = vault.masker().json(&trigger);
        let seals = serde_json::to_string(&vault.received_in(trigger.as_str()));
        let unsaved = vault.take_unsaved(at)?;
        Ok(Received { trigger, seals: seals.unwrap_or_else(|_| "{}".into()), unsaved })
    }

    /// The trigger as it is written: sealed where nothing readable may stay.
    async fn to_store(&self, new: &NewRun) -> Result<Masked, EngineError> {
        if !new.no_store {
            return Ok(new.trigger.clone());
        }
        let at = context(new.workspace, new.workflow, new.id, &new.starter);
        Ok(self.vault().seal_row(&at, &new.trigger).await?)
    }

    /// Commit 1: the run, born owned by this node, with what it carries over from an earlier one.
    async fn write(
        &self,
        new: NewRun,
        carried: &[NewStep],
        unsaved: Option<Unsaved>,
        audit: Option<AuditEvent>,
    ) -> Result<Owned, EngineError> {
        let (store, carried, run) = (self.vault().store(), carried.to_vec(), new.id);
        let insert = move |tx: &mut RunTx<'_>| {
            let owned = tx.insert_run(&new)?;
            carried.iter().try_for_each(|step| tx.put_step(&owned, step))?;
            if let Some(unsaved) = &unsaved {
                tx.set_run_key(&owned, &unsaved.wrapped_key)?;
                unsaved.secrets.iter().try_for_each(|secret| tx.put_run_secret(&owned, secret))?;
            }
            Ok(owned)
        };
        let Some(audit) = audit else { return Ok(store.record(insert).await?) };
        let audit = AuditEvent { run: Some(run), ..audit };
        let write = move |tx: &mut Tx<'_>| Ok(Audited::new(insert(tx)?, vec![audit.clone()]));
        Ok(store.write(write).await?.0)
    }
}
