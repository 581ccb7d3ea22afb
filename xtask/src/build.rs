//! `cargo xtask build`: the release binary.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace;

/// Builds `target/release/keyward`.
pub(crate) fn run(_: &[String]) -> Result<ExitCode> {
    let binary = workspace::build_keyward(true)?;
    let megabytes = std::fs::metadata(&binary)?.len() / 1_000_000;
    println!("{} ({megabytes} MB)", binary.display());
    Ok(ExitCode::SUCCESS)
}
