//! Commands and options: flags first, then the environment, then the configuration file, then
//! defaults. Every option of `serve` has its variable.

mod sign_in;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use sign_in::SignInConfig;

/// Workflows with credentials that nobody can see.
#[derive(Parser)]
#[command(name = "keyward", version, disable_version_flag = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(Serve),
    /// Make the owner and the first workspace, without a browser.
    Init(Init),
    /// Print a new set-up link.
    SetupLink,
    /// Say what is wrong with this installation, and what to do.
    Doctor,
    /// Write the whole database, as of one moment, into a file that only the root key opens.
    Backup(Backup),
    /// Bring a backup into an empty data directory in which the root key is in place.
    Restore(Restore),
    /// The root key.
    #[command(subcommand)]
    Key(Key),
    /// The audit trail.
    #[command(subcommand)]
    Audit(Audit),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the version.
    Version,
    #[command(flatten)]
    Remote(crate::commands::remote::Remote),
}

#[derive(Args)]
pub(crate) struct Serve {
    /// Make an example workspace with a workflow, run it once, and serve an echo service for it.
    #[arg(long)]
    pub(crate) example: bool,
}

#[derive(Args)]
pub(crate) struct Init {
    /// The owner's e-mail address.
    #[arg(long)]
    pub(crate) email: String,
    /// A file that holds the owner's password.
    #[arg(long)]
    pub(crate) password_file: PathBuf,
    /// The first workspace's name.
    #[arg(long, default_value = "default")]
    pub(crate) workspace: String,
    /// Where to write an API token of the owner's (mode 0600, one line).
    #[arg(long)]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write.
    pub(crate) file: PathBuf,
    /// Replace a file that is there already.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup.
    #[arg(required_unless_present = "accept_older")]
    pub(crate) file: Option<PathBuf>,
    /// Accept the database as it is, although it lacks records that the anchor file names.
    #[arg(long, conflicts_with = "file")]
    pub(crate) accept_older: bool,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Show the fingerprints of the root key and of the key that the database was sealed by, and how
    /// the workspaces' keys stand.
    Status,
    /// Make a new root key, and a new key for every workspace; beside a running server or without one.
    Rotate(Rotate),
}

#[derive(Args)]
pub(crate) struct Rotate {
    /// Make a new root key; with no such choice both are made.
    #[arg(long)]
    pub(crate) root: bool,
    /// Make new keys for the workspaces, or finish doing so.
    #[arg(long)]
    pub(crate) workspaces: bool,
    /// Only for this workspace.
    #[arg(long, value_name = "SLUG")]
    pub(crate) workspace: Option<String>,
    /// Keep the workspaces' old keys at the end.
    #[arg(long)]
    pub(crate) keep_old: bool,
    /// Destroy the workspaces' old keys, once nothing that can be read is left under them.
    #[arg(long, conflicts_with_all = ["root", "workspaces", "keep_old", "new_root_key_file"])]
    pub(crate) destroy_old: bool,
    /// Put the new root key here, or take it from here, where its usual directory is not writable.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_root_key_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check every chain and name the first altered, missing, reordered or cut record.
    Verify {
        /// An exported file to check in the database's place; only the root key is needed.
        file: Option<PathBuf>,
        /// Also say which of this credential's records were altered or are missing.
        #[arg(long, value_name = "ID")]
        credential: Option<String>,
    },
    /// Write every record of every workspace, one JSON object a line.
    Export {
        /// Where to [default: standard output].
        file: Option<PathBuf>,
    },
}

/// Options of every command.
#[derive(Args)]
#[command(next_help_heading = "Installation and server")]
pub(crate) struct Options {
    /// Where database, keys and anchor live [default: ./keyward-data].
    #[arg(long, global = true, env = "KEYWARD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port; port 0 picks one [default: 127.0.0.1:7411].
    #[arg(long, global = true, env = "KEYWARD_LISTEN")]
    listen: Option<SocketAddr>,
    /// `postgres://…`; without it SQLite in the data directory.
    #[arg(long, global = true, env = "KEYWARD_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The URL by which people and services reach this server.
    #[arg(long, global = true, env = "KEYWARD_PUBLIC_URL")]
    public_url: Option<String>,
    /// The root key's file [default: keys/root.key in the data directory].
    #[arg(long, global = true, env = "KEYWARD_ROOT_KEY_FILE")]
    root_key_file: Option<PathBuf>,
    /// CIDRs, hosts or host:port that may be reached although private, loopback or plain http.
    #[arg(long, global = true, env = "KEYWARD_EGRESS_ALLOW")]
    egress_allow: Option<String>,
    /// PEM roots trusted for outgoing TLS beside the system's.
    #[arg(long, global = true, env = "KEYWARD_EGRESS_CA_FILE")]
    egress_ca_file: Option<PathBuf>,
    /// The folder whose SQLite files steps may read [default: none].
    #[arg(long, global = true, env = "KEYWARD_SQLITE_DIR")]
    sqlite_dir: Option<PathBuf>,
    /// `info`, or a `tracing` filter.
    #[arg(long, global = true, env = "KEYWARD_LOG")]
    log: Option<String>,
    /// How log lines are written.
    #[arg(long, global = true, env = "KEYWARD_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// A second address that serves `/metrics` alone.
    #[arg(long, global = true, env = "KEYWARD_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Where audit records go: file:/path, http(s)://…, syslog+tls://host, syslog+tcp://host or
    /// syslog+udp://host; several with commas.
    #[arg(long, global = true, env = "KEYWARD_AUDIT_SINK", hide_env_values = true)]
    audit_sink: Option<String>,
    /// Release values only while every audit sink takes the records.
    #[arg(long, global = true, env = "KEYWARD_AUDIT_SINK_REQUIRED")]
    audit_sink_required: bool,
    /// For how many seconds a required sink may be behind [default: 10].
    #[arg(long, global = true, env = "KEYWARD_AUDIT_SINK_MAX_LAG", value_name = "SECONDS")]
    audit_sink_max_lag: Option<u32>,
    /// A file with the bearer token of HTTP audit sinks.
    #[arg(long, global = true, env = "KEYWARD_AUDIT_SINK_TOKEN_FILE")]
    audit_sink_token_file: Option<PathBuf>,
    /// Parts that this node plays: api, worker, scheduler; all by default.
    #[arg(long, global = true, env = "KEYWARD_ROLE", value_delimiter = ',')]
    role: Vec<Role>,
    /// Refuse code steps where the kernel lacks any of the sandbox's walls.
    #[arg(long, global = true, env = "KEYWARD_REQUIRE_ALL_WALLS")]
    require_all_walls: bool,
    /// Run code steps although the sandbox's main wall is missing. Dangerous.
    #[arg(long, global = true)]
    unsafe_sandbox: bool,
    #[command(flatten)]
    sign_in: sign_in::SignInOptions,
    /// A TOML file with the same options.
    #[arg(long, global = true, env = "KEYWARD_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
}

/// A part that a node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Takes requests.
    Api,
    /// Drives runs.
    Worker,
    /// Starts scheduled runs.
    Scheduler,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The configuration file: the options by their long names with underscores.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    database_url: Option<String>,
    public_url: Option<String>,
    root_key_file: Option<PathBuf>,
    egress_allow: Option<String>,
    egress_ca_file: Option<PathBuf>,
    sqlite_dir: Option<PathBuf>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    metrics_listen: Option<SocketAddr>,
    audit_sink: Option<String>,
    audit_sink_required: Option<bool>,
    audit_sink_max_lag: Option<u32>,
    audit_sink_token_file: Option<PathBuf>,
    role: Option<Vec<Role>>,
    require_all_walls: Option<bool>,
    #[serde(default)]
    sign_in: sign_in::Table,
}

/// What a command works with.
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) database_url: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) root_key_file: PathBuf,
    pub(crate) egress_allow: String,
    pub(crate) egress_ca_file: Option<PathBuf>,
    pub(crate) sqlite_dir: Option<PathBuf>,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) audit_sink: String,
    pub(crate) audit_sink_required: bool,
    pub(crate) audit_sink_max_lag: u32,
    pub(crate) audit_sink_token_file: Option<PathBuf>,
    pub(crate) roles: Vec<Role>,
    pub(crate) require_all_walls: bool,
    pub(crate) unsafe_sandbox: bool,
    pub(crate) sign_in: SignInConfig,
    /// Whether commands print JSON.
    pub(crate) json: bool,
}

impl Options {
    /// Merges flags, environment, file and defaults.
    pub(crate) fn resolve(self) -> anyhow::Result<Config> {
        let file = read_file(self.config.as_ref())?;
        let data_dir =
            self.data_dir.or(file.data_dir).unwrap_or_else(|| PathBuf::from("keyward-data"));
        let root_key_file = self.root_key_file.or(file.root_key_file);
        let roles = if self.role.is_empty() { file.role.unwrap_or_default() } else { self.role };
        let listen = self.listen.or(file.listen);
        Ok(Config {
            root_key_file: root_key_file.unwrap_or_else(|| data_dir.join("keys/root.key")),
            data_dir,
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 7411))),
            database_url: self.database_url.or(file.database_url).filter(|url| !url.is_empty()),
            public_url: self.public_url.or(file.public_url),
            egress_allow: self.egress_allow.or(file.egress_allow).unwrap_or_default(),
            egress_ca_file: self.egress_ca_file.or(file.egress_ca_file),
            sqlite_dir: self.sqlite_dir.or(file.sqlite_dir),
            log: self.log.or(file.log).unwrap_or_else(|| "info".into()),
            log_format: self.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            metrics_listen: self.metrics_listen.or(file.metrics_listen),
            audit_sink: self.audit_sink.or(file.audit_sink).unwrap_or_default(),
            audit_sink_required: self.audit_sink_required
                || file.audit_sink_required.unwrap_or(false),
            audit_sink_max_lag: self.audit_sink_max_lag.or(file.audit_sink_max_lag).unwrap_or(10),
            audit_sink_token_file: self.audit_sink_token_file.or(file.audit_sink_token_file),
            roles,
            require_all_walls: self.require_all_walls || file.require_all_walls.unwrap_or(false),
            unsafe_sandbox: self.unsafe_sandbox,
            sign_in: self.sign_in.resolve(file.sign_in),
            json: self.json,
        })
    }
}

impl Config {
    /// Whether this node plays a part; all of them where none is named.
    pub(crate) fn plays(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

fn read_file(path: Option<&PathBuf>) -> anyhow::Result<File> {
    let Some(path) = path else { return Ok(File::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {}", path.display()))?;
    // The parser's text quotes lines of the file, which may hold a database password.
    toml::from_str(&text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        anyhow::anyhow!(
            "the configuration file {}, line {line}: {}",
            path.display(),
            error.message()
        )
    })
}
