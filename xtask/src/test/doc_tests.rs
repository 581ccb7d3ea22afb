//! Examples in doc comments: compiled and run in the crates that have some, for the others would
//! only cost their build.

use std::path::Path;

use anyhow::Result;

use super::counted;
use super::counts::Counts;
use crate::workspace;

/// Runs the doc tests of every crate with an example; one check where there are none.
pub(super) fn run() -> Result<Counts> {
    let mut command = workspace::cargo(&["test", "--locked", "--doc", "--color", "never"]);
    let mut any = false;
    for entry in std::fs::read_dir(workspace::root().join("crates"))? {
        let folder = entry?.path();
        if has_example(&folder.join("src"))? && folder.join("src/lib.rs").exists() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            command.args(["-p", &format!("keyward-{name}")]);
            any = true;
        }
    }
    if any { counted(&mut command) } else { Ok(Counts::one(())) }
}

fn has_example(folder: &Path) -> Result<bool> {
    if !folder.is_dir() {
        return Ok(false);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let found = match path.is_dir() {
            true => has_example(&path)?,
            false => is_source && holds_example(&std::fs::read_to_string(&path)?),
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a doc comment opens a block that rustdoc would run.
fn holds_example(source: &str) -> bool {
    let mut open = false;
    for line in source.lines() {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let Some(language) = doc.and_then(|doc| doc.trim_start().strip_prefix("```")) else {
            continue;
        };
        if !open
            && ["", "rust", "no_run", "should_panic", "compile_fail"].contains(&language.trim())
        {
            return true;
        }
        open = !open;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::holds_example;

    #[test]
    fn examples_are_told_from_text() {
        assert!(holds_example("//! ```\n//! f();\n//! ```\n"));
        assert!(holds_example("    /// ```text\n    /// x\n    /// ```\n    /// ```no_run\n"));
        assert!(!holds_example("/// ```text\n/// x\n/// ```\n"));
        assert!(!holds_example("let x = \"```\";\n// ```\n"));
    }
}
