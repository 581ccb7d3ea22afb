//! `keyward audit`: checks the chains of the audit trail, in the database or in an exported file,
//! and exports it.

mod database;
mod file;
mod trail;

use crate::config::{Audit, Config};
use crate::{home, logging};
use anyhow::Context as _;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Checker, Counts, Event, Fault, Watched};
use keyward_model::id::{CredentialId, Identifier as _, WorkspaceId};
use keyward_store::{Audited, Tx};
use keyward_vault::{AuditExport, Vault};
use serde_json::json;
use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use trail::Trail;

/// Runs one of the commands, beside a running server or without one.
pub(crate) async fn run(config: &Config, command: Audit) -> anyhow::Result<()> {
    match command {
        Audit::Verify { file, credential } => {
            let watch = credential.as_deref().map(CredentialId::parse).transpose();
            let watch =
                watch.map_err(|_| anyhow::anyhow!("--credential wants a credential's id"))?;
            let checker = || watch.map_or_else(Checker::default, Checker::watching);
            let checked = match file {
                // A file brings the keys that it needs: only the root key must be here.
                Some(path) => file::check(config, &path, checker()).await?,
                None => database::check(config, checker).await?,
            };
            report(config.json, &checked)
        }
        Audit::Export { file } => {
            let vault = super::open_existing(config).await?;
            let done = export(config, &vault, file.as_deref()).await;
            vault.store().close().await;
            done
        }
    }
}

/// What a check found.
type Checked = (Counts, Vec<Fault>, Option<Watched>);

fn report(as_json: bool, (counts, faults, watched): &Checked) -> anyhow::Result<()> {
    let Counts { workspaces, streams, records } = *counts;
    if as_json {
        let fault = |fault: &Fault| {
            json!({
                "workspace_id": fault.workspace, "stream": fault.stream, "number": fault.number,
                "record_id": fault.record.map(|(id, _)| id), "at": fault.record.map(|(_, at)| at),
                "kind": fault.kind.as_str(), "detail": fault.to_string(),
            })
        };
        let faults: Vec<_> = faults.iter().map(fault).collect();
        let report = json!({
            "ok": faults.is_empty(), "workspaces": workspaces, "streams": streams,
            "records": records, "faults": faults, "credential": watched.as_ref().map(watched_json),
        });
        logging::print(&format!("{report:#}"));
    }
    if !faults.is_empty() {
        let mut lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        lines.extend(watched.iter().map(of_credential));
        anyhow::bail!("the audit trail does not hold: {}", lines.join("\n  and "));
    }
    if !as_json {
        logging::print(&format!(
            "the audit trail holds: {records} records in {streams} streams of {workspaces} workspaces"
        ));
        if let Some(watched) = watched {
            logging::print(&of_credential(watched));
        }
    }
    Ok(())
}

fn watched_json(watched: &Watched) -> serde_json::Value {
    let altered = watched.altered.iter().map(|(id, at)| json!({ "record_id": id, "at": at }));
    let missing = watched
        .gaps
        .iter()
        .map(|(stream, from, to)| json!({ "stream": stream, "from": from, "to": to }));
    json!({
        "credential_id": watched.credential, "records": watched.records,
        "altered": altered.collect::<Vec<_>>(), "missing": missing.collect::<Vec<_>>(),
    })
}

/// What is known of one credential's records. Its own numbering shows gaps between its records;
/// that none is missing at the end is shown by the whole trail alone.
fn of_credential(watched: &Watched) -> String {
    let Watched { credential, records, altered, gaps, .. } = watched;
    let mut text = format!("{records} records name credential {credential}");
    if altered.is_empty() && gaps.is_empty() {
        text.push_str("; none of them was altered, and none is missing between them");
    }
    for (id, at) in altered {
        text.push_str(&format!("; {id} of {at} does not fit its place"));
    }
    for (stream, from, to) in gaps {
        text.push_str(&format!("; its records {from} to {to} in stream {stream} are missing"));
    }
    text
}

async fn export(config: &Config, vault: &Vault, file: Option<&Path>) -> anyhow::Result<()> {
    let workspaces = Trail::open(vault).await?.workspaces();
    anyhow::ensure!(!workspaces.is_empty(), "there is nothing to export yet");
    for &workspace in &workspaces {
        record_export(vault, workspace).await?;
    }
    let mut export = AuditExport::new(vault.clone(), workspaces);
    let Some(path) = file.filter(|path| path.as_os_str() != "-") else {
        return write_all(&mut export, &mut BufWriter::new(std::io::stdout().lock())).await;
    };
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path).with_context(|| format!("the file {}", path.display()))?;
    write_all(&mut export, &mut BufWriter::new(&file)).await?;
    file.sync_all()?;
    let (path, records) = (path.display(), export.records());
    logging::print(&match config.json {
        true => json!({ "file": path.to_string(), "records": records }).to_string(),
        false => format!("{records} records written to {path}"),
    });
    Ok(())
}

/// An export is an event itself, of each workspace that it is of.
async fn record_export(vault: &Vault, workspace: WorkspaceId) -> anyhow::Result<()> {
    vault.load(workspace).await?;
    let (id, now) = (vault.fresh(), vault.now());
    let mut event = Event::new(id, workspace, now, Actor::system(), Action::ExportMade);
    event.reason = "audit".into();
    let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
    vault.store().write(write).await?;
    Ok(())
}

async fn write_all(export: &mut AuditExport, out: &mut impl Write) -> anyhow::Result<()> {
    while let Some(lines) = export.next().await.context("`keyward audit verify` says more")? {
        out.write_all(lines.as_bytes())?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests;
