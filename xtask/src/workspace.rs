//! Where things lie in this checkout, and how other programs are started from it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The checkout's root folder.
pub(crate) fn root() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir)
}

/// Cargo's output folder: this very program lies in it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let marked = this.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    Ok(marked.context("this program does not lie in Cargo's target folder")?.to_owned())
}

/// The cargo that runs us, started in the root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with our own terminal and fails where it fails.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    ensure!(status.success(), "{} ended with {status}", shown(command));
    Ok(())
}

/// Runs a command and gives its standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}:\n{}", shown(command), output.status, message.trim_end());
    }
    Ok(output.stdout)
}

/// `cargo metadata` with the given further arguments.
pub(crate) fn metadata(arguments: &[&str]) -> Result<Value> {
    let mut command = cargo(&["metadata", "--format-version", "1"]);
    let json = output(command.args(arguments))?;
    serde_json::from_slice(&json).context("cargo metadata gave no JSON")
}

/// The members of an array in `cargo metadata`'s answer; none where there is no array.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// A string in `cargo metadata`'s answer; empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Builds the `keyward` binary and gives its path.
pub(crate) fn build_keyward(release: bool) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--quiet", "--locked", "-p", "keyward-cli"]);
    if release {
        command.arg("--release");
    }
    must(&mut command)?;
    Ok(target_dir()?.join(if release { "release" } else { "debug" }).join("keyward"))
}

/// Builds an example of the command-line crate in release; gives its path.
pub(crate) fn build_example(name: &str) -> Result<PathBuf> {
    let arguments = ["build", "--quiet", "--locked", "--release", "-p", "keyward-cli"];
    must(cargo(&arguments).args(["--example", name]))?;
    Ok(target_dir()?.join("release/examples").join(name))
}

fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<String> = std::iter::once(program).chain(arguments).collect();
    format!("`{}`", words.join(" "))
}
