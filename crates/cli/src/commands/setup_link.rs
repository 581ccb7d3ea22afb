//! `keyward setup-link`: a new link for making the owner in a browser.

use crate::config::Config;
use crate::logging;

/// Prints the link; the one before stops working.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let vault = super::open(config).await?;
    anyhow::ensure!(!keyward_api::has_owner(&vault).await?, "an owner exists already");
    let token = keyward_api::new_set_up_token(&vault).await?;
    let url = config.public_url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
    let url = url.trim_end_matches('/');
    let link = format!("{url}/setup#token={}", token.reveal());
    logging::print(&match config.json {
        true => serde_json::json!({ "url": link }).to_string(),
        false => link,
    });
    Ok(())
}
