//! `keyward credential rotate`: stages a new value, tests it, promotes it, and says what comes next,
//! by the same list of steps that the server gives to everybody.

use super::super::client::{Body, Client};
use super::super::secret::FieldOptions;
use super::super::table;
use super::{find, new_value, versions};
use crate::logging;
use clap::Args;
use serde_json::Value;
use std::time::Duration;

/// How often the server is asked whether the new value is verified.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Rotate {
    /// Key or id.
    credential: String,
    #[command(flatten)]
    fields: FieldOptions,
    /// Test the new value at its service; where it is not taken, stop.
    #[arg(long)]
    test: bool,
    /// Make the new value the current one, and wait until steps have used it.
    #[arg(long)]
    promote: bool,
    /// Do not wait until steps have used it.
    #[arg(long)]
    no_wait: bool,
}

/// Takes up a rotation where it stands, or begins one.
pub(super) async fn run(rotate: Rotate, client: &Client) -> anyhow::Result<()> {
    let id = find(client, &rotate.credential).await?;
    let version = stage(&id, rotate.fields, client).await?;
    if rotate.test {
        let path = format!("/credentials/{id}/versions/{version}/test");
        let outcome = client.send("POST", &path, Body::default()).await?;
        let detail = table::cell(&outcome, "/detail");
        if !versions::is_good(&outcome) {
            anyhow::bail!(
                "version {version} did not pass its test and stays staged: {detail}\n  \
                 keyward credential discard {id} {version}   discards it"
            );
        }
        say(client, &format!("tested version {version}: {detail}"));
    }
    if rotate.promote {
        let path = format!("/credentials/{id}/versions/{version}/promote");
        client.send("POST", &path, Body::default()).await?;
        say(client, &format!("promoted version {version}; the next step that begins uses it"));
        if !rotate.no_wait {
            wait(&id, version, client).await?;
        }
    }
    let rotation = state(&id, client).await?;
    show(&id, &rotation, client.json);
    Ok(())
}

/// The version that waits: one that was staged before, or else the value that is given now.
async fn stage(id: &str, fields: FieldOptions, client: &Client) -> anyhow::Result<i64> {
    let given = [fields.plain.len(), fields.secret.len(), fields.value_file.len()];
    if given == [0; 3] {
        let rotation = state(id, client).await?;
        if matches!(text(&rotation, "/state"), "staged" | "tested") {
            let version = number(&rotation)?;
            say(client, &format!("version {version} is staged already"));
            return Ok(version);
        }
    }
    let body = new_value(id, fields, client).await?;
    let staged = client.send("POST", &format!("/credentials/{id}/versions"), body).await?;
    let version = number(&staged)?;
    say(client, &format!("staged version {version}; no step uses it yet"));
    Ok(version)
}

/// Waits until steps have used the version often enough, or until it is not the new one any more.
async fn wait(id: &str, version: i64, client: &Client) -> anyhow::Result<()> {
    let mut told = String::new();
    loop {
        let rotation = state(id, client).await?;
        if text(&rotation, "/state") != "promoted" || number(&rotation)? != version {
            return Ok(());
        }
        let count = |pointer| table::cell(&rotation, pointer);
        let line = format!(
            "{} of {} uses have succeeded, {} have failed; ^C stops waiting and changes nothing",
            count("/verified_runs"),
            count("/needed_runs"),
            count("/failed_runs"),
        );
        if line != told {
            say(client, &line);
            told = line;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn state(id: &str, client: &Client) -> anyhow::Result<Value> {
    client.get(&format!("/credentials/{id}/rotation"), &[]).await
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value) -> anyhow::Result<i64> {
    let version = value.get("version").and_then(Value::as_i64);
    version.ok_or_else(|| anyhow::anyhow!("the server named no version"))
}

/// Progress is for people, and goes beside what is printed.
fn say(client: &Client, line: &str) {
    if !client.json {
        logging::say(line);
    }
}

fn show(id: &str, rotation: &Value, json: bool) {
    if json {
        return table::print_json(rotation);
    }
    let rows = [
        ("state", "/state"),
        ("version", "/version"),
        ("previous", "/previous"),
        ("until", "/grace_ends_at"),
    ];
    let told = |(_, pointer): &&(&str, &str)| table::cell(rotation, pointer) != "-";
    table::print_one(rotation, &rows.iter().filter(told).copied().collect::<Vec<_>>());
    let steps = rotation.get("steps").and_then(Value::as_array);
    for line in steps.into_iter().flatten().map(|step| line(id, rotation, step)) {
        logging::print(&line);
    }
}

/// A step in a line: whether it is done, and by which command it can be.
fn line(id: &str, rotation: &Value, step: &Value) -> String {
    let is = |name: &str| step.get(name).and_then(Value::as_bool) == Some(true);
    let name = text(step, "/id");
    let mark = match (is("done"), is("skipped")) {
        (true, _) => "x",
        (false, true) => "-",
        (false, false) => " ",
    };
    let line = format!("[{mark}] {}", table::plain(name));
    if is("done") || step.get("call").is_none_or(Value::is_null) {
        return line;
    }
    let cell = |pointer| table::cell(rotation, pointer);
    let command = match name {
        "stage" => format!("keyward credential rotate {id}"),
        "test" => format!("keyward credential test {id} --version {}", cell("/version")),
        "promote" => format!("keyward credential rotate {id} --promote"),
        "revoke" => format!("keyward credential discard {id} {}", cell("/previous")),
        _ => return line,
    };
    let hint = table::cell(step, "/hint");
    let hint = if hint == "-" { String::new() } else { format!("   ({hint})") };
    format!("{line:<13}{command}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_step_says_its_command() {
        let check = |step: Value, expected: &str| {
            let rotation = json!({ "state": "verified", "version": 2, "previous": 1 });
            assert_eq!(line("cred_x", &rotation, &step), expected);
        };
        let step = |id: &str, done: bool, call: Value| json!({ "id": id, "done": done, "skipped": false, "call": call, "hint": null });
        check(step("stage", true, Value::Null), "[x] stage");
        check(step("verify", false, Value::Null), "[ ] verify");
        check(
            step("test", false, json!({})),
            "[ ] test     keyward credential test cred_x --version 2",
        );
        check(
            step("promote", false, json!({})),
            "[ ] promote  keyward credential rotate cred_x --promote",
        );
        check(json!({ "id": "test", "done": false, "skipped": true, "call": null }), "[-] test");
        let revoke = json!({ "id": "revoke", "done": false, "skipped": false, "call": {}, "hint": "there first" });
        check(revoke, "[ ] revoke   keyward credential discard cred_x 1   (there first)");
    }
}
