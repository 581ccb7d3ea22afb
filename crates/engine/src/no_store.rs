//! No-store runs: while they are under way their rows are ciphertext, afterwards nothing.

use crate::runner::Drive;
use crate::withheld::Hidden;
use crate::{Engine, EngineError};
use keyward_model::actor::Actor;
use keyward_model::id::{RunId, WorkflowId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::policy::StepContext;
use keyward_model::run::{NewStep, Step};

/// The run as a whole, for the vault.
pub(crate) fn context(
    workspace: WorkspaceId,
    workflow: WorkflowId,
    run: RunId,
    starter: &Actor,
) -> StepContext {
    StepContext { workspace, workflow, run, step: String::new(), starter: starter.clone() }
}

impl Engine {
    /// A step's record as it is written.
    pub(crate) async fn to_keep(
        &self,
        drive: &Drive,
        is_hidden: bool,
        record: NewStep,
    ) -> Result<NewStep, EngineError> {
        if !is_hidden {
            return Ok(record);
        }
        let at = drive.context("");
        let output = match &record.output {
            Some(output) => Some(self.vault().seal_row(&at, output).await?),
            None => None,
        };
        let logs = Masked::from_static("[]");
        // Origins name members of what was received; nobody will ever read them of this run.
        let seals = match drive.hidden {
            Hidden::Always => "{}".into(),
            Hidden::No | Hidden::Withheld => record.seals,
        };
        Ok(NewStep { output, input: None, error_message: None, logs, seals, ..record })
    }

    /// Stored steps as a run continues from them.
    pub(crate) async fn to_read(
        &self,
        at: &StepContext,
        steps: Vec<Step>,
    ) -> Result<Vec<NewStep>, EngineError> {
        let mut records = Vec::with_capacity(steps.len());
        for mut step in steps {
            if let Some(output) = step.output.take() {
                step.output = Some(self.vault().open_row(at, output).await?);
            }
            records.push(NewStep::from(step));
        }
        Ok(records)
    }
}
