//! `keyward app`: apps that steps act on, and the workspace's own among them.

use super::client::{Body, Client, Refused, segment};
use super::{secret, table};
use crate::logging;
use clap::{Args, Subcommand};
use keyward_model::json;
use keyward_model::workflow::yaml;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the apps that the workspace knows.
    List,
    /// Print an app's manifest.
    Get {
        /// Its id.
        id: String,
    },
    /// Add an app of the workspace's own, or replace the one of the same id.
    Apply {
        /// The manifest, YAML or JSON; `-` is standard input.
        file: PathBuf,
    },
    /// Add an app made of an OpenAPI description (3.0 or 3.1).
    ImportOpenapi(Import),
    /// Delete one of the workspace's own apps.
    Delete {
        /// Its id.
        id: String,
        /// Delete it although credentials or workflows use it.
        #[arg(long)]
        confirm: bool,
    },
}

#[derive(Args)]
pub(crate) struct Import {
    /// The description, YAML or JSON; `-` is standard input.
    file: PathBuf,
    /// The app's id.
    #[arg(long, required_unless_present = "dry_run")]
    id: Option<String>,
    /// The app's name; without it, the description's title.
    #[arg(long)]
    name: Option<String>,
    /// An operation that becomes an action, by id; without any, all that can be taken over.
    #[arg(long = "operation", value_name = "OPERATION")]
    operations: Vec<String>,
    /// Where the service is, in place of what the description says.
    #[arg(long, value_name = "URL")]
    server_url: Option<String>,
    /// List the description's operations and save nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::List => list(client).await,
        Command::Get { id } => get(&id, client).await,
        Command::Apply { file } => apply(&file, client).await,
        Command::ImportOpenapi(import) => import_openapi(import, client).await,
        Command::Delete { id, confirm } => delete(&id, confirm, client).await,
    }
}

fn path(id: &str) -> String {
    format!("/apps/{}", segment(id))
}

async fn list(client: &Client) -> anyhow::Result<()> {
    let items = client.all("/apps", &[]).await?;
    let columns = [("ID", "/id"), ("NAME", "/name"), ("OWN", "/own"), ("HOSTS", "/hosts")];
    client.print_list(&items, &columns);
    Ok(())
}

async fn get(id: &str, client: &Client) -> anyhow::Result<()> {
    let app = client.get(&path(id), &[]).await?;
    match client.json {
        true => table::print_json(&app),
        false => table::print_json(app.get("manifest").unwrap_or(&Value::Null)),
    }
    Ok(())
}

async fn apply(file: &Path, client: &Client) -> anyhow::Result<()> {
    let text = secret::read_input(file)?;
    let (media_type, id) = manifest(file, &text);
    let there = match &id {
        Some(id) => is_there(id, client).await?,
        // Without an id it breaks a rule, and the server says which.
        None => false,
    };
    let (method, path, done) = match id.filter(|_| there) {
        Some(id) => ("PUT", path(&id), "replaced"),
        None => ("POST", "/apps".into(), "made"),
    };
    let body = Body::document(media_type, text.as_bytes().to_vec());
    let saved = client.send(method, &path, body).await?;
    print_saved(done, &saved, client);
    Ok(())
}

/// A manifest's media type, by the file's name or the first character, and the id that it says. What
/// cannot be read is sent as it is: the server says what is wrong with it.
fn manifest(file: &Path, text: &str) -> (&'static str, Option<String>) {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let is_json = match extension {
        Some("yaml" | "yml") => false,
        _ => text.trim_start().starts_with('{'),
    };
    let (media_type, parsed) = match is_json {
        true => ("application/json", json::parse(text.as_bytes())),
        false => ("application/yaml", yaml::parse(text.as_bytes())),
    };
    let id = |document: Value| document.get("id")?.as_str().map(str::to_owned);
    (media_type, parsed.ok().and_then(id))
}

async fn is_there(id: &str, client: &Client) -> anyhow::Result<bool> {
    let found = client.get(&path(id), &[]).await;
    match found.as_ref().map_err(|error| error.downcast_ref::<Refused>()) {
        Ok(_) => Ok(true),
        Err(Some(refused)) if refused.problem.get("code") == Some(&json!("not_found")) => Ok(false),
        Err(_) => found.map(|_| true),
    }
}

fn print_saved(done: &str, saved: &Value, client: &Client) {
    if client.json {
        return table::print_json(saved);
    }
    let ids = |list: &str| -> Vec<String> {
        let items = saved.get(list).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| table::cell(item, "/id")).collect()
    };
    let mut shown = saved.clone();
    if let Some(members) = shown.as_object_mut() {
        for list in ["schemes", "actions"] {
            members.insert(list.to_owned(), ids(list).into());
        }
    }
    let rows = [
        ("id", "/id"),
        ("name", "/name"),
        ("hosts", "/hosts"),
        ("schemes", "/schemes"),
        ("actions", "/actions"),
    ];
    logging::print(done);
    table::print_one(&shown, &rows);
}

async fn import_openapi(import: Import, client: &Client) -> anyhow::Result<()> {
    let text = secret::read_input(&import.file)?;
    let body = body(&import, &text);
    let imported = client.send("POST", "/apps/openapi", Body::json(&body)).await?;
    let none = Vec::new();
    let operations = imported.get("operations").and_then(Value::as_array).unwrap_or(&none);
    match imported.get("app") {
        _ if client.json => table::print_json(&imported),
        Some(app) if app.is_object() => print_saved("made", app, client),
        _ => table::print(
            operations,
            &[
                ("ID", "/id"),
                ("METHOD", "/method"),
                ("PATH", "/path"),
                ("SUPPORTED", "/supported"),
                ("REASON", "/reason/detail"),
            ],
        ),
    }
    Ok(())
}

/// What is sent of a description; what is not said is left out.
fn body(import: &Import, text: &str) -> Value {
    let mut body = json!({ "description": text, "dry_run": import.dry_run });
    let options = [
        ("id", import.id.clone().map(Value::from)),
        ("name", import.name.clone().map(Value::from)),
        ("server_url", import.server_url.clone().map(Value::from)),
        (
            "operations",
            Some(import.operations.clone().into()).filter(|_| !import.operations.is_empty()),
        ),
    ];
    if let Some(members) = body.as_object_mut() {
        let given = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        members.extend(given);
    }
    body
}

async fn delete(id: &str, confirm: bool, client: &Client) -> anyhow::Result<()> {
    let query = if confirm { "?confirm=true" } else { "" };
    client.send("DELETE", &format!("{}{query}", path(id)), Body::default()).await?;
    if !client.json {
        logging::print(&format!("deleted {}", table::plain(id)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_recognised_with_their_id() {
        let check = |file: &str, text: &str, media_type: &str, id: Option<&str>| {
            let found = manifest(Path::new(file), text);
            assert_eq!(found, (media_type, id.map(str::to_owned)), "{file} {text}");
        };
        check("a.yaml", "id: demo # a comment\n", "application/yaml", Some("demo"));
        check("a.yml", "{id: demo}", "application/yaml", Some("demo"));
        check("-", " {\"id\":\"demo\"}", "application/json", Some("demo"));
        check("a.json", "{\"id\":", "application/json", None);
        check("-", "name: Demo", "application/yaml", None);
    }

    #[test]
    fn what_is_not_said_is_not_sent() {
        let mut import = Import {
            file: "-".into(),
            id: None,
            name: None,
            operations: Vec::new(),
            server_url: None,
            dry_run: true,
        };
        assert_eq!(body(&import, "x"), json!({ "description": "x", "dry_run": true }));
        import.id = Some("demo".into());
        import.operations = vec!["a".into(), "b".into()];
        import.server_url = Some("https://a.example".into());
        import.dry_run = false;
        let expected = json!({
            "description": "x", "dry_run": false, "id": "demo", "operations": ["a", "b"],
            "server_url": "https://a.example",
        });
        assert_eq!(body(&import, "x"), expected);
    }
}
