//! `cargo xtask run`: builds Keyward and becomes it, so that signals, output and exit status are
//! the server's own. The development profile is used, for its shorter first build; `--release`
//! takes the fast one.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace;

/// Starts `keyward serve --example`; arguments but for `--release` go to it.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (ours, serve): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| *argument == "--release");
    let binary = workspace::build_keyward(!ours.is_empty())?;
    let error = serve_command(binary, &serve).exec();
    Err(error).context("cannot start the server")
}

/// The data directory is `./keyward-data`, the server's own default, unless an argument says so.
fn serve_command(binary: PathBuf, arguments: &[&String]) -> Command {
    let mut command = Command::new(binary);
    command.args(["serve", "--example"]).args(arguments);
    command
}
