//! `keyward backup`: the whole database as of one moment in one file, which only the root key opens.

use super::record::record_everywhere;
use crate::config::{Backup, Config};
use crate::{home, logging};
use anyhow::Context as _;
use keyward_model::audit::Action;
use keyward_model::clock::Timestamp;
use keyward_store::Target;
use keyward_store::backup::Contents;
use keyward_vault::backup::BackupWriter;
use keyward_vault::{RootKey, Vault, read_identity};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The name under which the database keeps its newest backup's particulars.
const LAST: &str = "last-backup";

/// The newest backup that the database knows of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LastBackup {
    pub(super) at: Timestamp,
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// Reads it; `None` where there is none.
pub(super) async fn last(store: &keyward_store::Store) -> anyhow::Result<Option<LastBackup>> {
    let found = store.read(|tx| tx.meta(LAST)).await?;
    Ok(found.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Writes the file, beside a running server or without one.
pub(crate) async fn run(config: &Config, backup: &Backup) -> anyhow::Result<()> {
    let begun = Instant::now();
    let place = place(config, &backup.file, backup.force)?;
    let vault = super::open_existing(config).await?;
    let made = back_up(config, &vault, &place).await;
    vault.store().close().await;
    let (contents, bytes) = made?;
    let shown = place.display();
    match config.json {
        true => logging::print(&format!(
            "{:#}",
            json!({
                "file": shown.to_string(), "bytes": bytes, "schema": contents.schema,
                "rows": contents.rows, "seconds": begun.elapsed().as_secs_f64(),
                "root_key": vault.fingerprint(),
            })
        )),
        false => logging::print(&format!(
            "{} rows, {bytes} bytes written to {shown}; it opens with the root key {} alone: keep that key elsewhere",
            contents.total(),
            vault.fingerprint(),
        )),
    }
    Ok(())
}

async fn back_up(config: &Config, vault: &Vault, place: &Path) -> anyhow::Result<(Contents, u64)> {
    let root = RootKey::read(&config.root_key_file, &home::database_directory(config))?;
    let root = root.filter(|root| root.fingerprint() == vault.fingerprint());
    let root = root.context("the root key was changed just now: try again")?;
    let sealed_by = root.fingerprint();
    // Before the first row is read: no data leaves without a record.
    record_everywhere(vault, Action::ExportMade, "backup").await?;
    let at = vault.now();
    let (target, path) = (home::target(config), place.to_owned());
    let partial = tokio::task::spawn_blocking(move || Partial::write(&target, &root, path));
    let (partial, contents, bytes) = partial.await??;
    let now = read_identity(vault.store()).await?.map(|(_, fingerprint)| fingerprint);
    anyhow::ensure!(
        now.is_some_and(|now| now == sealed_by),
        "the root key was changed meanwhile: try again"
    );
    partial.keep()?;
    let last = LastBackup { at, file: place.display().to_string(), bytes };
    let last = serde_json::to_vec(&last)?;
    vault.store().record(move |tx| tx.put_meta(LAST, &last)).await?;
    Ok((contents, bytes))
}

/// Where the file will lie, links resolved, once nothing speaks against that place.
fn place(config: &Config, file: &Path, force: bool) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    let name = file.file_name().with_context(|| format!("{shown} is not a file's name"))?;
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = fs::canonicalize(folder)
        .with_context(|| format!("the directory of the backup, {}", folder.display()))?;
    let real = |path: &Path| fs::canonicalize(path).ok();
    let keys = real(&config.data_dir.join("keys"));
    let key = real(&config.root_key_file);
    let is_beside_key = key.as_deref().and_then(Path::parent) == Some(&folder);
    anyhow::ensure!(
        !is_beside_key && !keys.is_some_and(|keys| folder.starts_with(keys)),
        "{shown} would lie beside the root key, and whoever has both has everything: choose another directory"
    );
    anyhow::ensure!(
        !real(&home::database_directory(config)).is_some_and(|db| folder.starts_with(db)),
        "{shown} would lie inside the database directory: choose another directory"
    );
    let place = folder.join(name);
    match fs::symlink_metadata(&place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(place),
        Err(error) => Err(error).with_context(|| format!("the file {shown}")),
        Ok(found) if !found.is_file() => anyhow::bail!("{shown} is there and is not a file"),
        Ok(_) if !force => anyhow::bail!("{shown} is there already; --force replaces it"),
        Ok(_) => Ok(place),
    }
}

/// A file under a name of its own until it is whole; removed where it never is.
struct Partial {
    path: PathBuf,
    place: PathBuf,
    whole: bool,
}

impl Partial {
    /// Writes the database, compressed and sealed, and brings it onto the disk.
    fn write(
        target: &Target,
        root: &RootKey,
        place: PathBuf,
    ) -> anyhow::Result<(Self, Contents, u64)> {
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let path = place.with_file_name(name);
        let mut options = fs::OpenOptions::new();
        let file = options.create_new(true).write(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("the file {}", path.display()))?;
        let partial = Self { path, place, whole: false };
        let said = || format!("writing {}", partial.path.display());
        let mut writer = BackupWriter::new(root, file).with_context(said)?;
        let contents = keyward_store::backup::write(target, &mut writer).with_context(said)?;
        let file = writer.finish().with_context(said)?;
        file.sync_all().with_context(said)?;
        let bytes = file.metadata()?.len();
        Ok((partial, contents, bytes))
    }

    /// Gives it its name.
    fn keep(mut self) -> anyhow::Result<()> {
        fs::rename(&self.path, &self.place)
            .with_context(|| format!("naming {}", self.place.display()))?;
        self.whole = true;
        if let Some(folder) = self.place.parent() {
            fs::File::open(folder).and_then(|folder| folder.sync_all())?;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.whole {
            let _ = fs::remove_file(&self.path);
        }
    }
}
