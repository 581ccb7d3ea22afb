//! Audit sinks: every record is also brought to where the operator wants it, in each chain's order,
//! at least once. The database is the queue, so nothing is held in memory while a sink is slow, and
//! nothing is lost while it is away.

mod feed;
mod file;
mod judge;
mod pending;

pub(crate) use pending::Pending;

use crate::config::Config;
use anyhow::Context as _;
use file::FileSink;
use keyward_egress::{Sink, SinkError};
use keyward_model::audit::{Record, SyslogHost, syslog_message, write_line};
use keyward_model::id::NodeId;
use keyward_vault::{SinkState, Vault};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long the end of the server waits for sinks to take what is left.
const LAST: Duration = Duration::from_secs(3);

/// The configured sinks.
pub(crate) struct Sinks {
    sinks: Vec<Arc<Configured>>,
}

/// One sink with what it is held to.
pub(crate) struct Configured {
    /// Its place among the configured ones, from 1.
    pub(crate) place: usize,
    /// The name under which its cursors are kept.
    pub(crate) name: String,
    pub(crate) required: bool,
    max_lag: Duration,
    transport: Transport,
    host: SyslogHost,
    sent: AtomicU64,
    failures: AtomicU64,
    failure: Mutex<Option<String>>,
}

enum Transport {
    File(FileSink),
    Remote(Box<Sink>),
}

/// Why records were not taken; texts hold no address and no record.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error("it cannot be written: {0}")]
    File(std::io::ErrorKind),
    #[error(transparent)]
    Remote(#[from] SinkError),
    #[error("a record cannot be read; `keyward audit verify` names it")]
    Unreadable,
}

impl Sinks {
    /// Reads the configuration.
    pub(crate) fn configure(config: &Config, vault: &Vault) -> anyhow::Result<Self> {
        let token = match &config.audit_sink_token_file {
            Some(path) => Some(read_token(path)?),
            None => None,
        };
        let roots = match &config.egress_ca_file {
            Some(path) => Some(fs::read(path).context("KEYWARD_EGRESS_CA_FILE")?),
            None => None,
        };
        let urls = config.audit_sink.split(',').map(str::trim).filter(|url| !url.is_empty());
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mut sinks: Vec<Arc<Configured>> = Vec::new();
        for (place, url) in (1..).zip(urls) {
            let transport = transport(url, token.as_deref(), roots.as_deref())
                .with_context(|| format!("KEYWARD_AUDIT_SINK, sink {place}"))?;
            let confirms = match &transport {
                Transport::File(_) => true,
                Transport::Remote(sink) => sink.kind().confirms(),
            };
            anyhow::ensure!(
                confirms || !config.audit_sink_required,
                "KEYWARD_AUDIT_SINK, sink {place}: syslog+udp confirms nothing, so it cannot be required; use syslog+tls or syslog+tcp"
            );
            let name = vault.sink_name(url);
            let known = sinks.iter().any(|sink| sink.name == name);
            anyhow::ensure!(!known, "KEYWARD_AUDIT_SINK, sink {place}: it is named twice");
            sinks.push(Arc::new(Configured {
                place,
                name,
                required: config.audit_sink_required,
                max_lag: Duration::from_secs(config.audit_sink_max_lag.into()),
                transport,
                host: SyslogHost::new(host.trim(), std::process::id()),
                sent: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                failure: Mutex::default(),
            }));
        }
        Ok(Self { sinks })
    }

    /// The configured ones, in their order.
    pub(crate) fn all(&self) -> &[Arc<Configured>] {
        &self.sinks
    }

    /// Names of those that hold values back, for retention.
    pub(crate) fn required(&self) -> Vec<String> {
        let required = self.sinks.iter().filter(|sink| sink.required);
        required.map(|sink| sink.name.clone()).collect()
    }

    /// Begins to feed them. Before this returns, required sinks that nobody has looked at yet keep
    /// values from being released.
    pub(crate) fn start(&self, vault: &Vault, node: NodeId) -> Running {
        let mut tasks = Vec::new();
        for sink in &self.sinks {
            vault.audit_gate().report(sink.unknown());
            let (tell, told) = watch::channel(Arc::new(Pending::default()));
            tasks.push(tokio::spawn(judge::run(sink.clone(), vault.clone(), tell)));
            tasks.push(tokio::spawn(feed::run(sink.clone(), vault.clone(), node, told)));
        }
        Running { tasks, vault: vault.clone() }
    }
}

/// Sinks that are being fed.
pub(crate) struct Running {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    vault: Vault,
}

impl Running {
    /// Waits a little until everything has been taken, and ends.
    pub(crate) async fn finish(self) {
        let gate = self.vault.audit_gate();
        let emptied = async {
            // The first look may be of before the last records.
            tokio::time::sleep(judge::INTERVAL * 2).await;
            while gate.sinks().iter().any(|sink| sink.waiting > 0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let has_sinks = !self.tasks.is_empty();
        if has_sinks && tokio::time::timeout(LAST, emptied).await.is_err() {
            tracing::warn!("audit sinks are behind; they get the rest after the next start");
        }
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Configured {
    /// The word for its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.transport {
            Transport::File(_) => "file",
            Transport::Remote(sink) => sink.kind().as_str(),
        }
    }

    /// Remembers what the last failed attempt said; gives what was remembered before.
    fn replace_failure(&self, failure: Option<String>) -> Option<String> {
        let mut last = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, failure)
    }

    /// What is reported while nobody has looked.
    fn unknown(&self) -> SinkState {
        SinkState {
            place: self.place,
            kind: self.kind(),
            required: self.required,
            waiting: 0,
            oldest: None,
            sent: 0,
            failures: 0,
            failing_since: None,
            failure: None,
            blocks: self.required,
        }
    }

    /// Brings records in their order: all are taken, or it failed.
    async fn deliver(&self, records: &[Record]) -> Result<(), Untaken> {
        let is_syslog = match &self.transport {
            Transport::File(_) => false,
            Transport::Remote(sink) => sink.kind().is_syslog(),
        };
        let message = |record| match is_syslog {
            true => syslog_message(record, &self.host),
            false => write_line(record),
        };
        let messages = records.iter().map(message).collect::<Result<Vec<_>, _>>();
        let messages = messages.map_err(|_| Untaken::Unreadable)?;
        match &self.transport {
            Transport::File(file) => file.append(messages).await.map_err(Untaken::File),
            Transport::Remote(sink) => Ok(sink.deliver(&messages).await?),
        }
    }
}

fn transport(url: &str, token: Option<&str>, roots: Option<&[u8]>) -> anyhow::Result<Transport> {
    if let Some(path) = url.strip_prefix("file:") {
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        anyhow::ensure!(path.is_absolute(), "file: wants an absolute path");
        return Ok(Transport::File(FileSink::new(path)));
    }
    Ok(Transport::Remote(Box::new(Sink::new(url, token, roots)?)))
}

fn read_token(path: &std::path::Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("KEYWARD_AUDIT_SINK_TOKEN_FILE {}", path.display()))?;
    anyhow::ensure!(!text.trim().is_empty(), "KEYWARD_AUDIT_SINK_TOKEN_FILE is empty");
    Ok(text.trim().to_owned())
}
