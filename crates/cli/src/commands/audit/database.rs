//! Checks the audit trail in the database, and against the anchor file.

use super::{Checked, Trail, home, trail};
use crate::config::Config;
use crate::logging;
use anyhow::Context as _;
use keyward_model::audit::{Checker, Head};
use keyward_vault::{Anchor, AnchorError, Vault};
use std::fs;

/// Checks every chain of every workspace.
pub(super) async fn check(
    config: &Config,
    checker: impl Fn() -> Checker,
) -> anyhow::Result<Checked> {
    let vault = super::super::open_existing(config).await?;
    let checked = check_quietly(config, &vault, checker).await;
    vault.store().close().await;
    checked
}

/// Retention may cut a chain while it is read; what was found then is looked at again.
async fn check_quietly(
    config: &Config,
    vault: &Vault,
    checker: impl Fn() -> Checker,
) -> anyhow::Result<Checked> {
    loop {
        let before = Trail::open(vault).await?.stubs_seen();
        let checked = check_once(config, vault, checker()).await?;
        if checked.1.is_empty() || Trail::open(vault).await?.stubs_seen() == before {
            return Ok(checked);
        }
    }
}

async fn check_once(
    config: &Config,
    vault: &Vault,
    mut checker: Checker,
) -> anyhow::Result<Checked> {
    // The anchor before the records: a running server writes both, and the anchor later.
    let anchored = anchored(config, vault).await?;
    let trail = Trail::open(vault).await?;
    let keys = vault.audit_keys(&trail.workspaces()).await?;
    for stub in trail.stubs() {
        let row = stub.parts().0;
        let (workspace, stream, number) = (row.workspace, row.stream, row.number);
        match keys.verify(workspace, stub.clone()) {
            Ok(stub) => checker.expect_stub(&stub),
            Err(_) => checker.forged_stub(workspace, stream, number),
        }
    }
    anchored.iter().for_each(|head| checker.expect_head(head));
    for first in trail.first_records().await? {
        checker.expect_link(&first);
    }
    for &(workspace, stream) in trail.streams() {
        let mut records = trail.records(workspace, stream);
        while let Some(page) = records.next().await? {
            for record in &page {
                checker
                    .accept(record, |record, previous, number| keys.fits(record, previous, number));
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
