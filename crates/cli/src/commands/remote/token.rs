//! `keyward token`: API tokens, which act as their maker.

use super::client::{Body, Client, segment};
use super::table;
use crate::logging;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token; standard output holds it and nothing else, and no one shows it again.
    Create {
        /// What people know it by.
        name: String,
        /// What it may do at most; without it, all that you may.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it stops working (RFC 3339); without it, never.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// List tokens.
    List,
    /// End a token at once.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::Create { name, scopes, expires_at } => {
            let made =
                client.send("POST", "/tokens", new_token(&name, &scopes, expires_at)).await?;
            if client.json {
                table::print_json(&made);
                return Ok(());
            }
            logging::say(&format!("made {}; it is shown this once", table::cell(&made, "/id")));
            logging::print(&table::cell(&made, "/token"));
        }
        Command::List => {
            let items = client.all("/tokens", &[]).await?;
            let columns = [
                ("ID", "/id"),
                ("NAME", "/name"),
                ("SCOPES", "/scopes"),
                ("EXPIRES", "/expires_at"),
                ("CREATED", "/created_at"),
            ];
            client.print_list(&items, &columns);
        }
        Command::Revoke { id } => {
            client.send("DELETE", &format!("/tokens/{}", segment(&id)), Body::default()).await?;
            if !client.json {
                logging::print(&format!("revoked {id}"));
            }
        }
    }
    Ok(())
}

fn new_token(name: &str, scopes: &[String], expires_at: Option<String>) -> Body {
    let mut body = json!({ "name": name });
    if let Value::Object(members) = &mut body {
        if !scopes.is_empty() {
            members.insert("scopes".into(), json!(scopes));
        }
        if let Some(at) = expires_at {
            members.insert("expires_at".into(), at.into());
        }
    }
    Body::json(&body)
}
