//! `cargo xtask codegen`: files that are made from the code, committed, and compared in every check.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail, ensure};

use crate::workspace;

/// A committed file and the command of `keyward` that prints it.
struct Generated {
    path: &'static str,
    command: &'static [&'static str],
}

const GENERATED: &[Generated] = &[Generated { path: "openapi.json", command: &["openapi"] }];

/// Writes the generated files; with `--check`, fails where one differs.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => bail!("the only option is --check"),
    };
    let binary = workspace::build_keyward(false)?;
    let mut stale = 0;
    for generated in GENERATED {
        let text = print(&binary, generated)?;
        let path = workspace::root().join(generated.path);
        let same = std::fs::read(&path).is_ok_and(|committed| committed == text);
        match (same, check) {
            (true, _) => println!("{} is current", generated.path),
            (false, true) => {
                stale += 1;
                eprintln!("{} is not current: run `cargo xtask codegen`", generated.path);
            }
            (false, false) => {
                std::fs::write(&path, text)?;
                println!("{} written", generated.path);
            }
        }
    }
    Ok(if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(binary: &Path, generated: &Generated) -> Result<Vec<u8>> {
    let mut text = workspace::output(Command::new(binary).args(generated.command))?;
    ensure!(!text.is_empty(), "`keyward {}` printed nothing", generated.command.join(" "));
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    Ok(text)
}
