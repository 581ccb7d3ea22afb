//! The figures as a table, and their place in the documents.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::Figures;
use crate::workspace;

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- bench: written by `cargo xtask bench --write` -->\n";
const END: &str = "<!-- bench ends -->\n";
const INTRODUCTION: &str = "# Performance\n\nA webhook runs one code step over 20 items and answers \
with its output. Every accepted run is on disk before it is answered. `cargo xtask bench` measures \
this on your machine.\n\n";

/// The figures in Markdown, with the machine they were measured on.
pub(super) fn table(all: &[Figures]) -> String {
    let mut text =
        "| | connections | requests/s | p50 ms | p99 ms | requests |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for figures in all {
        for sample in &figures.samples {
            let [p50, p99] = [sample.p50, sample.p99].map(|time| time.as_secs_f64() * 1e3);
            text += &format!(
                "| {} | {} | {:.0} | {p50:.2} | {p99:.2} | {} |\n",
                figures.name,
                sample.connections,
                sample.rate(),
                sample.requests
            );
        }
    }
    text +=
        "\n| | ready after ms | idle MiB | after load MiB | processes |\n|---|---|---|---|---|\n";
    for figures in all {
        let [idle, loaded] = [figures.idle, figures.after_load].map(|m| m.kib as f64 / 1024.0);
        text += &format!(
            "| {} | {:.0} | {idle:.1} | {loaded:.1} | {} |\n",
            figures.name,
            figures.ready.as_secs_f64() * 1e3,
            figures.idle.processes,
        );
    }
    format!("{text}\n{}\n", machine())
}

/// Puts the table between its marks; gives the page's path.
pub(super) fn write(table: &str) -> Result<&'static str> {
    let path = workspace::root().join(PAGE);
    let page = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => format!("{INTRODUCTION}{BEGIN}{END}"),
        read => read.with_context(|| format!("reading {PAGE}"))?,
    };
    let page =
        replaced(&page, table).with_context(|| format!("{PAGE} lacks the lines {BEGIN}{END}"))?;
    std::fs::write(path, page)?;
    Ok(PAGE)
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processor = processor.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let commit = workspace::output(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let commit = commit.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    format!(
        "{cores} cores shared with the load, {processor}, Linux {}, commit {}.",
        kernel.trim(),
        commit.unwrap_or_else(|_| "unknown".to_owned())
    )
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replaced};

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let expected = format!("before\n{BEGIN}\nnew\n\n{END}after\n");
        assert_eq!(replaced(&page, "new\n"), Some(expected.clone()));
        assert_eq!(replaced(&expected, "new\n"), Some(expected));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
