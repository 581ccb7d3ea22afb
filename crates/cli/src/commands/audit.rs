//! `keyward audit`: checks the chains of the audit trail, in the database or in an exported file,
//! and exports it.

mod chain;
mod line;
mod trail;

use crate::config::{Audit, Config};
use crate::{home, logging};
use anyhow::Context as _;
use chain::{Checker, Counts, Fault};
use keyward_model::audit::{Head, Record};
use keyward_model::id::WorkspaceId;
use keyward_vault::{Anchor, AnchorError, Vault, VaultError};
use line::{End, Line};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use trail::Trail;

/// Runs one of the commands, beside a running server or without one.
pub(crate) async fn run(config: &Config, command: Audit) -> anyhow::Result<()> {
    let vault = super::open_existing(config).await?;
    let done = match command {
        Audit::Verify { file } => verify(config, &vault, file.as_deref()).await,
        Audit::Export { file } => export(config, &vault, file.as_deref()).await,
    };
    vault.store().close().await;
    done
}

async fn verify(config: &Config, vault: &Vault, file: Option<&Path>) -> anyhow::Result<()> {
    let (counts, faults) = match file {
        Some(path) => check_file(vault, path).await?,
        None => check_database(config, vault).await?,
    };
    report(config.json, counts, &faults)
}

fn report(json: bool, counts: Counts, faults: &[Fault]) -> anyhow::Result<()> {
    let Counts { workspaces, streams, records } = counts;
    if json {
        let fault = |fault: &Fault| {
            json!({
                "workspace_id": fault.workspace, "stream": fault.stream, "number": fault.number,
                "kind": fault.kind.as_str(), "detail": fault.to_string(),
            })
        };
        let faults: Vec<_> = faults.iter().map(fault).collect();
        let report = json!({
            "ok": faults.is_empty(), "workspaces": workspaces, "streams": streams,
            "records": records, "faults": faults,
        });
        logging::print(&format!("{report:#}"));
    }
    if !faults.is_empty() {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::bail!("the audit trail does not hold: {}", lines.join("\n  and "));
    }
    if !json {
        logging::print(&format!(
            "the audit trail holds: {records} records in {streams} streams of {workspaces} workspaces"
        ));
    }
    Ok(())
}

/// Authenticates with the workspace's audit key; `None` for a workspace that is not of here.
async fn mac(
    vault: &Vault,
    workspace: WorkspaceId,
    previous: &[u8],
    number: i64,
    event: &[u8],
) -> Result<Option<[u8; 32]>, VaultError> {
    match vault.audit_mac(workspace, previous, number, event).await {
        Ok(mac) => Ok(Some(mac)),
        Err(VaultError::NoWorkspaceKey) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn accept(checker: &mut Checker, vault: &Vault, record: &Record) -> Result<(), VaultError> {
    let mac = async |workspace, previous: &[u8], number, event: &[u8]| {
        mac(vault, workspace, previous, number, event).await
    };
    checker.accept(record, mac).await
}

async fn check_database(config: &Config, vault: &Vault) -> anyhow::Result<(Counts, Vec<Fault>)> {
    let mut checker = Checker::default();
    // The anchor before the records: a running server writes both, and the anchor later.
    for head in anchored(config, vault).await? {
        checker.expect_head(&head);
    }
    let trail = Trail::open(vault).await?;
    for first in trail.first_records().await? {
        checker.expect_link(&first);
    }
    for &(workspace, stream) in trail.streams() {
        let mut records = trail.records(workspace, stream);
        while let Some(page) = records.next().await? {
            for record in page {
                accept(&mut checker, vault, &record).await?;
            }
        }
        if records.is_broken() {
            checker.unreadable(workspace, stream);
        }
    }
    Ok(checker.finish())
}

/// The records that the anchor file names, once its own MAC is checked.
async fn anchored(config: &Config, vault: &Vault) -> anyhow::Result<Vec<Head>> {
    let path = home::anchor_file(config);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            logging::say("there is no anchor file: a tail that was cut off would not be noticed");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    match Anchor::check(&path, vault.clone()).await {
        // What is missing is named below, with its stream.
        Ok(_) | Err(AnchorError::Rollback { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    trail::read_heads(&text).with_context(|| format!("the anchor file {}", path.display()))
}

async fn check_file(vault: &Vault, path: &Path) -> anyhow::Result<(Counts, Vec<Fault>)> {
    let mut checker = Checker::default();
    let mut end = None;
    for (number, line) in lines(path)? {
        anyhow::ensure!(end.is_none(), "line {number}: something follows the end");
        match line? {
            Line::Record(record) => checker.expect_link(&record),
            Line::End(found) => end = Some(found),
            Line::Unreadable(..) => {}
            Line::Unknown => anyhow::bail!("line {number} is not a line of an audit export"),
        }
    }
    let end = end.context(
        "the file was cut off: its last line, which names every chain's end, is missing",
    )?;
    for head in open_end(vault, &end).await? {
        checker.expect_head(&head);
    }
    for (_, line) in lines(path)? {
        match line? {
            Line::Record(record) => accept(&mut checker, vault, &record).await?,
            Line::Unreadable(workspace, stream) => checker.unreadable(workspace, stream),
            Line::End(_) | Line::Unknown => {}
        }
    }
    Ok(checker.finish())
}

/// Numbered lines; empty ones are passed over.
fn lines(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = (usize, std::io::Result<Line>)> + use<>> {
    let file = fs::File::open(path).with_context(|| format!("the file {}", path.display()))?;
    let lines = (1..).zip(BufReader::new(file).lines());
    let is_empty = |line: &std::io::Result<String>| line.as_ref().is_ok_and(String::is_empty);
    let lines = lines.filter(move |(_, line)| !is_empty(line));
    Ok(lines.map(|(number, text)| (number, text.map(|text| line::read(&text)))))
}

async fn open_end(vault: &Vault, end: &End) -> anyhow::Result<Vec<Head>> {
    let expected = mac(vault, end.sealed_by, End::PREVIOUS, end.count(), &end.content()?).await?;
    let expected =
        expected.context("the export is of another installation: its key is not here")?;
    anyhow::ensure!(end.is_sealed(&expected), "the file's last line was altered");
    end.heads().context("the file's last line was altered")
}

async fn export(config: &Config, vault: &Vault, file: Option<&Path>) -> anyhow::Result<()> {
    let trail = Trail::open(vault).await?;
    let records = match file.filter(|path| path.as_os_str() != "-") {
        None => write_all(vault, &trail, &mut BufWriter::new(std::io::stdout().lock())).await?,
        Some(path) => {
            let mut options = fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let file =
                options.open(path).with_context(|| format!("the file {}", path.display()))?;
            let records = write_all(vault, &trail, &mut BufWriter::new(&file)).await?;
            file.sync_all()?;
            records
        }
    };
    if let Some(path) = file.filter(|path| path.as_os_str() != "-") {
        match config.json {
            true => logging::print(
                &json!({ "file": path.display().to_string(), "records": records }).to_string(),
            ),
            false => logging::print(&format!("{records} records written to {}", path.display())),
        }
    }
    Ok(())
}

async fn write_all(vault: &Vault, trail: &Trail<'_>, out: &mut impl Write) -> anyhow::Result<u64> {
    let first = trail.streams().first().context("there is nothing to export yet")?;
    let (mut heads, mut count) = (BTreeMap::new(), 0);
    for &(workspace, stream) in trail.streams() {
        let mut records = trail.records(workspace, stream);
        while let Some(page) = records.next().await? {
            for record in page {
                writeln!(out, "{}", line::write(&record)?)?;
                let Record { number, mac, .. } = record;
                heads.insert((workspace, stream), Head { workspace, stream, number, mac });
                count += 1;
            }
        }
        anyhow::ensure!(
            !records.is_broken(),
            "a record of stream {stream} cannot be read; `keyward audit verify` says which"
        );
    }
    let end = End::new(heads.values(), first.0);
    let seal = mac(vault, end.sealed_by, End::PREVIOUS, end.count(), &end.content()?).await?;
    let end = end.seal(&seal.context("the workspace has no key")?);
    writeln!(out, "{}", serde_json::to_string(&end)?)?;
    out.flush()?;
    Ok(count)
}

#[cfg(test)]
mod tests;
