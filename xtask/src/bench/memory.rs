//! Resident memory of a process and all its descendants, shared pages counted once (PSS).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};

/// Memory of a process tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) processes: usize,
    pub(super) kib: u64,
}

/// The memory of the process and its descendants.
///
/// # Errors
/// When a process may not be looked at: its memory must not be left out silently.
pub(super) fn of_tree(pid: u32) -> Result<Memory> {
    let mut memory = Memory { processes: 0, kib: 0 };
    for pid in tree(pid)? {
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(rollup) => {
                memory.processes += 1;
                memory.kib += pss(&rollup);
            }
            // It ended since it was listed.
            Err(e) if e.kind() == ErrorKind::NotFound || e.raw_os_error() == Some(3) => {}
            Err(e) => return Err(e).with_context(|| format!("memory of process {pid}")),
        }
    }
    Ok(memory)
}

/// The process and its descendants, as they are at this moment.
fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, parent_of(&path)?))) {
            parents.insert(pid, parent);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    Ok(found)
}

/// The fourth field of `stat`, after a name that may hold anything.
fn parent_of(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn pss(rollup: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{of_tree, pss, tree};

    #[test]
    fn the_proportional_share_is_read() {
        assert_eq!(pss("0-1 [rollup]\nRss:  900 kB\nPss:     123 kB\nPss_Anon: 7 kB\n"), 123);
    }

    #[test]
    fn descendants_count() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 30 & echo started; wait"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().expect("its output"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        let members = tree(child.id()).expect("the tree");
        let memory = of_tree(child.id()).expect("its memory");
        for pid in members.iter().rev() {
            Command::new("kill").arg(pid.to_string()).status().expect("ended");
        }
        child.wait().expect("ended");
        assert_eq!((members.len(), memory.processes), (2, 2));
        assert!(memory.kib > 50, "{memory:?}");
    }
}
