//! Workflows ready to run: the parsed definition beside what saving worked out, kept in memory.

use crate::EngineError;
use keyward_model::id::{MemberId, WorkflowId};
use keyward_model::json;
use keyward_model::run::StepRules;
use keyward_model::saved_workflow::{Workflow, WorkflowVersion};
use keyward_model::sealing::{Sealing, SealingPlan};
use keyward_model::workflow::{Definition, Step, StepKind};
use keyward_sandbox::Shape;
use keyward_vault::Vault;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What saving works out of one code step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Script {
    /// What the sandbox runs.
    pub(crate) javascript: Arc<str>,
    /// The keys that stand as literals in the source.
    pub(crate) keys: Vec<String>,
    /// What its output is made of; unknown in versions saved before this was found out.
    #[serde(default)]
    pub(crate) returns: Shape,
}

/// The scripts of a version by step id.
pub(crate) type Scripts = BTreeMap<String, Script>;

/// What saving works out of a version, as it is stored beside the definition.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// What is sealed of each run. No step has an id of that form.
    #[serde(rename = "$sealing", default, skip_serializing_if = "SealingPlan::is_empty")]
    pub(crate) plan: SealingPlan,
    /// Steps whose apps' actions only read.
    #[serde(rename = "$reading", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) reading: BTreeSet<String>,
    #[serde(flatten)]
    pub(crate) scripts: Scripts,
}

/// One version, ready to run.
pub struct CompiledWorkflow {
    /// The checked definition.
    pub definition: Definition,
    /// The version's number.
    pub version: i64,
    /// Who saved it.
    pub author: MemberId,
    /// What is sealed of each run, as it was worked out when the version was saved.
    pub plan: SealingPlan,
    /// Steps that only read, by id.
    reading: BTreeSet<String>,
    scripts: Scripts,
    rules: Vec<StepRules>,
}

impl CompiledWorkflow {
    pub(crate) fn new(row: &WorkflowVersion) -> Option<Self> {
        let document = json::parse(row.definition.as_bytes()).ok()?;
        let definition = Definition::parse(&document).ok()?;
        let Stored { plan, reading, scripts } = serde_json::from_str(&row.compiled).ok()?;
        let rules = definition.steps.iter().map(Step::rules).collect();
        let (version, author) = (row.version, row.author);
        Some(Self { definition, version, author, plan, reading, scripts, rules })
    }

    pub(crate) fn rules(&self) -> &[StepRules] {
        &self.rules
    }

    /// What is sealed of a step's output.
    pub(crate) fn sealing(&self, step: &Step) -> Sealing {
        let mut sealing = self.plan.outputs.get(step.id.as_str()).cloned().unwrap_or_default();
        let is_new = |script: &Script| script.returns.may_be_new();
        sealing.computed = !sealing.rules.is_empty() && self.script(step).is_some_and(is_new)
            || self.plan.withheld.contains(step.id.as_str());
        sealing
    }

    pub(crate) fn script(&self, step: &Step) -> Option<&Script> {
        self.scripts.get(step.id.as_str())
    }

    /// The keys that a step declares: its credential, its list, and the literals of its source.
    pub(crate) fn declared_keys(&self, step: &Step) -> Vec<String> {
        let listed = step.declared_keys().into_iter().map(|key| key.as_str().to_owned());
        let literal = self.script(step).into_iter().flat_map(|script| script.keys.clone());
        listed.chain(literal).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether a step only reads: its app says so.
    pub(crate) fn only_reads(&self, step: &Step) -> bool {
        self.reading.contains(step.id.as_str())
    }

    /// Whether a step may read what stood at any of these places; of code that is not known.
    pub(crate) fn reads_any(&self, step: &Step, origins: &BTreeSet<String>) -> bool {
        let is_code = matches!(step.kind, StepKind::Code(_));
        !origins.is_empty() && (is_code || self.definition.reads_below(step, origins))
    }

    /// Whether any step declares a key.
    pub(crate) fn names_keys(&self) -> bool {
        self.scripts.values().any(|script| !script.keys.is_empty())
            || !self.definition.declared_keys().is_empty()
            || !self.plan.is_empty()
    }

    /// Whether a step reads templates, and so needs its context parsed.
    pub(crate) fn needs_context(step: &Step) -> bool {
        step.when.is_some() || !matches!(step.kind, StepKind::Code(_))
    }
}

/// Compiled versions by workflow and version, the newest ones kept.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<(WorkflowId, i64), Arc<CompiledWorkflow>>>);

/// How many versions are kept in memory.
const KEPT: usize = 512;

impl Cache {
    /// The version that a run needs, from memory or from the database with its tag checked.
    pub(crate) async fn get(
        &self,
        vault: &Vault,
        head: &Workflow,
        version: i64,
    ) -> Result<Arc<CompiledWorkflow>, EngineError> {
        if let Some(found) = self.lock().get(&(head.id, version)) {
            return Ok(found.clone());
        }
        let (workspace, id) = (head.workspace, head.id);
        let row = vault.store().read(move |tx| tx.workflow_version(workspace, id, version)).await?;
        let row = vault.verify(workspace, row.ok_or(EngineError::VersionGone)?).await?;
        let compiled = CompiledWorkflow::new(&row).ok_or(EngineError::VersionGone)?;
        Ok(self.put(head.id, compiled))
    }

    fn put(&self, id: WorkflowId, compiled: CompiledWorkflow) -> Arc<CompiledWorkflow> {
        let mut kept = self.lock();
        if kept.len() >= KEPT {
            kept.clear();
        }
        let compiled = Arc::new(compiled);
        kept.insert((id, compiled.version), compiled.clone());
        compiled
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(WorkflowId, i64), Arc<CompiledWorkflow>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
