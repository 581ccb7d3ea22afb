//! `cargo xtask`: everything that is not `cargo build`, one file per command.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool whose output is what it prints"
)]

mod bench;
mod build;
mod codegen;
mod deps;
mod run;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

struct Command {
    name: &'static str,
    options: &'static str,
    summary: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        options: "[--release] [--data-dir DIR] [serve options]",
        summary: "Build Keyward and start it with the example workspace (default: ./keyward-data)",
        run: run::run,
    },
    Command {
        name: "test",
        options: "[part ...]",
        summary: "Check everything, as CI does; or only the parts named",
        run: test::run,
    },
    Command {
        name: "build",
        options: "",
        summary: "Build the release binary at target/release/keyward",
        run: build::run,
    },
    Command {
        name: "tidy",
        options: "",
        summary: "Check the house rules: imports, lengths, headers, paths in the docs, words",
        run: tidy::run,
    },
    Command {
        name: "deps",
        options: "",
        summary: "Check licences, sources and duplicates of the dependencies",
        run: deps::run,
    },
    Command {
        name: "codegen",
        options: "[--check]",
        summary: "Write the generated files again, or only compare them",
        run: codegen::run,
    },
    Command {
        name: "bench",
        options: "[finding | [--seconds N] [--write]]",
        summary: "Measure requests/s, latency, time to ready and memory (--write updates the docs); \
            or lists of 100,000 credentials",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{}", help());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("there is no command `{name}`\n\n{}", help());
        return ExitCode::from(2);
    };
    (command.run)(rest).unwrap_or_else(|error| {
        eprintln!("cargo xtask {name}: {error:#}");
        ExitCode::FAILURE
    })
}

fn help() -> String {
    let mut text = "usage: cargo xtask <command>\n\n".to_owned();
    for command in COMMANDS {
        let usage = format!("{} {}", command.name, command.options);
        text += &format!("  {}\n      {}\n", usage.trim_end(), command.summary);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, help};

    #[test]
    fn help_names_every_command_once() {
        let help = help();
        for command in COMMANDS {
            let named = |line: &&str| line.trim_start().split(' ').next() == Some(command.name);
            let usage = help.lines().filter(|line| !line.starts_with("   ")).filter(named);
            assert_eq!(usage.count(), 1, "{}", command.name);
        }
    }
}
