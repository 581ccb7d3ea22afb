//! `keyward session`: the browsers that you are signed in with.

use super::client::{Body, Client, segment};
use super::table;
use crate::logging;
use clap::Subcommand;
use serde_json::Value;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List your sessions.
    List,
    /// End one of your sessions at once.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::List => {
            let path = "/sessions?limit=200";
            let mut page = client.send_to_server("GET", path, Body::default()).await?;
            let items = match page.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            };
            let columns = [
                ("ID", "/id"),
                ("ADDRESS", "/address"),
                ("BROWSER", "/user_agent"),
                ("SINCE", "/created_at"),
                ("SEEN", "/seen_at"),
            ];
            client.print_list(&items, &columns);
        }
        Command::Revoke { id } => {
            let path = format!("/sessions/{}", segment(&id));
            client.send_to_server("DELETE", &path, Body::default()).await?;
            if !client.json {
                logging::print(&format!("ended {}", table::plain(&id)));
            }
        }
    }
    Ok(())
}
