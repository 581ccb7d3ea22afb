//! What end-to-end tests leave behind, and the last look at all of it.
//!
//! A test takes an [`Evidence`], gets its canaries from it, keeps its data directories inside it and
//! puts there what it fetched and what was printed. `cargo xtask test` empties the folder before the
//! tests and sweeps it after them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::canary::canary;
use crate::sweep::{Finding, Sweep};

const LIST: &str = "canaries";

/// One test's folder, `canary/<test>/` in Cargo's target folder. Its list of values lies beside it,
/// where the sweep does not look.
#[derive(Debug)]
pub struct Evidence {
    test: String,
    folder: PathBuf,
}

impl Evidence {
    /// Makes the folder of the test with that name, which no other test may have.
    pub fn of(test: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(test.chars().all(plain), "`{test}` is no name for a folder");
        let folder = root().join(test);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the folder of an earlier run can be removed");
        }
        fs::create_dir_all(&folder).expect("a folder for evidence");
        let evidence = Self { test: test.to_owned(), folder };
        File::create(evidence.list()).expect("a list of canaries");
        evidence
    }

    /// Where to put data directories and all else that must hold no secret.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A canary of this test's own, to use as a secret.
    pub fn canary(&self, name: &str) -> String {
        let value = canary(&format!("{}/{name}", self.test));
        self.watch(name, &value);
        value
    }

    /// Looks for this secret, too: one that the product or another server made. At least 12
    /// characters without a line break, none of them easy to guess.
    pub fn watch(&self, name: &str, value: &str) {
        assert!(value.len() >= 12 && !value.contains('\n'), "`{name}` cannot be watched");
        let line = format!("{}/{name}\t{value}\n", self.test);
        append(&self.list(), line.as_bytes()).expect("the list of canaries can be written");
    }

    /// Keeps what was fetched or printed; what is kept under one name is appended.
    pub fn keep(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.folder.join(name), bytes.as_ref()).expect("evidence can be written");
    }

    /// Looks for this test's own values in all that lies in its folder by now, while its servers go on
    /// writing.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sweep(&self) -> io::Result<Swept> {
        let values = listed(&self.list())?;
        let root = self.folder.parent().unwrap_or(&self.folder);
        sweep_folders(root, std::slice::from_ref(&self.folder), &values)
    }

    fn list(&self) -> PathBuf {
        self.folder.with_extension(LIST)
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

/// The folder of all evidence.
///
/// # Panics
/// When this program does not lie in Cargo's target folder.
pub fn root() -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    let target = this.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.expect("this program lies in Cargo's target folder").join("canary")
}

/// What a sweep looked at, and what it found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Files looked at.
    pub files: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Values looked for.
    pub canaries: usize,
    /// Every leak.
    pub findings: Vec<Finding>,
}

/// Looks for every test's canaries in every test's folder.
///
/// # Errors
/// When a file cannot be read.
pub fn sweep_all() -> io::Result<Swept> {
    sweep_root(&root())
}

fn sweep_root(root: &Path) -> io::Result<Swept> {
    if !root.exists() {
        return Ok(Swept::default());
    }
    let mut values = BTreeMap::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == LIST) {
            values.extend(listed(&path)?);
        }
    }
    sweep_folders(root, &folders, &values)
}

/// The values of a list and their names.
fn listed(list: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(list)?;
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(pairs.map(|(name, value)| (value.to_owned(), name.to_owned())).collect())
}

fn sweep_folders(
    root: &Path,
    folders: &[PathBuf],
    values: &BTreeMap<String, String>,
) -> io::Result<Swept> {
    let mut swept = Swept { canaries: values.len(), ..Swept::default() };
    let sweep = Sweep::new(values.iter().map(|(value, name)| (name.as_str(), value.as_str())));
    let mut files = Vec::new();
    for folder in folders {
        list_files(folder, &mut files)?;
    }
    files.sort();
    swept.files = files.len();
    for part in sweep_files(&sweep, root, &files)? {
        swept.bytes += part.0;
        swept.findings.extend(part.1);
    }
    swept.findings.sort_by(|a, b| (&a.place, &a.canary).cmp(&(&b.place, &b.canary)));
    Ok(swept)
}

fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list_files(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Sizes and findings of the files, which as many threads as there are cores share out.
fn sweep_files(
    sweep: &Sweep,
    root: &Path,
    files: &[PathBuf],
) -> io::Result<Vec<(usize, Vec<Finding>)>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let one = || files.get(next.fetch_add(1, Ordering::Relaxed));
        std::iter::from_fn(one).map(|file| sweep_file(sweep, root, file)).collect()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join().expect("the sweep ends"));
        let parts: io::Result<Vec<Vec<_>>> = joined.collect();
        Ok(parts?.into_iter().flatten().collect())
    })
}

fn sweep_file(sweep: &Sweep, root: &Path, file: &Path) -> io::Result<(usize, Vec<Finding>)> {
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let bytes = match fs::read(file) {
        // A running server takes files away, too.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let mut findings = sweep.bytes(&format!("{shown} (its name)"), shown.as_bytes());
    findings.extend(sweep.bytes(&shown, &bytes));
    Ok((bytes.len(), findings))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Evidence, sweep_root};

    fn evidence(root: &std::path::Path, test: &str) -> Evidence {
        let folder = root.join(test);
        fs::create_dir_all(&folder).expect("a folder");
        Evidence { test: test.to_owned(), folder }
    }

    #[test]
    fn what_one_test_leaks_is_found_in_anothers_folder() {
        let root = tempfile::tempdir().expect("a folder");
        let (first, second) = (evidence(root.path(), "first"), evidence(root.path(), "second"));
        let value = first.canary("TOKEN");
        second.watch("made", "yT8!kQ0-vb2&Zx");
        first.keep("out.log", "nothing here\n");
        let clean = sweep_root(root.path()).expect("swept");
        assert_eq!((clean.files, clean.canaries, clean.findings.len()), (1, 2, 0));

        fs::create_dir(second.folder().join("db")).expect("a folder");
        second.keep("db/x", value.to_lowercase());
        first.keep("out.log", "a yT8!kQ0-vb2&Zx b");
        let found = sweep_root(root.path()).expect("swept").findings;
        let shown: Vec<_> = found.iter().map(|f| (f.place.as_str(), f.canary.as_str())).collect();
        assert_eq!(shown, [("first/out.log", "second/made"), ("second/db/x", "first/TOKEN")]);
    }

    #[test]
    fn a_file_name_can_leak_too() {
        let root = tempfile::tempdir().expect("a folder");
        let test = evidence(root.path(), "test");
        let value = test.canary("TOKEN");
        test.keep(&format!("{value}.txt"), "");
        assert_eq!(sweep_root(root.path()).expect("swept").findings.len(), 1);
    }
}
