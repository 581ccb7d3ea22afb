//! `keyward member`: who is in the workspace, and as what.

use super::client::{Body, Client, segment};
use super::table;
use crate::logging;
use clap::Subcommand;
use serde_json::json;

// `--role` names the parts that a node plays, so a member's role is given by place.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List members, service accounts among them.
    List {
        /// Those who left, too.
        #[arg(long)]
        left: bool,
    },
    /// Invite somebody; standard output holds the link and nothing else. No mail is sent.
    Invite {
        /// Whom it is for.
        email: String,
        /// `owner`, `admin`, `editor`, `operator` or `viewer`.
        #[arg(value_name = "ROLE")]
        given: String,
    },
    /// Make a service account, which acts by tokens alone.
    Service {
        /// What people know it by.
        name: String,
        /// `admin`, `editor`, `operator` or `viewer`.
        #[arg(value_name = "ROLE")]
        given: String,
    },
    /// Give a member another role; their sessions end.
    Role {
        /// Id or e-mail address.
        member: String,
        /// The new role.
        #[arg(value_name = "ROLE")]
        given: String,
    },
    /// Remove a member; their tokens end at once.
    Remove {
        /// Id or e-mail address.
        member: String,
    },
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::List { left } => list(client, left).await,
        Command::Invite { email, given } => invite(client, &email, &given).await,
        Command::Service { name, given } => {
            let body = json!({ "kind": "service", "name": name, "role": given });
            let made = client.send("POST", "/members", Body::json(&body)).await?;
            match client.json {
                true => table::print_json(&made),
                false => logging::print(&format!("made {}", table::cell(&made, "/id"))),
            }
            Ok(())
        }
        Command::Role { member, given } => {
            let path = path_of(client, &member).await?;
            let body = Body::json(&json!({ "role": given }));
            let changed = client.send("PATCH", &path, body).await?;
            match client.json {
                true => table::print_json(&changed),
                false => {
                    let role = table::cell(&changed, "/role");
                    logging::print(&format!("{} is now {role}", table::plain(&member)));
                }
            }
            Ok(())
        }
        Command::Remove { member } => {
            let path = path_of(client, &member).await?;
            client.send("DELETE", &path, Body::default()).await?;
            if !client.json {
                logging::print(&format!("removed {}", table::plain(&member)));
            }
            Ok(())
        }
    }
}

async fn list(client: &Client, left: bool) -> anyhow::Result<()> {
    let query: &[(&str, &str)] = if left { &[("left", "true")] } else { &[] };
    let items = client.all("/members", query).await?;
    let mut columns = vec![
        ("ID", "/id"),
        ("EMAIL", "/email"),
        ("NAME", "/name"),
        ("KIND", "/kind"),
        ("ROLE", "/role"),
        ("SINCE", "/created_at"),
    ];
    if left {
        columns.push(("LEFT", "/left_at"));
    }
    client.print_list(&items, &columns);
    Ok(())
}

async fn invite(client: &Client, email: &str, role: &str) -> anyhow::Result<()> {
    let body = json!({ "email": email, "role": role });
    let made = client.send("POST", "/invitations", Body::json(&body)).await?;
    if client.json {
        table::print_json(&made);
        return Ok(());
    }
    let until = table::cell(&made, "/expires_at");
    logging::say(&format!("send this link; it works once, until {until}, and is shown this once"));
    logging::print(&table::cell(&made, "/url"));
    Ok(())
}

/// The path of a member by id or e-mail address.
async fn path_of(client: &Client, member: &str) -> anyhow::Result<String> {
    Ok(format!("/members/{}", segment(&id_of(client, member).await?)))
}

/// A member's id, by id or e-mail address.
pub(super) async fn id_of(client: &Client, member: &str) -> anyhow::Result<String> {
    if !member.contains('@') {
        return Ok(member.to_owned());
    }
    let items = client.all("/members", &[]).await?;
    let address = member.to_lowercase();
    let named = items.iter().filter(|item| table::cell(item, "/email") == address);
    match table::only_id(named)? {
        Some(id) => Ok(id),
        None => anyhow::bail!("no member has that e-mail address"),
    }
}
