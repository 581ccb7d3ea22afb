//! `keyward credential import`: the preview of a file, a question, and all of it or nothing.

use super::super::client::{Body, Client};
use super::super::{prompt, secret, table};
use crate::logging;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Args)]
pub(crate) struct Import {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// Whose file it is.
    #[arg(long)]
    format: Format,
    /// The key of the one credential of a file that does not say it.
    #[arg(long)]
    key: Option<String>,
    /// Only for this workflow (name or id).
    #[arg(long, conflicts_with = "personal")]
    workflow: Option<String>,
    /// Only for yourself.
    #[arg(long)]
    personal: bool,
    /// Replace the values of credentials that are there already.
    #[arg(long)]
    overwrite: bool,
    /// JSON with the values that the file does not hold, {"KEY":{"field":"value"}}; they are asked
    /// for on the terminal without it.
    #[arg(long, value_name = "FILE")]
    values_file: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// A `.env` file.
    Env,
    /// HashiCorp Vault: `vault kv get -format=json`, or a map from path to fields.
    #[value(name = "vault_kv", alias = "vault-kv")]
    VaultKv,
    /// n8n: `n8n export:credentials`.
    #[value(name = "n8n")]
    N8n,
    /// Windmill: variables and resources as its API lists them.
    Windmill,
}

/// Values by key and field, as they are sent.
type Values = BTreeMap<String, BTreeMap<String, Zeroizing<String>>>;

/// The body, its secrets in buffers that are wiped.
#[derive(Serialize)]
struct Sent<'a> {
    format: Format,
    content: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Value>,
    overwrite: bool,
    confirm: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    values: Plain<'a>,
}

/// Values as JSON.
struct Plain<'a>(&'a Values);

impl Serialize for Plain<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, fields)| {
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            (key, fields.collect::<BTreeMap<_, _>>())
        }))
    }
}

/// Shows what importing does, asks, and does it.
pub(crate) async fn run(import: Import, client: &Client) -> anyhow::Result<()> {
    let content = secret::read_input(&import.file)?;
    let scope = match (&import.workflow, import.personal) {
        (Some(name), _) => {
            let id = super::super::workflow::find(client, name).await?;
            Some(json!({ "kind": "workflow", "workflow": id }))
        }
        (None, true) => Some(json!({ "kind": "personal" })),
        (None, false) => None,
    };
    let nothing = Values::new();
    let mut sent = Sent {
        format: import.format,
        content: &content,
        key: import.key.as_deref(),
        scope,
        overwrite: import.overwrite,
        confirm: false,
        digest: None,
        values: Plain(&nothing),
    };
    let preview = send(&sent, client).await?;
    if !client.json {
        show(&preview);
    }
    let items = preview.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let doing = |actions: &[&str]| {
        let action = items.iter().filter_map(|item| item.get("action")?.as_str());
        action.filter(|action| actions.contains(action)).count()
    };
    anyhow::ensure!(doing(&["invalid"]) == 0, "the file has invalid entries: nothing was imported");
    let count = doing(&["create", "overwrite"]);
    anyhow::ensure!(count > 0, "there is nothing to import");
    let values = values(&import, items)?;
    if !import.yes && !agreed(count)? {
        anyhow::bail!("nothing was imported");
    }
    let digest = preview.get("digest").and_then(Value::as_str).context("no digest came")?;
    (sent.confirm, sent.digest, sent.values) = (true, Some(digest), Plain(&values));
    let done = send(&sent, client).await?;
    match client.json {
        true => table::print_json(&done),
        false => logging::print(&format!("imported {count}")),
    }
    Ok(())
}

/// In a buffer that never grows, so that no copy stays behind.
async fn send(sent: &Sent<'_>, client: &Client) -> anyhow::Result<Value> {
    let values = sent.values.0.iter().map(|(key, fields)| {
        let fields = fields.iter().map(|(name, value)| name.len() + value.len() * 6 + 16);
        key.len() + 16 + fields.sum::<usize>()
    });
    let room = sent.content.len() * 6 + values.sum::<usize>() + 1024;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *bytes, sent)?;
    client.send("POST", "/credentials/import", Body::hidden(bytes)).await
}

fn show(preview: &Value) {
    let items = preview.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let columns = [
        ("KEY", "/key"),
        ("TYPE", "/type"),
        ("ACTION", "/action"),
        ("NEEDS", "/fields"),
        ("", "/detail"),
    ];
    table::print(items, &columns);
}

/// What the file does not hold: out of a file of its own, or asked for.
fn values(import: &Import, items: &[Value]) -> anyhow::Result<Values> {
    let mut values = Values::new();
    let mut given: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    if let Some(file) = &import.values_file {
        let text = secret::read_input(file)?;
        // Its parser's complaint could repeat a value.
        given = serde_json::from_str(&text).map_err(|_| {
            anyhow::anyhow!("--values-file is not {{\"KEY\":{{\"field\":\"value\"}}}}")
        })?;
    }
    for (key, fields) in given {
        let fields = fields.into_iter().map(|(name, value)| (name, Zeroizing::new(value)));
        values.insert(key, fields.collect());
    }
    for item in items {
        let key = item.get("key").and_then(Value::as_str).unwrap_or_default();
        let fields = item.get("fields").and_then(Value::as_array);
        for field in fields.into_iter().flatten().filter_map(Value::as_str) {
            let there = values.get(key).is_some_and(|fields| fields.contains_key(field));
            if there {
                continue;
            }
            let detail = "the file does not hold every value; give --values-file";
            anyhow::ensure!(prompt::is_terminal() && import.values_file.is_none(), "{detail}");
            let value = prompt::hidden(&format!("{key} {field}"))?;
            values.entry(key.to_owned()).or_default().insert(field.to_owned(), value);
        }
    }
    Ok(values)
}

fn agreed(count: usize) -> anyhow::Result<bool> {
    anyhow::ensure!(prompt::is_terminal(), "nobody is there to ask; give --yes");
    let answer = prompt::shown(&format!("import {count} credential(s)? [y/N]"))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
