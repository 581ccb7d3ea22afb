//! The data directory that a backup is restored into: empty but for the root key, held against other
//! servers, and left as it was where restoring fails.

use crate::config::Config;
use crate::home::{self, Lock};
use anyhow::Context as _;
use keyward_store::Target;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory that was taken for a restored database.
pub(super) struct Directory {
    lock: Option<Lock>,
    database: PathBuf,
    /// What was made here so far, in the order of making; undone the other way round.
    made: Vec<PathBuf>,
    uses_file: bool,
    keep: bool,
}

/// While it is loaded the database has this name, so that a restore that was killed leaves nothing
/// that could be taken for a database.
const LOADING: &str = "keyward.sqlite.restoring";
const LOADING_PARTS: [&str; 3] =
    [LOADING, "keyward.sqlite.restoring-wal", "keyward.sqlite.restoring-shm"];
const DATABASE: &str = "keyward.sqlite";

impl Directory {
    /// Makes the directory if need be, locks it, and makes sure that nothing is in the way.
    pub(super) fn take(config: &Config) -> anyhow::Result<Self> {
        let database = home::database_directory(config);
        let paths = [&config.data_dir, &database, &config.data_dir.join("lock")];
        let made = paths.into_iter().filter(|path| !path.exists()).cloned().collect();
        let uses_file = config.database_url.is_none();
        let mut taken = Self { lock: None, database, made, uses_file, keep: false };
        home::make_directories(config)?;
        taken.lock = Some(home::lock(config)?);
        let mut in_the_way = names(&config.data_dir, |name| is_expected(config, name))?;
        let leftover = |name: &OsStr| LOADING_PARTS.iter().any(|part| name == *part);
        in_the_way.extend(names(&taken.database, |name| leftover(name) || name == "lost+found")?);
        anyhow::ensure!(
            in_the_way.is_empty(),
            "{} is not empty: {} would have to be moved away first",
            config.data_dir.display(),
            in_the_way.join(", ")
        );
        taken.remove_loading();
        Ok(taken)
    }

    /// Where to load to.
    pub(super) fn target(&self, config: &Config) -> Target {
        match home::target(config) {
            Target::Sqlite(_) => Target::Sqlite(self.database.join(LOADING)),
            elsewhere => elsewhere,
        }
    }

    /// Gives the loaded and closed database its name, and makes ready for an anchor.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        if let Some(data) = self.database.parent() {
            self.made.extend([data.join("anchor.json"), data.join("anchor.next")]);
        }
        if !self.uses_file {
            return Ok(());
        }
        let (loading, place) = (self.database.join(LOADING), self.database.join(DATABASE));
        let log = self.database.join("keyward.sqlite.restoring-wal");
        let is_whole = fs::metadata(log).map_or(true, |log| log.len() == 0);
        anyhow::ensure!(is_whole, "the database was not closed as it should be");
        fs::rename(&loading, &place)?;
        self.made.push(place);
        fs::File::open(&self.database)?.sync_all().context("the database directory")
    }

    /// The end of a restore that went well.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }

    fn remove_loading(&self) {
        for part in LOADING_PARTS {
            // Mostly not there; where it cannot be removed, loading says so.
            let _ = fs::remove_file(self.database.join(part));
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        self.remove_loading();
        for path in self.made.drain(..).rev() {
            // Of a directory only an empty one goes; what cannot be undone here must be looked at.
            let _ = match path.is_dir() {
                true => fs::remove_dir(&path),
                false => fs::remove_file(&path),
            };
        }
    }
}

/// Names in a directory, but for those that may be there.
fn names(directory: &Path, may_be_there: impl Fn(&OsStr) -> bool) -> anyhow::Result<Vec<String>> {
    let said = || format!("the directory {}", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(said)? {
        let entry = entry.with_context(said)?;
        if !may_be_there(&entry.file_name()) {
            found.push(entry.path().display().to_string());
        }
    }
    found.sort();
    Ok(found)
}

/// The root key, what was made above, and what file systems put there themselves.
fn is_expected(config: &Config, name: &OsStr) -> bool {
    let key = fs::canonicalize(&config.root_key_file).unwrap_or_default();
    let holds_key = fs::canonicalize(config.data_dir.join(name));
    let holds_key = holds_key.is_ok_and(|path| key.starts_with(path));
    holds_key || ["db", "keys", "lock", "lost+found"].iter().any(|known| name == *known)
}
