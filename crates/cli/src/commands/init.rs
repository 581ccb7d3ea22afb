//! `keyward init`: the owner and the first workspace, before the first `serve` or beside it.

use crate::config::{Config, Init};
use crate::logging;
use anyhow::Context as _;
use keyward_api::{NewOwner, create_owner};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

/// Makes owner and workspace; refuses where an owner exists.
pub(crate) async fn run(config: &Config, init: Init) -> anyhow::Result<()> {
    let password = std::fs::read_to_string(&init.password_file)
        .with_context(|| format!("the password file {}", init.password_file.display()))?;
    let vault = super::open(config).await?;
    let password_hash = vault.hash_password(password.trim_end_matches(['\r', '\n'])).await?;
    let workspace = init.workspace.clone();
    let owner = NewOwner { email: init.email, workspace: init.workspace, password_hash };
    let token = create_owner(&vault, owner).await?;
    if let Some(path) = &init.token_file {
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file =
            options.open(path).with_context(|| format!("the token file {}", path.display()))?;
        writeln!(file, "{}", token.reveal())?;
    }
    vault.store().close().await;
    if config.json {
        let token_file = init.token_file.map(|path| path.display().to_string());
        let made = serde_json::json!({ "workspace": workspace, "token_file": token_file });
        logging::print(&made.to_string());
        return Ok(());
    }
    if let Some(path) = &init.token_file {
        logging::print(&format!("token written to {}", path.display()));
    }
    logging::print(&format!("owner and workspace \"{workspace}\" made"));
    Ok(())
}
