//! `keyward credential usage|explain`: who uses one, and who would get it.

use super::super::client::Client;
use super::super::{table, workflow};
use super::find;
use crate::logging;
use clap::Args;
use serde_json::Value;

#[derive(Args)]
pub(crate) struct Usage {
    /// Key or id.
    credential: String,
    /// How many days back.
    #[arg(long, default_value_t = 90)]
    days: u32,
}

#[derive(Args)]
pub(crate) struct Explain {
    /// Key or id.
    credential: String,
    /// The workflow that would use it (name or id).
    #[arg(long)]
    workflow: String,
    /// The step; without it, whichever names the key.
    #[arg(long)]
    step: Option<String>,
    /// Where it would go: an absolute URL.
    #[arg(long, value_name = "URL")]
    destination: Option<String>,
    /// With which method.
    #[arg(long, requires = "destination")]
    method: Option<String>,
}

/// Prints how often a credential was used.
pub(super) async fn usage(asked: Usage, client: &Client) -> anyhow::Result<()> {
    let id = find(client, &asked.credential).await?;
    let days = asked.days.to_string();
    let usage = client.get(&format!("/credentials/{id}/usage"), &[("days", &days)]).await?;
    if client.json {
        table::print_json(&usage);
        return Ok(());
    }
    let rows =
        [("uses", "/total/uses"), ("failures", "/total/failures"), ("last used", "/last_used_at")];
    table::print_one(&usage, &rows);
    let list = |name: &str| usage.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let count = [("USES", "/uses"), ("FAILURES", "/failures")];
    let titles: [&[(&str, &str)]; 2] = [
        &[("WORKFLOW", "/name"), ("ID", "/workflow_id"), ("LAST USED", "/last_used_at")],
        &[("DAY", "/date")],
    ];
    for (name, titles) in ["workflows", "days"].into_iter().zip(titles) {
        let items = list(name);
        if !items.is_empty() {
            logging::print("");
            table::print(&items, &[titles, count.as_slice()].concat());
        }
    }
    Ok(())
}

/// Prints whether a workflow's step would get a credential.
pub(super) async fn explain(asked: Explain, client: &Client) -> anyhow::Result<()> {
    let id = find(client, &asked.credential).await?;
    let workflow = workflow::find(client, &asked.workflow).await?;
    let rest =
        [("step", &asked.step), ("destination", &asked.destination), ("method", &asked.method)];
    let mut query = vec![("workflow", workflow.as_str())];
    query.extend(rest.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    let answer = client.get(&format!("/credentials/{id}/explain"), &query).await?;
    if client.json {
        table::print_json(&answer);
        return Ok(());
    }
    let detail = table::cell(&answer, "/detail");
    logging::print(&match answer.get("allowed") == Some(&Value::Bool(true)) {
        true => format!("allowed: {detail}"),
        false => {
            let (row, reason) = (table::cell(&answer, "/row"), table::cell(&answer, "/reason"));
            format!("refused by row {row} ({reason}): {detail}")
        }
    });
    Ok(())
}
