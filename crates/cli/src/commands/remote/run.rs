//! `keyward run`: what happened, what happens now, and how to end or repeat it.

use super::client::{Body, Client, segment};
use super::{table, workflow};
use crate::logging;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// How often a run under way is looked at.
const POLL: Duration = Duration::from_millis(500);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List runs, the newest first.
    List(List),
    /// Show a run with its steps.
    Get {
        /// The run's id.
        run: String,
    },
    /// Print what a run's steps logged.
    Logs {
        /// The run's id.
        run: String,
    },
    /// Follow a run to its end: steps and logs. Fails where the run does.
    Watch {
        /// The run's id.
        run: String,
    },
    /// Start a new run from the step that failed.
    Retry {
        /// The run's id.
        run: String,
    },
    /// End a run that is under way.
    Cancel {
        /// The run's id.
        run: String,
    },
}

#[derive(Args)]
pub(crate) struct List {
    /// Only of this workflow (name or id).
    #[arg(long)]
    workflow: Option<String>,
    /// queued, running, waiting, succeeded, failed or cancelled.
    #[arg(long)]
    status: Option<String>,
    /// Only those that asked for this credential (key or id).
    #[arg(long)]
    credential: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::List(filter) => list(filter, client).await,
        Command::Get { run } => {
            let found = get(client, &run).await?;
            show(&found, client.json);
            Ok(())
        }
        Command::Logs { run } => {
            Seen::default().print_logs(&get(client, &run).await?, client.json);
            Ok(())
        }
        Command::Watch { run } => watch(client, &run).await,
        Command::Retry { run } => act(client, &run, "retry", "/run_id").await,
        Command::Cancel { run } => act(client, &run, "cancel", "/status").await,
    }
}

async fn get(client: &Client, run: &str) -> anyhow::Result<Value> {
    client.get(&format!("/runs/{}", segment(run)), &[]).await
}

async fn act(client: &Client, run: &str, action: &str, shown: &str) -> anyhow::Result<()> {
    let path = format!("/runs/{}/{action}", segment(run));
    let answer = client.send("POST", &path, Body::default()).await?;
    match client.json {
        true => table::print_json(&answer),
        false => logging::print(&table::cell(&answer, shown)),
    }
    Ok(())
}

async fn list(filter: List, client: &Client) -> anyhow::Result<()> {
    let workflow = match &filter.workflow {
        Some(name) => Some(workflow::find(client, name).await?),
        None => None,
    };
    let credential = match &filter.credential {
        Some(name) => Some(super::credential::find(client, name).await?),
        None => None,
    };
    let filters =
        [("workflow", &workflow), ("status", &filter.status), ("credential", &credential)];
    let query: Vec<(&str, &str)> =
        filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let most = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let items = client.first("/runs", &query, most).await?;
    let columns = [
        ("ID", "/id"),
        ("STATUS", "/status"),
        ("WORKFLOW", "/workflow_id"),
        ("VERSION", "/workflow_version"),
        ("CREATED", "/created_at"),
        ("FINISHED", "/finished_at"),
        ("ERROR", "/error/code"),
    ];
    client.print_list(&items, &columns);
    Ok(())
}

fn show(run: &Value, json: bool) {
    if json {
        return table::print_json(run);
    }
    let rows = [
        ("id", "/id"),
        ("workflow", "/workflow_id"),
        ("version", "/workflow_version"),
        ("status", "/status"),
        ("error", "/error/code"),
        ("message", "/error/message"),
        ("created", "/created_at"),
        ("finished", "/finished_at"),
        ("stored", "/stored"),
    ];
    table::print_one(run, &rows);
    let columns = [
        ("STEP", "/id"),
        ("KIND", "/kind"),
        ("STATUS", "/status"),
        ("ATTEMPT", "/attempt"),
        ("STARTED", "/started_at"),
        ("FINISHED", "/finished_at"),
        ("ERROR", "/error/code"),
    ];
    logging::print("");
    table::print(steps(run), &columns);
}

fn steps(run: &Value) -> &[Value] {
    run.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn status(run: &Value) -> &str {
    run.get("status").and_then(Value::as_str).unwrap_or_default()
}

fn has_ended(run: &Value) -> bool {
    matches!(status(run), "succeeded" | "failed" | "cancelled")
}

/// Waits for a run's end and shows it; fails where it failed or was cancelled.
pub(crate) async fn finish(client: &Client, id: &str) -> anyhow::Result<()> {
    let mut run = get(client, id).await?;
    while !has_ended(&run) {
        tokio::time::sleep(POLL).await;
        run = get(client, id).await?;
    }
    show(&run, client.json);
    judge(&run)
}

async fn watch(client: &Client, id: &str) -> anyhow::Result<()> {
    let mut seen = Seen::default();
    loop {
        let run = get(client, id).await?;
        seen.print_steps_and_logs(&run, client.json);
        if has_ended(&run) {
            let line = format!("run {}", status(&run));
            print(&json!({ "event": "run", "status": status(&run) }), line, client.json);
            return judge(&run);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn judge(run: &Value) -> anyhow::Result<()> {
    if status(run) == "succeeded" {
        return Ok(());
    }
    let (code, message) = (table::cell(run, "/error/code"), table::cell(run, "/error/message"));
    let step = table::cell(run, "/error/step");
    match code.as_str() {
        "-" => anyhow::bail!("the run was {}", status(run)),
        code => anyhow::bail!("the run {}: step {step}: {code}: {message}", status(run)),
    }
}

/// What has been printed of a run.
#[derive(Default)]
struct Seen {
    /// Log lines for each step.
    lines: HashMap<String, usize>,
    /// Status and attempt for each step.
    statuses: HashMap<String, String>,
}

impl Seen {
    fn print_logs(&mut self, run: &Value, json: bool) {
        for step in steps(run) {
            for line in self.new_lines(step) {
                print_log(step, line, json);
            }
        }
    }

    fn print_steps_and_logs(&mut self, run: &Value, json: bool) {
        for step in steps(run) {
            for line in self.new_lines(step) {
                print_log(step, line, json);
            }
            if self.is_new_status(step) {
                let cell = |pointer| table::cell(step, pointer);
                let line = format!(
                    "step {} {} (attempt {})",
                    cell("/id"),
                    cell("/status"),
                    cell("/attempt")
                );
                let event = json!({
                    "event": "step", "step": step.get("id"), "status": step.get("status"),
                    "attempt": step.get("attempt"), "error": step.get("error"),
                });
                print(&event, line, json);
            }
        }
    }

    fn new_lines<'a>(&mut self, step: &'a Value) -> &'a [Value] {
        let lines =
            step.get("logs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let seen = self.lines.entry(table::cell(step, "/id")).or_default();
        let new = lines.get(*seen..).unwrap_or_default();
        *seen = lines.len();
        new
    }

    fn is_new_status(&mut self, step: &Value) -> bool {
        let now = format!("{} {}", table::cell(step, "/status"), table::cell(step, "/attempt"));
        self.statuses.insert(table::cell(step, "/id"), now.clone()) != Some(now)
    }
}

fn print_log(step: &Value, line: &Value, json: bool) {
    let cell = |pointer| table::cell(line, pointer);
    let text = format!(
        "{} {} {}: {}",
        cell("/at"),
        table::cell(step, "/id"),
        cell("/level"),
        cell("/message")
    );
    let mut event = line.clone();
    if let (Value::Object(members), Some(id)) = (&mut event, step.get("id")) {
        members.insert("event".into(), "log".into());
        members.insert("step".into(), id.clone());
    }
    print(&event, text, json);
}

/// One line: for machines, a JSON object.
fn print(event: &Value, line: String, json: bool) {
    logging::print(&if json { event.to_string() } else { line });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with(status: &str, logs: &[&str], step_status: &str) -> Value {
        let logs: Vec<Value> = logs.iter().map(|message| json!({ "message": message })).collect();
        json!({ "status": status, "steps": [
            { "id": "a", "status": step_status, "attempt": 1, "logs": logs },
        ] })
    }

    #[test]
    fn each_line_and_status_is_seen_once() {
        let mut seen = Seen::default();
        let check = |seen: &mut Seen, run: &Value, lines: usize, is_new: bool| {
            let step = &steps(run)[0];
            assert_eq!(
                (seen.new_lines(step).len(), seen.is_new_status(step)),
                (lines, is_new),
                "{run}"
            );
        };
        check(&mut seen, &run_with("running", &[], "running"), 0, true);
        check(&mut seen, &run_with("running", &["x", "y"], "running"), 2, false);
        check(&mut seen, &run_with("running", &["x", "y"], "running"), 0, false);
        check(&mut seen, &run_with("succeeded", &["x", "y", "z"], "succeeded"), 1, true);
        // A run whose logs were thrown away.
        check(&mut seen, &run_with("succeeded", &[], "succeeded"), 0, false);
    }

    #[test]
    fn a_run_that_did_not_succeed_is_a_failure() {
        let check = |run: &Value, expected: Option<&str>| {
            let found = judge(run).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected);
        };
        check(&json!({ "status": "succeeded" }), None);
        check(&json!({ "status": "cancelled", "error": null }), Some("the run was cancelled"));
        let error = json!({ "code": "timeout", "message": "too slow", "step": "a" });
        let expected = "the run failed: step a: timeout: too slow";
        check(&json!({ "status": "failed", "error": error }), Some(expected));
    }
}
