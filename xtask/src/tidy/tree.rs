//! The files that the rules look at: what git knows or would add, with their text.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace;

/// One file; `text` is empty for what is not text.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// All files of a checkout.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) files: Vec<File>,
}

impl Tree {
    /// Reads what is committed or would be, so that a new file is checked before it is added.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root);
        let listed = String::from_utf8_lossy(&workspace::output(&mut git)?).into_owned();
        let present =
            listed.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file());
        let read = |path: &str| {
            let bytes = std::fs::read(root.join(path))?;
            Ok(File { path: path.to_owned(), text: String::from_utf8(bytes).unwrap_or_default() })
        };
        Ok(Self { files: present.map(read).collect::<Result<_>>()? })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { files: files.iter().map(file).collect() }
    }

    pub(super) fn rust_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Whether the path is a file here, or a folder with files in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files.iter().any(below)
    }

    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// A broken rule, and what to do instead.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    line: usize,
    message: String,
}

impl Fault {
    /// `line` counts from 1.
    pub(super) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// What a rule's tests compare: where the faults are.
#[cfg(test)]
pub(super) fn places(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{}:{}", fault.path, fault.line)).collect()
}
