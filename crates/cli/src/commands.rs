//! The commands, one file each.

mod audit;
mod doctor;
mod example;
mod init;
mod key;
pub(crate) mod remote;
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
            logging::print(&format!("keyward {}", env!("CARGO_PKG_VERSION")));
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
            Command::Audit(config::Audit::Verify) => audit::verify(&config).await,
            Command::Remote(remote) => remote::run(remote).await,
            Command::Version | Command::Openapi => Ok(()),
        }
    })
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
