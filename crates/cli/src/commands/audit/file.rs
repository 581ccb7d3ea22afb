//! Checks an exported file with the keys that it brings, wrapped by the root key: no database needed.

use super::{Checked, home};
use crate::commands::{has_database, open_existing};
use crate::config::Config;
use anyhow::Context as _;
use keyward_model::audit::{Checker, End, Header, Line};
use keyward_vault::{AuditKeys, RootKeyError, VaultError};
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// More than any line needs.
const LONGEST: u64 = 8 * 1024 * 1024;

/// Reads the file twice: first what must be found, then each record in its order.
pub(super) async fn check(
    config: &Config,
    path: &Path,
    mut checker: Checker,
) -> anyhow::Result<Checked> {
    let (keys, end) = announce(config, path, &mut checker).await?;
    let mut lines = Lines::open(path)?;
    let mut records = 0;
    while let Some((_, text)) = lines.next()? {
        match Line::read(&text) {
            Line::Record(record) => {
                records += 1;
                checker.accept(&record, |record, previous, number| {
                    keys.fits(record, previous, number)
                });
            }
            Line::Unreadable(workspace, stream) => checker.unreadable(workspace, stream),
            Line::Header(_) | Line::Stub(_) | Line::End(_) | Line::Unknown => {}
        }
    }
    let checked = checker.finish();
    let whole = !checked.1.is_empty() || records == end.records();
    anyhow::ensure!(
        whole,
        "the file holds {records} records and was written with {}",
        end.records()
    );
    Ok(checked)
}

/// Opens the keys and tells the checker of stubs, beginnings and ends.
async fn announce(
    config: &Config,
    path: &Path,
    checker: &mut Checker,
) -> anyhow::Result<(AuditKeys, End)> {
    let mut lines = Lines::open(path)?;
    let (_, first) = lines.next()?.context("the file is empty")?;
    let Line::Header(header) = Line::read(&first) else {
        anyhow::bail!("line 1 is not the header of an audit export of this release");
    };
    let keys = open_keys(config, &header).await?;
    let mut end = None;
    while let Some((number, text)) = lines.next()? {
        anyhow::ensure!(end.is_none(), "line {number}: something follows the end");
        match Line::read(&text) {
            Line::Record(record) => checker.expect_link(&record),
            Line::Stub(stub) => {
                let row = stub.parts().0;
                let (workspace, stream, number) = (row.workspace, row.stream, row.number);
                match keys.verify(workspace, stub) {
                    Ok(stub) => checker.expect_stub(&stub),
                    Err(_) => checker.forged_stub(workspace, stream, number),
                }
            }
            Line::End(found) => end = Some(found),
            Line::Unreadable(..) => {}
            Line::Header(_) | Line::Unknown => {
                anyhow::bail!("line {number} is not a line of an audit export")
            }
        }
    }
    let end = end.context(
        "the file was cut off: its last line, which names every chain's end, is missing",
    )?;
    for head in open_end(&keys, &end)? {
        checker.expect_head(&head);
    }
    Ok((keys, end))
}

async fn open_keys(config: &Config, header: &Header) -> anyhow::Result<AuditKeys> {
    let database = home::database_directory(config);
    let opened = match AuditKeys::of_export(header, &config.root_key_file, &database) {
        // The root key was changed since: the installation itself still knows its workspaces' keys.
        Err(VaultError::Root(RootKeyError::Wrong { .. })) if has_database(config) => {
            keys_of_installation(config, header).await
        }
        opened => opened.map_err(Into::into),
    };
    opened.context(
        "the export's keys do not open: they need the root key of the installation that wrote it",
    )
}

async fn keys_of_installation(config: &Config, header: &Header) -> anyhow::Result<AuditKeys> {
    let vault = open_existing(config).await?;
    let workspaces: Vec<_> =
        header.keys.iter().filter_map(|key| Some(key.row()?.workspace)).collect();
    let keys = vault.audit_keys(&workspaces).await;
    vault.store().close().await;
    Ok(keys?)
}

fn open_end(keys: &AuditKeys, end: &End) -> anyhow::Result<Vec<keyward_model::audit::Head>> {
    let content = end.content()?;
    let sealed = (End::PREVIOUS, end.number(), content.as_slice());
    let fits = end.mac().is_some_and(|mac| keys.fits_bytes(end.sealed_by, None, sealed, &mac));
    anyhow::ensure!(fits, "the file's last line was altered");
    end.heads().context("the file's last line was altered")
}

/// A file's lines with their numbers; empty ones are passed over.
struct Lines {
    reader: BufReader<fs::File>,
    number: usize,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = fs::File::open(path).with_context(|| format!("the file {}", path.display()))?;
        Ok(Self { reader: BufReader::new(file), number: 0 })
    }

    fn next(&mut self) -> io::Result<Option<(usize, String)>> {
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if !text.is_empty() {
                return Ok(Some((self.number, text.to_owned())));
            }
        }
    }
}
