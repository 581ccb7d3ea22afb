//! The `keyward` binary: the composition root, its configuration and its commands.

mod commands;
mod config;
mod harden;
mod home;
mod logging;
mod sinks;

use clap::Parser as _;
use config::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the sandbox's zygote must hold nothing of the server's.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "sandbox") {
        keyward_sandbox::zygote_main();
    }
    harden::forbid_dumps();
    harden::tell_panics_briefly();
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::say(&format!("keyward: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
