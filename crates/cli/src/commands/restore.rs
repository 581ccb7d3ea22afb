//! `keyward restore`: a backup into an empty installation, or, with `--accept-older`, the word that an
//! older database than the anchor knows is meant.

mod directory;

use super::record::record_everywhere;
use crate::config::{Config, Restore};
use crate::{home, logging};
use anyhow::Context as _;
use directory::Directory;
use keyward_egress::Client;
use keyward_model::audit::Action;
use keyward_store::backup::{self, Contents};
use keyward_store::{Store, Target};
use keyward_vault::backup::{BackupReader, check, sealed_by};
use keyward_vault::{Anchor, AnchorError, RootKey, Vault};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Restores a file, or accepts the database as it is.
pub(crate) async fn run(config: &Config, restore: Restore) -> anyhow::Result<()> {
    match restore.file {
        Some(file) if !restore.accept_older => from_file(config, file).await,
        _ => accept_older(config).await,
    }
}

async fn from_file(config: &Config, file: PathBuf) -> anyhow::Result<()> {
    let begun = Instant::now();
    let shown = file.display().to_string();
    // All that can be wrong without writing anything comes first.
    let egress = home::egress(config, None)?;
    let root = root_key(config, &file)?;
    let whole = {
        let file = open(&file)?;
        tokio::task::spawn_blocking(move || check(&root, BufReader::new(file)).map(|()| root))
    };
    let root = whole.await?.with_context(|| format!("the backup {shown}"))?;
    let mut directory = Directory::take(config)?;
    let target = directory.target(config);
    let contents = load(target.clone(), root, open(&file)?).await;
    let contents = contents.with_context(|| format!("restoring {shown}"))?;
    if let Err(error) = finish(config, &mut directory, &target, egress).await {
        clear_elsewhere(target).await;
        return Err(error.context("taking the restored database into use"));
    }
    directory.keep();
    report(config, &contents, open(&file)?.metadata()?.len(), begun);
    Ok(())
}

/// A file goes with its directory; a database elsewhere is emptied again.
async fn clear_elsewhere(target: Target) {
    if matches!(target, Target::Sqlite(_)) {
        return;
    }
    match tokio::task::spawn_blocking(move || backup::clear(&target)).await {
        Ok(Ok(())) => {}
        _ => logging::say("the database could not be emptied again: drop it before the next try"),
    }
}

/// The root key in place, if it is the one that sealed the file.
fn root_key(config: &Config, file: &Path) -> anyhow::Result<RootKey> {
    let (path, key) = (file.display(), config.root_key_file.display());
    let expected = sealed_by(&mut open(file)?).with_context(|| format!("the backup {path}"))?;
    let root = RootKey::read(&config.root_key_file, &home::database_directory(config))?;
    let root = root.with_context(|| {
        format!("the backup {path} needs the root key {expected}, and there is none at {key}: put it there first")
    })?;
    let found = root.fingerprint();
    anyhow::ensure!(
        found == expected,
        "the backup {path} needs the root key {expected}, and {key} holds {found}"
    );
    Ok(root)
}

fn open(file: &Path) -> anyhow::Result<File> {
    File::open(file).with_context(|| format!("the file {}", file.display()))
}

async fn load(target: Target, root: RootKey, file: File) -> anyhow::Result<Contents> {
    let load = move || -> anyhow::Result<Contents> {
        let mut reader = BackupReader::new(&root, BufReader::new(file))?;
        Ok(backup::load(&target, &mut reader)?)
    };
    tokio::task::spawn_blocking(load).await?
}

/// Opens what was loaded as a start would, writes down that it was restored, and anchors that.
async fn finish(
    config: &Config,
    directory: &mut Directory,
    target: &Target,
    egress: Client,
) -> anyhow::Result<()> {
    let store = Store::open(target)?;
    let vault = home::unlock(config, store, egress).await?;
    let recorded = record_everywhere(&vault, Action::ServerRestored, "backup").await;
    vault.store().close().await;
    recorded?;
    directory.settle()?;
    write_anchor(config, &vault)
}

/// A new anchor: the newest records that this process has written, and nothing of before.
fn write_anchor(config: &Config, vault: &Vault) -> anyhow::Result<()> {
    let anchor = Anchor::unchecked(&home::anchor_file(config), vault.clone());
    Ok(anchor.write(vault.store().heads())?)
}

fn report(config: &Config, contents: &Contents, bytes: u64, begun: Instant) {
    let Contents { schema, rows } = contents;
    let seconds = begun.elapsed().as_secs_f64();
    logging::print(&match config.json {
        true => format!(
            "{:#}",
            json!({ "bytes": bytes, "schema": schema, "rows": rows, "seconds": seconds })
        ),
        false => format!(
            "{} rows restored into {}; `keyward serve` goes on from there",
            contents.total(),
            config.data_dir.display()
        ),
    });
}

async fn accept_older(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(super::has_database(config), "there is no database to accept");
    // A running server would write the old anchor again.
    let _lock = home::lock(config)?;
    let vault = super::open_existing(config).await?;
    let done = accept(config, &vault).await;
    vault.store().close().await;
    let accepted = done?;
    logging::print(&match (config.json, accepted) {
        (true, _) => json!({ "accepted": accepted }).to_string(),
        (false, true) => {
            "the database is accepted as it is: what the anchor file named beyond it is given up"
                .to_owned()
        }
        (false, false) => {
            "nothing to accept: the database holds all that the anchor file names".to_owned()
        }
    });
    Ok(())
}

/// Whether there was something to accept.
async fn accept(config: &Config, vault: &Vault) -> anyhow::Result<bool> {
    let why = match Anchor::check(&home::anchor_file(config), vault.clone()).await {
        Ok(_) => return Ok(false),
        Err(AnchorError::Rollback { .. }) => "database_older",
        Err(AnchorError::Altered(_)) => "anchor_altered",
        Err(error) => return Err(error.into()),
    };
    record_everywhere(vault, Action::OlderAccepted, why).await?;
    write_anchor(config, vault)?;
    Ok(true)
}
