//! The command line as a client of the HTTP API: credentials, workflows, runs and tokens.

mod app;
mod client;
mod credential;
mod login;
mod member;
mod prompt;
mod review;
mod run;
mod secret;
mod session;
mod settings;
mod table;
mod token;
mod workflow;
mod workspace_settings;

use crate::config::Config;
use clap::Subcommand;
use client::Client;

// Flattened into the commands, so a doc comment here would become the program's own description.
#[derive(Subcommand)]
pub(crate) enum Remote {
    /// Keep a server's URL and an API token for the commands below.
    ///
    /// Both are asked for, or read from standard input, one line each. The environment's
    /// KEYWARD_URL, KEYWARD_TOKEN and KEYWARD_WORKSPACE go before what is kept.
    Login,
    /// Credentials: made, listed, replaced, deleted. No command shows a value.
    #[command(subcommand)]
    Credential(credential::Command),
    /// Review access: credentials that are unused, old, shared or bound too widely, and what mends each.
    Review(review::Review),
    /// Workflows: applied from files, listed, run.
    #[command(subcommand)]
    Workflow(workflow::Command),
    /// Apps: what steps can act on; the workspace's own are added, replaced and deleted.
    #[command(subcommand)]
    App(app::Command),
    /// Runs: what happened, and what happens now.
    #[command(subcommand)]
    Run(run::Command),
    /// API tokens, which act as you or as a service account.
    #[command(subcommand)]
    Token(token::Command),
    /// Members: who is in the workspace, and as what.
    #[command(subcommand)]
    Member(member::Command),
    /// Settings: what the workspace's owners decide for all of it.
    #[command(subcommand)]
    Settings(workspace_settings::Command),
    /// Sessions: the browsers that you are signed in with.
    #[command(subcommand)]
    Session(session::Command),
}

/// Runs a command against the server.
pub(crate) async fn run(remote: Remote, config: &Config) -> anyhow::Result<()> {
    let connect = || Client::new(settings::read()?, config);
    match remote {
        Remote::Login => login::run(config).await,
        Remote::Credential(command) => credential::run(command, &connect()?).await,
        Remote::Review(review) => review::run(review, &connect()?).await,
        Remote::Workflow(command) => workflow::run(command, &connect()?).await,
        Remote::App(command) => app::run(command, &connect()?).await,
        Remote::Run(command) => run::run(command, &connect()?).await,
        Remote::Token(command) => token::run(command, &connect()?).await,
        Remote::Member(command) => member::run(command, &connect()?).await,
        Remote::Settings(command) => workspace_settings::run(command, &connect()?).await,
        Remote::Session(command) => session::run(command, &connect()?).await,
    }
}
