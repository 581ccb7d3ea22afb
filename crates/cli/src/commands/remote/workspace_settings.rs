//! `keyward settings`: what the workspace's owners decide for all of it.

use super::client::{Body, Client};
use super::table;
use crate::logging;
use clap::Subcommand;
use serde_json::{Map, Value};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the workspace's settings.
    Get,
    /// Change some of them.
    Set {
        /// Such as retention_days=14 or sharing=false; null for none.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = assignment)]
        settings: Vec<(String, Value)>,
    },
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    let settings = match command {
        Command::Get => client.get("/settings", &[]).await?,
        Command::Set { settings } => {
            let body: Map<String, Value> = settings.into_iter().collect();
            client.send("PATCH", "/settings", Body::json(&Value::Object(body))).await?
        }
    };
    if client.json {
        table::print_json(&settings);
        return Ok(());
    }
    let names = settings.as_object().into_iter().flat_map(Map::keys);
    let width = names.clone().map(String::len).max().unwrap_or(0);
    for name in names {
        let value = table::cell(&settings, &format!("/{name}"));
        logging::print(&format!("{name:<width$}  {value}"));
    }
    Ok(())
}

/// `name=value`: numbers, true, false and null as such, everything else as text.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    let plain = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    let read = serde_json::from_str(value).ok().filter(plain);
    Ok((name.to_owned(), read.unwrap_or_else(|| value.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_numbers_words_and_nothing() {
        let check = |text: &str, expected: Option<(&str, Value)>| {
            let expected = expected.map(|(name, value)| (name.to_owned(), value));
            assert_eq!(assignment(text).ok(), expected, "{text}");
        };
        check("grace_days=7", Some(("grace_days", json!(7))));
        check("sharing=false", Some(("sharing", json!(false))));
        check("audit_retention_days=null", Some(("audit_retention_days", Value::Null)));
        check("expose=off", Some(("expose", json!("off"))));
        check("x=", Some(("x", json!(""))));
        check("x=[1]", Some(("x", json!("[1]"))));
        check("sharing", None);
    }
}
