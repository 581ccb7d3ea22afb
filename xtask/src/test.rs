//! `cargo xtask test`: everything that must hold before a change is landed, part by part, with the
//! time of each and one closing line. A part that cannot run has failed; the others still run.

mod counts;
mod doc_tests;

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use self::counts::Counts;
use crate::{codegen, deps, setup, tidy, workspace};

struct Part {
    name: &'static str,
    run: fn() -> Result<Counts>,
}

/// In this order: what is quick to fail comes early, and the sweep looks at what the tests left.
const PARTS: &[Part] = &[
    Part { name: "setup", run: || setup::ensure().map(Counts::one) },
    Part { name: "fmt", run: || cargo(&["fmt", "--all", "--", "--check", "-l"]) },
    Part { name: "clippy", run: || cargo(CLIPPY) },
    Part { name: "tidy", run: || command(tidy::run(&[])?) },
    Part { name: "deps", run: || command(deps::run(&[])?) },
    Part { name: "codegen", run: || command(codegen::run(&["--check".to_owned()])?) },
    Part { name: "tests", run: tests },
    Part { name: "doc-tests", run: doc_tests::run },
    Part { name: "canary-sweep", run: sweep },
];

const CLIPPY: &[&str] =
    &["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];

/// Runs all parts, or those that are named.
pub(crate) fn run(names: &[String]) -> Result<ExitCode> {
    for name in names {
        let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        ensure!(known.contains(&name.as_str()), "no part `{name}`; there are {}", known.join(", "));
    }
    let chosen = PARTS.iter().filter(|p| names.is_empty() || names.iter().any(|n| n == p.name));
    let mut total = Counts::default();
    let mut lines = Vec::new();
    for part in chosen {
        println!("── {}", part.name);
        let start = Instant::now();
        let counts = (part.run)().unwrap_or_else(|error| {
            eprintln!("{error:#}");
            Counts::failure()
        });
        let line = closing_line(part.name, &counts, start.elapsed());
        println!("── {line}\n");
        lines.push(line);
        total += counts;
    }
    println!("{}\n\n{total}", lines.join("\n"));
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn closing_line(name: &str, counts: &Counts, took: Duration) -> String {
    let outcome = if counts.failed == 0 { "ok" } else { "FAILED" };
    format!("{name:<13} {outcome:<6} {:>7.1} s   {counts}", took.as_secs_f64())
}

fn cargo(arguments: &[&str]) -> Result<Counts> {
    workspace::must(&mut workspace::cargo(arguments)).map(Counts::one)
}

fn command(status: ExitCode) -> Result<Counts> {
    Ok(if status == ExitCode::SUCCESS { Counts::one(()) } else { Counts::failure() })
}

/// All tests of the workspace, the end-to-end ones included. nextest is used where it is
/// installed; plain `cargo test` runs the same tests, only slower and with a cluster per binary.
fn tests() -> Result<Counts> {
    clear_evidence()?;
    let has_nextest = setup::is_there("cargo-nextest");
    let mut command = if has_nextest {
        workspace::cargo(&["nextest", "run", "--locked", "--workspace", "--color", "never"])
    } else {
        println!("cargo-nextest is not installed: using cargo test");
        workspace::cargo(&[
            "test", "--locked", "--workspace", "--no-fail-fast", "--color", "never", "--lib",
            "--bins", "--tests",
        ])
    };
    counted(&mut command)
}

/// Runs a test runner, passes on what it says, and counts.
fn counted(command: &mut Command) -> Result<Counts> {
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // Closes our own ends of the pipe, so that reading ends with the runner.
    *command = Command::new("true");
    let mut counts = Counts::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts += counts::in_line(&line);
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        bail!("the tests ended with {status}");
    }
    ensure!(counts.passed + counts.failed > 0, "no test ran");
    Ok(counts)
}

fn clear_evidence() -> Result<()> {
    let folder = keyward_testkit::evidence::root();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Looks for every canary in everything that the end-to-end tests left behind.
fn sweep() -> Result<Counts> {
    let swept = keyward_testkit::evidence::sweep_all()?;
    for finding in &swept.findings {
        eprintln!("leak: {finding}");
    }
    println!("{} files, {} bytes, {} canaries", swept.files, swept.bytes, swept.canaries);
    ensure!(swept.files > 0 && swept.canaries > 0, "the tests left nothing to sweep");
    Ok(Counts { passed: usize::from(swept.findings.is_empty()), failed: swept.findings.len() })
}
