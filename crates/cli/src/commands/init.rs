//! `keyward init`: the owner and the first workspace, before the first `serve` or beside it.

use crate::config::{Config, Init};
use crate::logging;
use anyhow::Context as _;
use keyward_api::{NewOwner, SetUpError, check_owner, create_owner, has_owner};
use keyward_model::json::Fault;
use keyward_vault::Incoming;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Makes owner and workspace; refuses where an owner exists.
pub(crate) async fn run(config: &Config, init: Init) -> anyhow::Result<()> {
    let password = std::fs::read_to_string(&init.password_file)
        .with_context(|| format!("the password file {}", init.password_file.display()))?;
    let password = password.trim_end_matches(['\r', '\n']);
    let (email, workspace) = check_owner(&init.email, &init.workspace, Some(password.len()))
        .map_err(|faults| anyhow::anyhow!(said(&faults)))?;
    let vault = super::open(config).await?;
    if has_owner(&vault).await? {
        return Err(SetUpError::OwnerExists.into());
    }
    // Opened first: an owner whose token could not be written would be locked out.
    let file = init.token_file.as_deref().map(open_token_file).transpose()?;
    let password = Some(Incoming::new(password.to_owned()));
    let owner = NewOwner { email, workspace: workspace.clone(), password };
    let token = create_owner(&vault, owner).await?;
    if let Some(mut file) = file {
        file.set_len(0)?;
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

/// The file for the token, for its owner alone also where it was there before.
fn open_token_file(path: &Path) -> anyhow::Result<File> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.with_context(|| format!("the token file {}", path.display()))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The faults as options of the command line.
fn said(faults: &[Fault]) -> String {
    let one = |fault: &Fault| match fault.pointer.as_str() {
        "/password" => format!("the password in --password-file {}", fault.detail),
        place => format!("--{} {}", place.trim_start_matches('/'), fault.detail),
    };
    faults.iter().map(one).collect::<Vec<_>>().join("; ")
}
