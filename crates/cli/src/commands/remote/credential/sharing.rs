//! `keyward credential share|unshare|shares|suspend|resume|transfer`: who else may use one, and
//! whether anybody may.

use super::super::client::{Body, Client, segment};
use super::super::member;
use super::super::table;
use super::{find, show};
use crate::logging;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Give a member, or everybody, a share in a credential.
    Share {
        /// Key or id.
        credential: String,
        /// A member's id or e-mail address, or `all`.
        member: String,
        /// What they may do.
        #[arg(long, default_value = "use")]
        level: Level,
    },
    /// Take a share back.
    Unshare {
        /// Key or id.
        credential: String,
        /// A member's id or e-mail address, or `all`.
        member: String,
    },
    /// List who has a share in a credential.
    Shares {
        /// Key or id.
        credential: String,
    },
    /// Refuse every use of a credential at once, also by steps under way.
    Suspend {
        /// Key or id.
        credential: String,
        /// Why, in a few words that everybody who sees it may read.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Allow the uses of a suspended credential again.
    Resume {
        /// Key or id.
        credential: String,
    },
    /// Give a credential another owner.
    Transfer {
        /// Key or id.
        credential: String,
        /// The new owner: a member's id or e-mail address.
        member: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Level {
    /// Run and test with it.
    Use,
    /// See its configuration as well.
    View,
    /// Change it as well.
    Manage,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::View => "view",
            Self::Manage => "manage",
        }
    }
}

/// Runs one of the commands.
pub(super) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::Share { credential, member, level } => {
            let path = share(client, &credential, &member).await?;
            let body = Body::json(&json!({ "level": level.as_str() }));
            let given = client.send("PUT", &path, body).await?;
            let words = format!("{} may {} it", table::plain(&member), level.as_str());
            say(client, &given, &words);
        }
        Command::Unshare { credential, member } => {
            let path = share(client, &credential, &member).await?;
            client.send("DELETE", &path, Body::default()).await?;
            if !client.json {
                logging::print(&format!("took the share of {} back", table::plain(&member)));
            }
        }
        Command::Shares { credential } => {
            let id = find(client, &credential).await?;
            let items = client.all(&format!("/credentials/{id}/shares"), &[]).await?;
            let columns = [
                ("LEVEL", "/level"),
                ("MEMBER", "/member/id"),
                ("EMAIL", "/member/email"),
                ("NAME", "/member/name"),
                ("BY", "/by/email"),
                ("SINCE", "/at"),
            ];
            client.print_list(&items, &columns);
        }
        Command::Suspend { credential, reason } => {
            let id = find(client, &credential).await?;
            let path = format!("/credentials/{id}/suspend");
            let body = Body::json(&json!({ "reason": reason }));
            let suspended = client.send("POST", &path, body).await?;
            say(client, &suspended, &format!("suspended {id}: every use is refused"));
        }
        Command::Resume { credential } => {
            let id = find(client, &credential).await?;
            let path = format!("/credentials/{id}/resume");
            show(&client.send("POST", &path, Body::default()).await?, client.json);
        }
        Command::Transfer { credential, member } => {
            let id = find(client, &credential).await?;
            let to = member::id_of(client, &member).await?;
            let path = format!("/credentials/{id}/transfer");
            let given = client.send("POST", &path, Body::json(&json!({ "to": to }))).await?;
            say(client, &given, &format!("{id} belongs to {} now", table::plain(&member)));
        }
    }
    Ok(())
}

fn say(client: &Client, answer: &serde_json::Value, words: &str) {
    match client.json {
        true => table::print_json(answer),
        false => logging::print(words),
    }
}

/// The path of a share.
async fn share(client: &Client, credential: &str, member: &str) -> anyhow::Result<String> {
    let id = find(client, credential).await?;
    let member = match member {
        "all" => "all".to_owned(),
        member => member::id_of(client, member).await?,
    };
    Ok(format!("/credentials/{id}/shares/{}", segment(&member)))
}
