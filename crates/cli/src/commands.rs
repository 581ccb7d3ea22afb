//! The commands, one file each.

mod audit;
mod backup;
mod doctor;
mod example;
mod init;
mod key;
mod record;
pub(crate) mod remote;
mod restore;
mod serve;
mod setup_link;

use crate::config::{self, Cli, Command, Config};
use crate::{home, logging};
use anyhow::Context as _;
use keyward_vault::Vault;

/// Runs a command on a runtime of its own.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    let command = match cli.command {
        Command::Version => {
            print_version(cli.options.json);
            return Ok(());
        }
        Command::Openapi => return openapi(),
        command => command,
    };
    let config = cli.options.resolve()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Serve(serve) => serve::run(config, serve).await,
            Command::Init(init) => init::run(&config, init).await,
            Command::SetupLink => setup_link::run(&config).await,
            Command::Doctor => doctor::run(&config).await,
            Command::Key(config::Key::Status) => key::status(&config).await,
            Command::Key(config::Key::Rotate(rotate)) => key::rotate(&config, rotate).await,
            Command::Backup(backup) => backup::run(&config, &backup).await,
            Command::Restore(restore) => restore::run(&config, restore).await,
            Command::Audit(command) => audit::run(&config, command).await,
            Command::Remote(remote) => remote::run(remote, &config).await,
            Command::Version | Command::Openapi => Ok(()),
        }
    })
}

fn print_version(json: bool) {
    let version = env!("CARGO_PKG_VERSION");
    logging::print(&match json {
        true => serde_json::json!({ "version": version }).to_string(),
        false => format!("keyward {version}"),
    });
}

fn openapi() -> anyhow::Result<()> {
    logging::print(&serde_json::to_string_pretty(&keyward_api::openapi_document())?);
    Ok(())
}

/// Opens an installation for a command that works beside a running server or without one.
async fn open(config: &Config) -> anyhow::Result<Vault> {
    home::make_directories(config)?;
    let store = home::open_store(config)?;
    home::unlock(config, store, home::egress(config, None)?).await
}

/// Opens an installation that must be there already.
async fn open_existing(config: &Config) -> anyhow::Result<Vault> {
    anyhow::ensure!(
        has_database(config),
        "there is no database in {}: is --data-dir right?",
        home::database_directory(config).display()
    );
    open(config).await
}

/// Whether there is a database to ask. One elsewhere is taken to be there.
fn has_database(config: &Config) -> bool {
    let file = home::database_directory(config).join("keyward.sqlite");
    config.database_url.is_some() || file.exists()
}
