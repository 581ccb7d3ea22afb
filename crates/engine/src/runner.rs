//! Drives one run: asks the model what is next, does it, stores what came out.

mod records;

use crate::compiled::CompiledWorkflow;
use crate::held_up::will_pass;
use crate::live::Live;
use crate::steps::code::Globals;
use crate::steps::{Failed, LogLine, StepInput, StepResult, app, code, http};
use crate::withheld::{Hidden, reveal};
use crate::{Engine, EngineError};
use keyward_model::actor::Actor;
use keyward_model::clock::Timestamp;
use keyward_model::error::StepErrorCode;
use keyward_model::id::{MemberId, WorkflowId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::policy::{Ability, StepContext, may};
use keyward_model::run::{self, NewStep, Next, Progress, RunEnd, RunStatus, StepStatus};
use keyward_model::saved_workflow::Workflow;
use keyward_model::template::Context;
use keyward_model::tenant::Member;
use keyward_model::workflow::{Step, StepKind};
use keyward_store::{Owned, RunTx, StoreError};
use keyward_vault::{RunVault, Standing, StepFailure, UsedCredential};
use records::{failed_record, finished, interrupted, record, skipped, started, uses};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A run to be driven, from wherever it stands.
pub(crate) struct Drive {
    /// The run, and this node's hold on it.
    pub(crate) owned: Owned,
    pub(crate) workflow: WorkflowId,
    pub(crate) starter: Actor,
    /// Whose rights count; with nobody, no credential is granted.
    pub(crate) member: Option<MemberId>,
    /// Masked JSON.
    pub(crate) trigger: Arc<str>,
    /// Whether its data may be read.
    pub(crate) hidden: Hidden,
    pub(crate) compiled: Arc<CompiledWorkflow>,
}

/// How a run ended, as whoever waits for it learns it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// A final status; `running` where this node lost the run to another.
    pub status: RunStatus,
    /// The last executed step's output as masked JSON text, and the placeholders in it.
    pub output: Option<Arc<str>>,
    /// Placeholders in the output with the keys that they stand for.
    pub seals: std::collections::BTreeMap<String, String>,
    /// The failed step with its code and masked message, which is empty where nothing may be read.
    pub failed: Option<(String, StepErrorCode, String)>,
}

/// What is known of the run so far.
pub(crate) struct State {
    pub(crate) records: Vec<NewStep>,
    /// Masked JSON, as steps see it.
    pub(crate) trigger: Arc<str>,
    /// Whether anything readable is kept.
    pub(crate) is_hidden: bool,
    pub(crate) context: Option<Context>,
    live: Arc<Live>,
    pub(crate) vault: RunVault,
}

impl Engine {
    /// Drives a run to its end, continuing after the records that it already has.
    pub(crate) async fn drive(&self, drive: Drive, records: Vec<NewStep>) -> Ended {
        let live = self.live().begin(drive.owned.run);
        let ended = match self.drive_on(&drive, records, &live).await {
            Ok(ended) => ended,
            Err(error) => self.gave_up(&drive, &live, &error),
        };
        let event = json!({ "run_id": drive.owned.run, "status": ended.status.as_str() });
        live.push("run", event.to_string());
        self.live().end(drive.owned.run);
        self.counters().count(ended.status);
        ended
    }

    /// The run stays unfinished in the database; its owner's restart or another node takes it up.
    fn gave_up(&self, drive: &Drive, live: &Live, error: &EngineError) -> Ended {
        let status = if live.is_cancelled() { RunStatus::Cancelled } else { RunStatus::Running };
        match error {
            EngineError::Store(StoreError::LostRun) => {
                tracing::info!(run = %drive.owned.run, "run has another owner or was ended");
            }
            error => tracing::error!(run = %drive.owned.run, %error, "run interrupted"),
        }
        Ended { status, output: None, seals: Default::default(), failed: None }
    }

    /// Drives, and goes on from what is stored after each failure of the database that passes.
    async fn drive_on(
        &self,
        drive: &Drive,
        mut records: Vec<NewStep>,
        live: &Arc<Live>,
    ) -> Result<Ended, EngineError> {
        loop {
            match self.drive_steps(drive, records, live.clone()).await {
                Err(error) if will_pass(&error) && !live.is_cancelled() => {
                    tracing::warn!(run = %drive.owned.run, %error, "run held up");
                    records = self.read_again(drive).await?;
                }
                done => return done,
            }
        }
    }

    async fn drive_steps(
        &self,
        drive: &Drive,
        records: Vec<NewStep>,
        live: Arc<Live>,
    ) -> Result<Ended, EngineError> {
        // Asked for grants alone, so a workflow that names no key need not be asked.
        let standing = match drive.compiled.names_keys() {
            true => {
                let (workspace, author) = (drive.owned.workspace, drive.compiled.author);
                self.standing(workspace, drive.workflow, drive.member, author).await?
            }
            false => Standing::default(),
        };
        let vault = self.vault().run(&drive.context(""), standing).await?;
        let has_none = records.is_empty() && drive.compiled.plan.trigger.rules.is_empty();
        self.restore_secrets(drive, &vault, has_none).await?;
        let (trigger, is_hidden) = (drive.trigger.clone(), drive.hidden != Hidden::No);
        let mut state = State { records, trigger, is_hidden, context: None, live, vault };
        loop {
            match run::next(drive.compiled.rules(), &state.progress()) {
                Next::Execute { position, attempt, not_before } => {
                    if let Some(time) = not_before {
                        self.wait_until(drive, &state, time).await?;
                    }
                    self.attempt(drive, &mut state, position, attempt).await?;
                }
                Next::Interrupt { position, attempt } => {
                    let step = drive.step(position)?;
                    let record = interrupted(step, position, attempt, self.vault().now());
                    self.store_step(drive, &mut state, record, &[]).await?;
                }
                Next::Done(status) => return self.finish(drive, &state, status).await,
            }
        }
    }

    /// Rows 2, 5 and 6: whether whoever the run acts for may still run workflows, whose personal
    /// credentials count, and who saved the version.
    pub(crate) async fn standing(
        &self,
        workspace: WorkspaceId,
        workflow: WorkflowId,
        starter: Option<MemberId>,
        author: MemberId,
    ) -> Result<Standing, EngineError> {
        let read = self.vault().store().read(move |tx| {
            let member = starter.map(|member| tx.member(workspace, member)).transpose()?.flatten();
            Ok((member, tx.workflow(workspace, workflow)?))
        });
        let (member, head) = match read.await {
            Ok(found) => found,
            // A row that somebody else wrote gives nobody anything.
            Err(StoreError::Corrupt { .. }) => return Ok(Standing::default()),
            Err(error) => return Err(error.into()),
        };
        let mut standing = Standing { author: Some(author), ..Standing::default() };
        if let Some(member) = member {
            let member = self.vault().verify(workspace, member).await;
            let runs = |member: Member| {
                member.left_at.is_none() && may(member.role, Ability::RunWorkflows)
            };
            standing.starter_may_run = member.is_ok_and(runs);
        }
        if let Some(head) = head {
            let head = self.vault().verify(workspace, head).await;
            standing.owner = head.ok().map(|head: Workflow| head.owner);
        }
        Ok(standing)
    }

    async fn restore_secrets(
        &self,
        drive: &Drive,
        vault: &RunVault,
        is_new: bool,
    ) -> Result<(), EngineError> {
        if is_new && drive.owned.epoch == 1 {
            return Ok(());
        }
        let Owned { workspace, run, .. } = drive.owned;
        let read = self
            .vault()
            .store()
            .read(move |tx| Ok((tx.run_key(workspace, run)?, tx.run_secrets(workspace, run)?)));
        let (Some(key), saved) = read.await? else { return Ok(()) };
        Ok(vault.restore(&drive.context(""), key, &saved)?)
    }

    /// Waits for the next attempt's time, and says that the run is running again.
    async fn wait_until(
        &self,
        drive: &Drive,
        state: &State,
        time: Timestamp,
    ) -> Result<(), EngineError> {
        let left = u64::try_from(time.millis() - self.vault().now().millis()).unwrap_or(0);
        let owned = drive.owned;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(left)) => {}
            () = state.live.cancelled() => {
                tracing::info!(run = %owned.run, "run cancelled");
                return Err(StoreError::LostRun.into());
            }
        }
        Ok(self.vault().store().record(move |tx| tx.set_running(&owned)).await?)
    }

    async fn attempt(
        &self,
        drive: &Drive,
        state: &mut State,
        position: usize,
        attempt: u32,
    ) -> Result<(), EngineError> {
        self.0.lease.hold().await;
        let step = drive.step(position)?;
        let started_at = self.vault().now();
        let earlier = state.records.get(position).map(|record| record.logs.clone());
        if CompiledWorkflow::needs_context(step) {
            state.ensure_context(drive, attempt);
        }
        match state.holds(step) {
            Ok(true) => {}
            Ok(false) => {
                let record = skipped(step, position, started_at);
                return self.store_step(drive, state, record, &[]).await;
            }
            Err(failure) => {
                let failed = Failed {
                    code: failure.code,
                    message: state.vault.masker().text(&failure.message),
                };
                let record = failed_record(step, position, attempt, started_at, failed);
                return self.store_step(drive, state, record, &[]).await;
            }
        }
        state.live.push("step", started(step, attempt, started_at));
        if step.rules().fail_on_interrupt {
            self.store_start(drive, step, position, attempt, started_at).await?;
        }
        let log_left = log_left(earlier.as_ref());
        let (result, used) = self.execute(drive, state, step, (attempt, log_left)).await?;
        let now = self.vault().now();
        let logs = state.logs(earlier.as_ref(), &result);
        let shown = serde_json::to_string(&used).unwrap_or_else(|_| "[]".into());
        let record = record(step, position, attempt, (started_at, now), result, shown, logs);
        self.store_step(drive, state, record, &used).await
    }

    /// Executes one attempt; ends early where the run is cancelled.
    async fn execute(
        &self,
        drive: &Drive,
        state: &State,
        step: &Step,
        (attempt, log_left): (u32, usize),
    ) -> Result<(StepResult, Vec<UsedCredential>), EngineError> {
        let declared = drive.compiled.declared_keys(step);
        let vault = state.vault.step(drive.context(step.id.as_str()), &declared).await?;
        let default = match step.kind {
            StepKind::Code(_) => code::DEFAULT_TIMEOUT,
            _ => http::DEFAULT_TIMEOUT,
        };
        let input = StepInput {
            step: step.id.as_str().to_owned(),
            attempt,
            idempotency_key: format!("{}-{}-{attempt}", drive.owned.run, step.id.as_str()),
            timeout: step.timeout.unwrap_or(default),
            log_left,
            run_vault: state.vault.clone(),
            vault: vault.clone(),
            context: drive.context(step.id.as_str()),
            sealing: drive.compiled.sealing(step),
            live: (!state.is_hidden).then(|| state.live.clone()),
            clock: self.vault().clock().clone(),
        };
        let working = async {
            match (&step.kind, &state.context) {
                (StepKind::Code(_), _) => match drive.compiled.script(step) {
                    Some(script) => {
                        let globals = state.globals(drive, &script.javascript, attempt);
                        code::execute(self.sandbox(), &input, globals).await
                    }
                    None => input.fail(&lost("the step's script is not there")),
                },
                (StepKind::Http(step), Some(context)) => http::execute(&input, step, context).await,
                (StepKind::App(step), Some(context)) => {
                    app::execute(&input, self.vault(), step, context).await
                }
                _ => input.fail(&lost("this server does not run this kind of step")),
            }
        };
        let result = tokio::select! {
            result = working => result,
            () = state.live.cancelled() => return Err(StoreError::LostRun.into()),
        };
        Ok((result, vault.used()))
    }

    async fn store_start(
        &self,
        drive: &Drive,
        step: &Step,
        position: usize,
        attempt: u32,
        at: Timestamp,
    ) -> Result<(), EngineError> {
        let mut record = skipped(step, position, at);
        record.status = StepStatus::Running;
        record.attempt = attempt.into();
        record.finished_at = None;
        let owned = drive.owned;
        Ok(self.vault().store().record(move |tx| tx.put_step(&owned, &record)).await?)
    }

    /// Stores an attempt's record; with the run's last step also its end, in the same commit.
    async fn store_step(
        &self,
        drive: &Drive,
        state: &mut State,
        record: NewStep,
        used: &[UsedCredential],
    ) -> Result<(), EngineError> {
        let position = usize::try_from(record.position).unwrap_or(usize::MAX);
        state.records.truncate(position);
        state.records.push(record.clone());
        state.note_output(&record);
        let event = finished(&record);
        let earlier = state.records.get(..position).unwrap_or_default();
        let uses = uses(drive, earlier, &record, used);
        let end = match run::next(drive.compiled.rules(), &state.progress()) {
            Next::Done(status) => Some(state.end(status, self.vault().now())),
            _ => None,
        };
        let waits = record.wake_at.filter(|_| record.status == StepStatus::Waiting);
        let unsaved = state.vault.take_unsaved(&drive.context(""))?;
        let revealed = reveal(drive, state);
        // Revealing may have masked it anew.
        let record = state.records.get(position).cloned().unwrap_or(record);
        let (owned, record) = (drive.owned, self.to_keep(drive, state.is_hidden, record).await?);
        let store = move |tx: &mut RunTx<'_>| {
            if let Some(revealed) = &revealed {
                tx.reveal_run(&owned, &revealed.trigger, &revealed.seals)?;
                revealed.earlier.iter().try_for_each(|step| tx.put_step(&owned, step))?;
            }
            tx.put_step(&owned, &record)?;
            uses.iter().try_for_each(|counted| tx.count_use(counted))?;
            if let Some(unsaved) = &unsaved {
                tx.set_run_key(&owned, &unsaved.wrapped_key)?;
                unsaved.secrets.iter().try_for_each(|secret| tx.put_run_secret(&owned, secret))?;
            }
            match (&end, waits) {
                (Some(end), _) => tx.end_run(&owned, end),
                (None, Some(wake_at)) => tx.set_waiting(&owned, wake_at),
                (None, None) => Ok(()),
            }
        };
        self.vault().store().record(store).await?;
        state.live.push("step", event);
        Ok(())
    }

    async fn finish(
        &self,
        drive: &Drive,
        state: &State,
        status: RunStatus,
    ) -> Result<Ended, EngineError> {
        // A run without steps, or one taken up between its last record and its end.
        if state.records.len() < drive.compiled.rules().len() || drive.compiled.rules().is_empty() {
            let (owned, end) = (drive.owned, state.end(status, self.vault().now()));
            let ended = self.vault().store().record(move |tx| tx.end_run(&owned, &end)).await;
            match ended {
                Ok(()) | Err(StoreError::LostRun) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let executed =
            state.records.iter().rev().find(|record| record.status != StepStatus::Skipped);
        let output = executed.and_then(|record| record.output.as_ref());
        let seals = executed.and_then(|record| serde_json::from_str(&record.seals).ok());
        Ok(Ended {
            status,
            output: output.map(|output| output.as_str().into()),
            seals: seals.unwrap_or_default(),
            failed: state.failure(),
        })
    }
}

impl Drive {
    pub(crate) fn context(&self, step: &str) -> StepContext {
        StepContext {
            workspace: self.owned.workspace,
            workflow: self.workflow,
            run: self.owned.run,
            step: step.to_owned(),
            starter: self.starter.clone(),
        }
    }

    fn step(&self, position: usize) -> Result<&Step, EngineError> {
        self.compiled.definition.steps.get(position).ok_or(EngineError::VersionGone)
    }
}

impl State {
    fn progress(&self) -> Vec<Progress> {
        let progress = |record: &NewStep| Progress {
            status: record.status,
            attempt: u32::try_from(record.attempt).unwrap_or(1),
            wake_at: record.wake_at,
        };
        self.records.iter().map(progress).collect()
    }

    /// Parses trigger and outputs for templates, once a step reads any.
    fn ensure_context(&mut self, drive: &Drive, attempt: u32) {
        let parse = |text: &str| Arc::new(serde_json::from_str(text).unwrap_or(Value::Null));
        let run =
            json!({ "id": drive.owned.run, "workflow_id": drive.workflow, "attempt": attempt });
        if let Some(context) = &mut self.context {
            return context.set_run(Arc::new(run));
        }
        let mut context = Context::new(parse(&self.trigger), Arc::new(run));
        for record in &self.records {
            if let Some(output) = &record.output {
                context.set_output(record.step.clone(), parse(output.as_str()));
            }
        }
        self.context = Some(context);
    }

    fn note_output(&mut self, record: &NewStep) {
        if let (Some(context), Some(output)) = (&mut self.context, &record.output) {
            let value = serde_json::from_str(output.as_str()).unwrap_or(Value::Null);
            context.set_output(record.step.clone(), Arc::new(value));
        }
    }

    fn holds(&self, step: &Step) -> Result<bool, StepFailure> {
        let (Some(condition), Some(context)) = (&step.when, &self.context) else { return Ok(true) };
        condition
            .holds(context)
            .map_err(|error| StepFailure::new(StepErrorCode::TemplateError, error.to_string()))
    }

    fn globals(&self, drive: &Drive, javascript: &Arc<str>, attempt: u32) -> Globals {
        let mut steps = String::from("{");
        for record in &self.records {
            let Some(output) = &record.output else { continue };
            if steps.len() > 1 {
                steps.push(',');
            }
            steps.push_str(&Value::from(record.step.as_str()).to_string());
            steps.push_str(":{\"output\":");
            steps.push_str(output.as_str());
            steps.push('}');
        }
        steps.push('}');
        let run =
            json!({ "id": drive.owned.run, "workflow_id": drive.workflow, "attempt": attempt })
                .to_string();
        Globals {
            javascript: javascript.clone(),
            trigger: self.trigger.clone(),
            steps: steps.into(),
            run: run.into(),
        }
    }

    /// The log of all attempts; masked once more as a whole, so that the type says so.
    fn logs(&self, earlier: Option<&Masked>, result: &StepResult) -> Masked {
        if earlier.is_none() && result.logs.is_empty() {
            return Masked::from_static("[]");
        }
        let earlier = earlier.and_then(|text| serde_json::from_str(text.as_str()).ok());
        let mut lines: Vec<Value> = earlier.unwrap_or_default();
        lines.extend(result.logs.iter().map(LogLine::to_json));
        self.vault.masker().json(&Value::Array(lines))
    }

    fn failure(&self) -> Option<(String, StepErrorCode, String)> {
        let last = self.records.last().filter(|record| record.status == StepStatus::Failed)?;
        // What must not be read is not told either: code and step say where to look.
        let message = last.error_message.as_ref().filter(|_| !self.is_hidden);
        let message = message.map(|text| text.as_str().to_owned());
        Some((last.step.clone(), last.error_code?, message.unwrap_or_default()))
    }

    fn end(&self, status: RunStatus, at: Timestamp) -> RunEnd {
        let failed = (status == RunStatus::Failed).then(|| self.records.last()).flatten();
        RunEnd {
            status,
            error_code: failed.and_then(|record| record.error_code),
            error_message: failed
                .filter(|_| !self.is_hidden)
                .and_then(|record| record.error_message.clone()),
            error_step: failed.map(|record| record.step.clone()),
            finished_at: at,
        }
    }
}

fn lost(message: &str) -> StepFailure {
    StepFailure::new(StepErrorCode::Internal, message)
}

/// What a step may still log, in bytes, after its earlier attempts.
fn log_left(earlier: Option<&Masked>) -> usize {
    let lines: Vec<Value> =
        earlier.and_then(|logs| serde_json::from_str(logs.as_str()).ok()).unwrap_or_default();
    let bytes = |line: &Value| line.get("message").and_then(Value::as_str).map_or(0, str::len);
    code::LOG_BYTES.saturating_sub(lines.iter().map(|line| bytes(line) + code::LOG_LINE).sum())
}
