//! `keyward login`: keeps a server's URL and an API token.

use super::client::Client;
use super::settings::{self, Settings};
use super::{prompt, secret};
use crate::config::Config;
use crate::logging;
use std::os::fd::AsFd as _;
use zeroize::Zeroizing;

/// Asks for URL and token, or reads a line each, tries them, and keeps them.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let (url, token) = match prompt::is_terminal() {
        true => (prompt::shown("URL")?, prompt::hidden("API token")?),
        false => {
            let stdin = std::io::stdin();
            let url = secret::read_line(stdin.as_fd())?;
            (url.to_string(), secret::read_line(stdin.as_fd())?)
        }
    };
    let url = url.trim().trim_end_matches('/').to_owned();
    let token = Zeroizing::new(token.trim().to_owned());
    anyhow::ensure!(!url.is_empty(), "the URL is empty");
    anyhow::ensure!(!token.is_empty(), "the token is empty");
    let workspace = settings::workspace();
    let kept = Settings { url: url.clone(), token: token.clone(), workspace: workspace.clone() };
    let client = Client::new(Settings { url, token, workspace }, config)?;
    client.get("/workflows", &[("limit", "1")]).await?;
    let path = settings::path()?;
    settings::write(&path, &kept)?;
    if is_open(&kept.url) {
        logging::say("the server is reached without TLS: whoever is on the way can read the token");
    }
    let message = format!("logged in to {}, workspace {}", kept.url, client.workspace());
    match client.json {
        true => super::table::print_json(&serde_json::json!({
            "url": kept.url, "workspace": kept.workspace, "file": path.display().to_string(),
        })),
        false => logging::print(&message),
    }
    Ok(())
}

/// Plain http to another machine.
fn is_open(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_local
}

#[cfg(test)]
mod tests {
    #[test]
    fn plain_http_to_others_is_told() {
        let check = |url: &str, open: bool| assert_eq!(super::is_open(url), open, "{url}");
        check("http://127.0.0.1:7411", false);
        check("http://localhost", false);
        check("http://[::1]:7411", false);
        check("https://keyward.example.com", false);
        check("http://keyward.example.com", true);
        check("http://10.0.0.5:7411", true);
    }
}
