//! `keyward token`: API tokens, which act as their maker.

use super::client::{Body, Client, segment};
use super::table;
use crate::logging;
use clap::Subcommand;
use keyward_model::clock::Timestamp;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token; standard output holds it and nothing else, and no one shows it again.
    Create {
        /// What people know it by.
        name: String,
        /// What it may do at most; without it, all that you may.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// When it stops working: a time (RFC 3339), or days or hours from now, such as `30d` or
        /// `12h`; without it, never.
        #[arg(long, alias = "expires-at", value_name = "TIME")]
        expires: Option<String>,
        /// The service account that it acts as, by id; without it, you.
        #[arg(long)]
        member: Option<String>,
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
        Command::Create { name, scopes, expires, member } => {
            let expires_at = expires.map(|text| end(&text, now()));
            let body = new_token(&name, &scopes, expires_at, member);
            let made = client.send("POST", "/tokens", body).await?;
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

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Days or hours from now as a time; anything else goes to the server as it is.
fn end(text: &str, now: Timestamp) -> String {
    const HOUR: i64 = 60 * 60 * 1000;
    let count = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let days = count('d').map(|days| i64::from(days).saturating_mul(24 * HOUR));
    let hours = count('h').map(|hours| i64::from(hours).saturating_mul(HOUR));
    match days.or(hours) {
        Some(millis) => now.plus_millis(millis).to_string(),
        None => text.to_owned(),
    }
}

fn new_token(
    name: &str,
    scopes: &[String],
    expires_at: Option<String>,
    member: Option<String>,
) -> Body {
    let mut body = json!({ "name": name });
    if let Value::Object(members) = &mut body {
        if !scopes.is_empty() {
            members.insert("scopes".into(), json!(scopes));
        }
        if let Some(at) = expires_at {
            members.insert("expires_at".into(), at.into());
        }
        if let Some(member) = member {
            members.insert("member".into(), member.into());
        }
    }
    Body::json(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_may_be_said_from_now() {
        let check = |text: &str, expected: &str| {
            assert_eq!(end(text, Timestamp::from_millis(0)), expected, "{text}");
        };
        check("2d", "1970-01-03T00:00:00.000Z");
        check("12h", "1970-01-01T12:00:00.000Z");
        check("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z");
        check("-2d", "-2d");
        check("d", "d");
    }
}
