//! Does an app's action: for a step, and for a linked credential. What the manifest calls secret is
//! sealed before anything is given back.

mod database;
mod http;
mod mail;
mod sign_in;
mod test;

use crate::authentication::{Authentication, Using};
use crate::step::{StepFailure, StepVault};
use keyward_model::catalogue::{Action, App, OutputPath, Protocol, SchemeOf};
use keyward_model::error::StepErrorCode;
use keyward_model::sealing::{SealRule, Sealing};
use keyward_model::template::{Path, Root, Segment};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A future of a type that is not named.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An action to be done.
pub struct Act<'a> {
    /// The app.
    pub app: &'a Arc<App>,
    /// The action's id.
    pub action: &'a str,
    /// Its inputs.
    pub inputs: Value,
    /// What it is authenticated with.
    pub using: Using<'a>,
    /// Whether a secret is read again that the run has read already.
    pub fresh: bool,
    /// What is sealed of its output, beside what the manifest says.
    pub sealing: &'a Sealing,
    /// The same for each attempt.
    pub idempotency_key: &'a str,
    /// The time that it has.
    pub timeout: Duration,
}

/// An action with everything that it needs at hand.
pub(crate) struct Doing<'a> {
    pub(crate) app: &'a App,
    pub(crate) action: &'a Action,
    pub(crate) scheme: SchemeOf<'a>,
    pub(crate) inputs: Arc<Value>,
    pub(crate) authentication: Authentication,
    pub(crate) idempotency_key: &'a str,
    pub(crate) deadline: Instant,
    /// What the last answer said of a lease: its id and for how many seconds.
    pub(crate) lease: Option<(String, u64)>,
}

impl StepVault {
    /// Does an action and gives its output, secrets sealed.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub async fn act(&self, act: Act<'_>) -> Result<Value, StepFailure> {
        let (sealing, fresh) = (act.sealing.clone(), act.fresh);
        let mut doing = self.prepare(act)?;
        let again = doing.read_name();
        let known = again
            .as_ref()
            .filter(|_| !fresh)
            .and_then(|name| self.run().known_read(self.context(), name));
        let mut output = match known {
            Some(output) => output,
            None => self.act_plainly(&mut doing).await?,
        };
        if let Some(name) = again {
            self.run().note_read(self.context(), name, &output);
        }
        self.seal_output(&doing, &sealing, &mut output)?;
        Ok(output)
    }

    pub(crate) fn prepare<'a>(&self, act: Act<'a>) -> Result<Doing<'a>, StepFailure> {
        let action = act.app.action(act.action);
        let faults = action.map(|action| action.inputs.validate(&act.inputs, ""));
        if let Some(fault) = faults.iter().flatten().next() {
            let place = fault.pointer.trim_start_matches('/').replace('/', ".");
            let message = format!("input \"{place}\": {}", fault.detail);
            return Err(StepFailure::new(StepErrorCode::ValidationFailed, message));
        }
        let doing = self.prepare_unchecked(act)?;
        let (name, scheme) = (&doing.app.manifest.name, &doing.scheme.manifest.id);
        if !doing.action.takes(scheme) {
            let message =
                format!("{name} does not do this with credentials of scheme \"{scheme}\"");
            return Err(StepFailure::new(StepErrorCode::ValidationFailed, message));
        }
        Ok(doing)
    }

    fn prepare_unchecked<'a>(&self, act: Act<'a>) -> Result<Doing<'a>, StepFailure> {
        let app: &'a App = act.app;
        let action = app.action(act.action).ok_or_else(|| {
            let message = format!("app \"{}\" has no action \"{}\" any more", app.id(), act.action);
            StepFailure::new(StepErrorCode::ValidationFailed, message)
        })?;
        let (authentication, scheme) = match act.using {
            Using::Stored(key) => self.stored_for(key, app)?,
            Using::External(values) => self.external_for(app, &values)?,
        };
        let (inputs, idempotency_key) = (Arc::new(act.inputs), act.idempotency_key);
        let deadline = Instant::now() + act.timeout;
        let lease = None;
        Ok(Doing { app, action, scheme, inputs, authentication, idempotency_key, deadline, lease })
    }

    /// The output with its secrets in it: it goes no further than this crate. Boxed, since a
    /// protocol's client is a large state, and reading a link comes back here.
    pub(crate) fn act_plainly<'s>(
        &'s self,
        doing: &'s mut Doing<'_>,
    ) -> Boxed<'s, Result<Value, StepFailure>> {
        match doing.app.manifest.protocol {
            Protocol::Http => Box::pin(self.act_by_http(doing)),
            Protocol::Smtp => Box::pin(self.send_mail(doing)),
            Protocol::Postgres | Protocol::Mysql | Protocol::Sqlite => Box::pin(self.query(doing)),
        }
    }

    /// The output with its secrets in it, and the lease that it is lent out under.
    pub(crate) async fn act_with_lease(
        &self,
        doing: &mut Doing<'_>,
    ) -> Result<(Value, Option<(String, u64)>), StepFailure> {
        let output = self.act_plainly(doing).await?;
        Ok((output, doing.lease.take()))
    }

    /// The app of a stored credential.
    pub(crate) async fn app_of(&self, key: &str) -> Result<Arc<App>, StepFailure> {
        let id = self.grant(key)?.credential().details.app.clone();
        let app = match &id {
            Some(id) => self.vault().app(self.context().workspace, id).await.ok().flatten(),
            None => None,
        };
        app.ok_or_else(|| {
            let message = format!("credential \"{key}\" belongs to no app that is there");
            StepFailure::of_key(StepErrorCode::CredentialUnusable, key, message)
        })
    }

    fn seal_output(
        &self,
        doing: &Doing<'_>,
        sealing: &Sealing,
        output: &mut Value,
    ) -> Result<(), StepFailure> {
        let mut sealing = sealing.clone();
        sealing.rules.extend(doing.secret_rules());
        let root = Root::Step(self.context().step.clone());
        let received = self.run().receive(self.context(), &root, output, &sealing);
        received.map_err(|error| {
            tracing::error!(run = %self.context().run, %error, "output not sealed");
            StepFailure::not_sealed(&error)
        })
    }
}

impl Doing<'_> {
    /// What tells this read of a secret store from others; none where the action does anything else.
    fn read_name(&self) -> Option<String> {
        let reads = self.action.reads && !self.action.secret_outputs.is_empty();
        let Authentication { id, version, .. } = &self.authentication;
        reads
            .then(|| format!("{}/{}/{id}/{version}/{}", self.app.id(), self.action.id, self.inputs))
    }

    /// What of the output is secret: by the manifest, and for databases by the step's word.
    fn secret_rules(&self) -> Vec<SealRule> {
        let columns = self.inputs.get("secret_columns").and_then(Value::as_array);
        let columns = columns.into_iter().flatten().filter_map(Value::as_str);
        let columns = columns.map(column);
        let paths = self.action.secret_outputs.iter().cloned().chain(columns);
        let spared = &self.action.plain_outputs;
        let rule = |path| SealRule { path, spared: spared.clone(), hosts: Vec::new() };
        paths.map(rule).collect()
    }
}

/// `rows[*].name`, for a name as a database has it: it may hold spaces, dots and anything else.
fn column(name: &str) -> OutputPath {
    let member = |name: &str| Segment::Member(name.to_owned());
    let segments = vec![member("rows"), Segment::Index(0), member(name)];
    OutputPath::of(&Path { root: Root::Trigger, segments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_column_is_found_by_any_name() {
        for name in ["token", "api key", "a.b", "count(*)", "clé"] {
            let mut output = json!({ "rows": [{ name: "a" }, { name: "b" }], "row_count": 2 });
            column(name).each_leaf(&mut output, &[], &mut |_, leaf| *leaf = json!("*"));
            assert_eq!(output["rows"], json!([{ name: "*" }, { name: "*" }]), "{name}");
        }
    }
}
