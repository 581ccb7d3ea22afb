//! `keyward credential`: made, listed, replaced, rotated, deleted. Values go in and never come out.

mod import;
mod rotate;
mod sharing;
mod usage;
mod versions;

use super::client::{Body, Client, segment};
use super::secret::{FieldOptions, Fields, to_json};
use super::table;
use crate::logging;
use clap::{Args, Subcommand, ValueEnum};
use keyward_model::id::{CredentialId, Identifier as _};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a credential. Its secret values come from a file, standard input or a prompt.
    Create(Box<Create>),
    /// Import credentials from .env, Vault, n8n or Windmill: shows what it does, and asks.
    Import(Box<import::Import>),
    /// List credentials.
    List(List),
    /// Show a credential, without its secret values.
    Get {
        /// Key or id.
        credential: String,
    },
    /// Replace a credential's value: a new version, in use at once.
    Set {
        /// Key or id.
        credential: String,
        #[command(flatten)]
        fields: FieldOptions,
    },
    /// Rotate a credential: stage a new value, test it, promote it, and show what comes next.
    Rotate(rotate::Rotate),
    /// Ask the service whether it takes a credential's value.
    Test {
        /// Key or id.
        credential: String,
        /// A staged or an earlier version instead of the current one.
        #[arg(long, value_name = "NUMBER")]
        version: Option<i64>,
    },
    /// List the versions of a credential's value.
    Versions {
        /// Key or id.
        credential: String,
    },
    /// Return to an earlier version, within its grace period.
    Rollback {
        /// Key or id.
        credential: String,
        /// The version's number.
        version: i64,
    },
    /// Discard a staged version, or destroy an earlier one.
    Discard {
        /// Key or id.
        credential: String,
        /// The version's number.
        version: i64,
    },
    #[command(flatten)]
    Sharing(sharing::Command),
    /// Show how often a credential was used, per day and per workflow.
    Usage(usage::Usage),
    /// Say whether a workflow would get a credential, and which rule refuses if not.
    Explain(usage::Explain),
    /// Delete a credential; for 30 days it can be restored.
    Delete {
        /// Key or id.
        credential: String,
        /// Also where workflows use it.
        #[arg(long)]
        confirm: bool,
        /// Destroy its values at once: it cannot be restored.
        #[arg(long)]
        now: bool,
    },
    /// Bring a deleted credential back.
    Restore {
        /// Its id, or its key.
        credential: String,
    },
}

#[derive(Args)]
pub(crate) struct Create {
    /// The name by which steps use it, such as SLACK_BOT_TOKEN.
    key: String,
    /// The app that it is for; gives fields and hosts.
    #[arg(long)]
    app: Option<String>,
    /// The app's scheme, where it has several.
    #[arg(long)]
    scheme: Option<String>,
    /// api_key, basic, oauth2 or custom; needed without an app.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    fields: FieldOptions,
    /// A host that it may go to, such as api.example.com, *.example.com or host:port.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// A method that it may be used with.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// A path that it may go to, such as /api/*.
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// A place where it may stand: header, query, body, path or cookie.
    #[arg(long = "place", value_name = "PLACE")]
    places: Vec<String>,
    /// Only for this workflow (name or id).
    #[arg(long, conflicts_with = "personal")]
    workflow: Option<String>,
    /// Only for yourself.
    #[arg(long)]
    personal: bool,
    /// Whether code may read the value.
    #[arg(long)]
    code_access: Option<CodeAccess>,
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// Such as prod.
    #[arg(long)]
    environment: Option<String>,
    /// A tag; can be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum CodeAccess {
    /// Code gets a placeholder, which becomes the value on its way out.
    Sealed,
    /// Code gets the value.
    Readable,
}

#[derive(Args)]
pub(crate) struct List {
    /// Only those whose key, name or description holds this text.
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Only of this app.
    #[arg(long)]
    app: Option<String>,
    /// Only of this type.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only in this status.
    #[arg(long)]
    status: Option<String>,
    /// workspace, workflow, personal or shared.
    #[arg(long)]
    scope: Option<String>,
    /// Only of this environment.
    #[arg(long)]
    environment: Option<String>,
    /// Only with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Only of this member (id, or `me`).
    #[arg(long)]
    owner: Option<String>,
}

/// The body of a new credential; what is absent is the server's to choose.
#[derive(Serialize, Clone)]
struct New<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    hosts: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    methods: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    paths: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    places: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    code_access: Option<CodeAccess>,
    fields: &'a Fields,
}

/// Runs one of the commands.
pub(crate) async fn run(command: Command, client: &Client) -> anyhow::Result<()> {
    match command {
        Command::Create(create) => make(*create, client).await,
        Command::Import(import) => import::run(*import, client).await,
        Command::List(list) => show_list(&list, client).await,
        Command::Get { credential } => {
            let id = find(client, &credential).await?;
            show(&client.get(&format!("/credentials/{id}"), &[]).await?, client.json);
            Ok(())
        }
        Command::Set { credential, fields } => set(&credential, fields, client).await,
        Command::Rotate(rotate) => rotate::run(rotate, client).await,
        Command::Test { credential, version } => {
            let id = find(client, &credential).await?;
            versions::test(&id, version, client).await
        }
        Command::Versions { credential } => {
            let id = find(client, &credential).await?;
            versions::list(&id, client).await
        }
        Command::Rollback { credential, version } => {
            let id = find(client, &credential).await?;
            versions::roll_back(&id, version, client).await
        }
        Command::Discard { credential, version } => {
            let id = find(client, &credential).await?;
            versions::discard(&id, version, client).await
        }
        Command::Sharing(command) => sharing::run(command, client).await,
        Command::Usage(asked) => usage::usage(asked, client).await,
        Command::Explain(asked) => usage::explain(asked, client).await,
        Command::Delete { credential, confirm, now } => {
            delete(&credential, confirm, now, client).await
        }
        Command::Restore { credential } => {
            let id = find_among(client, &credential, &[("deleted", "true")]).await?;
            let path = format!("/credentials/{id}/restore");
            show(&client.send("POST", &path, Body::default()).await?, client.json);
            Ok(())
        }
    }
}

async fn delete(name: &str, confirm: bool, now: bool, client: &Client) -> anyhow::Result<()> {
    let id = find(client, name).await?;
    let flags = [("confirm", confirm), ("now", now)].into_iter().filter(|(_, is)| *is);
    let query: Vec<_> = flags.map(|(flag, _)| format!("{flag}=true")).collect();
    let path = format!("/credentials/{id}?{}", query.join("&"));
    client.send("DELETE", path.trim_end_matches('?'), Body::default()).await?;
    match (client.json, now) {
        (true, _) => {}
        (false, true) => logging::print(&format!("deleted {id} and destroyed its values")),
        (false, false) => {
            let command = format!("keyward credential restore {id}");
            logging::print(&format!("deleted {id}; within 30 days, `{command}` brings it back"));
        }
    }
    Ok(())
}

async fn make(mut create: Create, client: &Client) -> anyhow::Result<()> {
    let kind = create.kind.as_deref().unwrap_or_default();
    refuse_secret_arguments(&create.fields, |name| is_secret(kind, name))?;
    if create.fields.secret.is_empty() {
        create.fields.secret = vec![usual_secret(kind).to_owned()];
    }
    let scope = match (&create.workflow, create.personal) {
        (Some(name), _) => Some(
            json!({ "kind": "workflow", "workflow": super::workflow::find(client, name).await? }),
        ),
        (None, true) => Some(json!({ "kind": "personal" })),
        (None, false) => None,
    };
    let fields = Fields::gather(create.fields, kind == "custom")?;
    let new = New {
        key: &create.key,
        app: create.app.as_deref(),
        scheme: create.scheme.as_deref(),
        kind: create.kind.as_deref(),
        scope,
        name: create.name.as_deref(),
        description: create.description.as_deref(),
        environment: create.environment.as_deref(),
        tags: &create.tags,
        hosts: &create.hosts,
        methods: &create.methods,
        paths: &create.paths,
        places: &create.places,
        code_access: create.code_access,
        fields: &fields,
    };
    // The rest's size: as if it had been written without the values.
    let rest = serde_json::to_string(&New { fields: &Fields::default(), ..new.clone() })?.len();
    let body = Body::hidden(to_json(&new, &fields, rest)?);
    let made = client.send("POST", "/credentials", body).await?;
    show(&made, client.json);
    Ok(())
}

async fn set(name: &str, options: FieldOptions, client: &Client) -> anyhow::Result<()> {
    let id = find(client, name).await?;
    let body = new_value(&id, options, client).await?;
    let changed = client.send("PUT", &format!("/credentials/{id}/value"), body).await?;
    match client.json {
        true => table::print_json(&changed),
        false => logging::print(&format!(
            "replaced the value of {id}: version {}",
            table::cell(&changed, "/version")
        )),
    }
    Ok(())
}

/// The body with a new value for a credential: where no secret field is named, all are read.
async fn new_value(id: &str, mut options: FieldOptions, client: &Client) -> anyhow::Result<Body> {
    let before = client.get(&format!("/credentials/{id}"), &[]).await?;
    let is_secret =
        |name: &str| before.pointer(&format!("/fields/{name}/secret")) == Some(&Value::Bool(true));
    refuse_secret_arguments(&options, is_secret)?;
    if options.secret.is_empty() {
        let fields = before.get("fields").and_then(Value::as_object);
        let names = fields.into_iter().flat_map(|fields| fields.keys());
        options.secret = names.filter(|name| is_secret(name)).cloned().collect();
    }
    let custom = before.get("type").and_then(Value::as_str) == Some("custom");
    let fields = Fields::gather(options, custom)?;
    #[derive(Serialize)]
    struct Overwrite<'a> {
        fields: &'a Fields,
    }
    Ok(Body::hidden(to_json(&Overwrite { fields: &fields }, &fields, 64)?))
}

/// Arguments are seen by every process of the machine and kept in shells' histories.
fn refuse_secret_arguments(
    options: &FieldOptions,
    is_secret: impl Fn(&str) -> bool,
) -> anyhow::Result<()> {
    match options.plain.iter().find(|(name, _)| is_secret(name)) {
        Some((name, _)) => anyhow::bail!(
            "the field {name} is secret and does not go into an argument: use --secret-field {name} with --value-file, standard input or the prompt"
        ),
        None => Ok(()),
    }
}

/// What is secret in the types' own fields. `value` is it in every app's, too.
fn is_secret(kind: &str, name: &str) -> bool {
    match kind {
        "basic" => name == "password",
        "oauth2" => matches!(name, "client_secret" | "refresh_token"),
        "custom" => false,
        _ => name == "value",
    }
}

fn usual_secret(kind: &str) -> &'static str {
    match kind {
        "basic" => "password",
        "oauth2" => "client_secret",
        _ => "value",
    }
}

async fn show_list(list: &List, client: &Client) -> anyhow::Result<()> {
    let filters = [
        ("q", &list.q),
        ("app", &list.app),
        ("type", &list.kind),
        ("status", &list.status),
        ("scope", &list.scope),
        ("environment", &list.environment),
        ("tag", &list.tag),
        ("owner", &list.owner),
    ];
    let query: Vec<(&str, &str)> =
        filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let items = client.all("/credentials", &query).await?;
    let columns = [
        ("KEY", "/key"),
        ("TYPE", "/type"),
        ("SCOPE", "/scope/kind"),
        ("STATUS", "/status"),
        ("HOSTS", "/hosts"),
        ("LAST USED", "/last_used_at"),
        ("ID", "/id"),
    ];
    client.print_list(&items, &columns);
    Ok(())
}

fn show(credential: &Value, json: bool) {
    if json {
        return table::print_json(credential);
    }
    let rows = [
        ("key", "/key"),
        ("id", "/id"),
        ("name", "/name"),
        ("description", "/description"),
        ("type", "/type"),
        ("app", "/app"),
        ("scope", "/scope/kind"),
        ("workflow", "/scope/workflow"),
        ("environment", "/environment"),
        ("tags", "/tags"),
        ("hosts", "/hosts"),
        ("methods", "/methods"),
        ("paths", "/paths"),
        ("places", "/places"),
        ("code access", "/code_access"),
        ("version", "/version"),
        ("status", "/status"),
        ("reason", "/status_reason"),
        ("owner", "/owner/email"),
        ("created", "/created_at"),
        ("last used", "/last_used_at"),
    ];
    let told = |(_, pointer): &&(&str, &str)| table::cell(credential, pointer) != "-";
    let rows: Vec<_> = rows.iter().filter(told).copied().collect();
    table::print_one(credential, &rows);
    for (name, field) in credential.get("fields").and_then(Value::as_object).into_iter().flatten() {
        let value = match field.get("secret").and_then(Value::as_bool) {
            Some(false) => table::cell(field, "/value"),
            _ => "(secret)".into(),
        };
        logging::print(&format!("field {}: {value}", table::plain(name)));
    }
    for warning in credential.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        let (pointer, detail) = (table::cell(warning, "/pointer"), table::cell(warning, "/detail"));
        logging::say(&format!("warning: {pointer}: {detail}"));
    }
}

/// The id of a credential that is named by its id or its key.
pub(crate) async fn find(client: &Client, name: &str) -> anyhow::Result<String> {
    find_among(client, name, &[]).await
}

/// The same among those that a filter gives.
async fn find_among(
    client: &Client,
    name: &str,
    filter: &[(&str, &str)],
) -> anyhow::Result<String> {
    if CredentialId::parse(name).is_ok() {
        return Ok(segment(name));
    }
    let items = client.all("/credentials", &[&[("q", name)], filter].concat()).await?;
    let same = items.iter().filter(|item| item.get("key").and_then(Value::as_str) == Some(name));
    table::only_id(same)?
        .ok_or_else(|| anyhow::anyhow!("there is no credential {name}, or you may not see it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_fields_are_kept_out_of_arguments() {
        let check = |kind: &str, field: &str, refused: bool| {
            let plain = vec![(field.to_owned(), "x".to_owned())];
            let options = FieldOptions { plain, secret: Vec::new(), value_file: Vec::new() };
            let error = refuse_secret_arguments(&options, |name| is_secret(kind, name)).err();
            assert_eq!(error.is_some(), refused, "{kind} {field}");
            assert!(error.is_none_or(|error| error.to_string().contains("--secret-field")));
        };
        check("api_key", "value", true);
        check("api_key", "in", false);
        check("basic", "username", false);
        check("basic", "password", true);
        check("oauth2", "client_id", false);
        check("oauth2", "client_secret", true);
        check("custom", "value", false);
        // An app's scheme with one secret field.
        check("", "value", true);
        for kind in ["api_key", "basic", "oauth2", ""] {
            assert!(is_secret(kind, usual_secret(kind)), "{kind}");
        }
    }
}
