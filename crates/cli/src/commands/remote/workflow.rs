//! `keyward workflow`: applied from files, exported, imported, listed, run, switched on and off.

mod import;

use super::client::{Body, Client, segment};
use super::{secret, table};
use crate::logging;
use clap::Subcommand;
use keyward_model::id::{Identifier as _, WorkflowId};
use keyward_model::json;
use keyward_model::workflow::yaml;
use serde_json::Value;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a workflow of a definition, or give the workflow of the same name a new version.
    Apply {
        /// The definition, JSON or YAML, or what `export --json` printed; `-` is standard input.
        file: PathBuf,
        /// Replace this workflow, whatever its name.
        #[arg(long)]
        id: Option<String>,
        /// Do not switch a new workflow's trigger on.
        #[arg(long, conflicts_with = "id")]
        inactive: bool,
    },
    /// Print a workflow's definition; --json adds the keys of the credentials that it needs.
    Export {
        /// Name or id.
        workflow: String,
    },
    /// Make a workflow of a definition from elsewhere, each key that it names bound to one of yours.
    Import(import::Import),
    /// List workflows.
    List,
    /// Run a workflow by hand.
    Run {
        /// Name or id.
        workflow: String,
        /// A JSON file that becomes trigger.body; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        payload_file: Option<PathBuf>,
        /// Follow the run to its end; fails where the run does.
        #[arg(long)]
        wait: bool,
    },
    /// Switch a workflow's trigger on.
    Activate {
        /// Name or id.
        workflow: String,
    },
    /// Switch a workflow's trigger off.
    Deactivate {
        /// Name or id.
        workflow: String,
    },
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::Apply { file, id, inactive } => apply(&file, id, inactive, client).await,
        Command::Export { workflow } => export(&workflow, client).await,
        Command::Import(import) => import::run(import, client).await,
        Command::List => list(client).await,
        Command::Run { workflow, payload_file, wait } => {
            start(&workflow, payload_file.as_deref(), wait, client).await
        }
        Command::Activate { workflow } => switch(&workflow, "activate", client).await,
        Command::Deactivate { workflow } => switch(&workflow, "deactivate", client).await,
    }
}

async fn apply(
    file: &Path,
    id: Option<String>,
    inactive: bool,
    client: &Client,
) -> anyhow::Result<()> {
    let definition = Definition::read(file, &secret::read_input(file)?);
    let id = match (id, &definition.name) {
        (Some(id), _) => Some(id),
        (None, Some(name)) => named(client, name).await?,
        // Without a name it breaks a rule, and the server says which.
        (None, None) => None,
    };
    let (method, path, done) = match &id {
        Some(id) => ("PUT", format!("/workflows/{}", segment(id)), "replaced"),
        None if inactive => ("POST", "/workflows?active=false".into(), "made"),
        None => ("POST", "/workflows".into(), "made"),
    };
    let body = Body::document(definition.media_type, definition.bytes);
    let saved = client.send(method, &path, body).await?;
    print_saved(done, &saved, client);
    Ok(())
}

/// What was done, and what the workflow is now.
fn print_saved(done: &str, saved: &Value, client: &Client) {
    if client.json {
        return table::print_json(saved);
    }
    let rows = [
        ("id", "/id"),
        ("name", "/name"),
        ("version", "/version"),
        ("active", "/active"),
        ("trigger", "/trigger_url"),
    ];
    logging::print(done);
    table::print_one(saved, &rows);
}

/// A definition as it is sent.
struct Definition {
    media_type: &'static str,
    bytes: Vec<u8>,
    name: Option<String>,
}

impl Definition {
    /// JSON or YAML by the file's name, and by its first character where the name does not say. What
    /// cannot be read is sent as it is: the server says what is wrong with it.
    fn read(path: &Path, text: &str) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_json = match extension {
            Some("json") => true,
            Some("yaml" | "yml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        let parsed = match is_json {
            true => json::parse(text.as_bytes()).ok(),
            false => yaml::parse(text.as_bytes()).ok(),
        };
        if let Some(inner) = parsed.as_ref().and_then(exported) {
            let bytes = inner.to_string().into_bytes();
            return Self { media_type: "application/json", bytes, name: name(inner) };
        }
        let media_type = if is_json { "application/json" } else { "application/yaml" };
        Self { media_type, bytes: text.into(), name: parsed.as_ref().and_then(name) }
    }
}

/// The definition inside an export, which has no name of its own.
fn exported(document: &Value) -> Option<&Value> {
    let definition = document.get("definition")?;
    document.get("credentials").filter(|_| document.get("name").is_none()).map(|_| definition)
}

fn name(definition: &Value) -> Option<String> {
    definition.get("name")?.as_str().map(str::to_owned)
}

async fn export(workflow: &str, client: &Client) -> anyhow::Result<()> {
    let id = find(client, workflow).await?;
    let exported = client.get(&format!("/workflows/{id}/export"), &[]).await?;
    if client.json {
        table::print_json(&exported);
        return Ok(());
    }
    table::print_json(exported.get("definition").unwrap_or(&Value::Null));
    let keys = table::cell(&exported, "/credentials");
    if keys != "-" {
        logging::say(&format!("it needs the credentials {keys}"));
    }
    Ok(())
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let items = client.all("/workflows", &[]).await?;
    let columns = [
        ("ID", "/id"),
        ("NAME", "/name"),
        ("VERSION", "/version"),
        ("ACTIVE", "/active"),
        ("UPDATED", "/updated_at"),
    ];
    client.print_list(&items, &columns);
    Ok(())
}

async fn start(
    workflow: &str,
    payload_file: Option<&Path>,
    wait: bool,
    client: &Client,
) -> anyhow::Result<()> {
    let payload = match payload_file {
        // A payload may hold external secrets, so it is passed on as it is, in a buffer that is wiped.
        Some(path) => secret::read_input(path)?,
        None => Zeroizing::new("{}".to_owned()),
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len() + 16));
    bytes.extend_from_slice(b"{\"payload\":");
    bytes.extend_from_slice(payload.as_bytes());
    bytes.extend_from_slice(b"}");
    let id = find(client, workflow).await?;
    let path = format!("/workflows/{id}/runs");
    let started = client.send("POST", &path, Body::hidden(bytes)).await?;
    let run = started.get("run_id").and_then(Value::as_str).unwrap_or_default();
    if wait {
        return super::run::finish(client, run).await;
    }
    match client.json {
        true => table::print_json(&started),
        false => logging::print(&table::plain(run)),
    }
    Ok(())
}

async fn switch(workflow: &str, action: &str, client: &Client) -> anyhow::Result<()> {
    let id = find(client, workflow).await?;
    let path = format!("/workflows/{id}/{action}");
    let switched = client.send("POST", &path, Body::default()).await?;
    match client.json {
        true => table::print_json(&switched),
        false => logging::print(&format!("{action}d {id}")),
    }
    Ok(())
}

/// The id of a workflow that is named by its id or its name.
pub(crate) async fn find(client: &Client, name: &str) -> anyhow::Result<String> {
    match WorkflowId::parse(name) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => named(client, name).await?.ok_or_else(|| {
            anyhow::anyhow!("there is no workflow \"{name}\", or you may not see it")
        }),
    }
}

async fn named(client: &Client, name: &str) -> anyhow::Result<Option<String>> {
    let items = client.all("/workflows", &[]).await?;
    table::only_id(
        items.iter().filter(|item| item.get("name").and_then(Value::as_str) == Some(name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, media_type: &str, name: Option<&str>) -> Definition {
        let definition = Definition::read(Path::new(path), text);
        assert_eq!(
            (definition.media_type, definition.name.as_deref()),
            (media_type, name),
            "{path}"
        );
        definition
    }

    #[test]
    fn definitions_are_recognised_and_sent_as_they_are() {
        let (json, yaml) = ("application/json", "application/yaml");
        check("a.json", r#"{"name":"A"}"#, json, Some("A"));
        check("a.yaml", "name: B # a comment\n", yaml, Some("B"));
        check("a.yml", "{name: C}", yaml, Some("C"));
        check("-", "\n {\"name\":\"D\"}", json, Some("D"));
        check("-", "name: E", yaml, Some("E"));
        let broken = check("a.json", "{\"name\":", json, None);
        assert_eq!(broken.bytes, b"{\"name\":");
        check("a.json", r#"{"name":7}"#, json, None);
    }

    #[test]
    fn an_export_is_unwrapped() {
        let text = r#"{"definition":{"name":"A","steps":[]},"credentials":["K"]}"#;
        let definition = check("a.json", text, "application/json", Some("A"));
        assert_eq!(definition.bytes, br#"{"name":"A","steps":[]}"#);
        let other = r#"{"name":"B","definition":{"name":"A"},"credentials":[]}"#;
        check("a.json", other, "application/json", Some("B"));
    }
}
