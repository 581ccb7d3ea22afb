//! The data directory: where database, keys, anchor and this node's name lie, and how they open.

use crate::config::Config;
use anyhow::Context as _;
use keyward_egress::{Allow, Client};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::{Identifier as _, NodeId};
use keyward_store::{Store, Target};
use keyward_vault::{Vault, fresh_id};
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The database's directory inside the data directory: a copy of it alone opens nothing.
pub(crate) fn database_directory(config: &Config) -> PathBuf {
    config.data_dir.join("db")
}

/// The anchor file.
pub(crate) fn anchor_file(config: &Config) -> PathBuf {
    config.data_dir.join("anchor.json")
}

/// The clock of the machine.
pub(crate) fn system_clock() -> Clock {
    Clock::new(|| {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    })
}

/// Makes the directories, readable by this user alone.
pub(crate) fn make_directories(config: &Config) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(database_directory(config))
        .with_context(|| format!("the data directory {}", config.data_dir.display()))
}

/// Holds the data directory for one server at a time; let go when dropped or when the process ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read")] fs::File);

/// Takes the data directory for this server.
pub(crate) fn lock(config: &Config) -> anyhow::Result<Lock> {
    let path = config.data_dir.join("lock");
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).with_context(|| format!("the lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => {
            anyhow::bail!(
                "another keyward server uses the data directory {}",
                config.data_dir.display()
            )
        }
        Err(fs::TryLockError::Error(error)) => Err(error).context("locking the data directory"),
    }
}

/// Where the database lies.
pub(crate) fn target(config: &Config) -> Target {
    match &config.database_url {
        Some(url) => Target::Postgres(url.clone()),
        None => Target::Sqlite(database_directory(config).join("keyward.sqlite")),
    }
}

/// Opens the database.
pub(crate) fn open_store(config: &Config) -> anyhow::Result<Store> {
    Store::open(&target(config)).context("opening the database")
}

/// The guarded client for everything that leaves; `listening` is this server's own address.
pub(crate) fn egress(config: &Config, listening: Option<SocketAddr>) -> anyhow::Result<Client> {
    let allow = Allow::parse(&config.egress_allow).context("KEYWARD_EGRESS_ALLOW")?;
    let extra_roots_pem = match &config.egress_ca_file {
        Some(path) => Some(
            fs::read(path).with_context(|| format!("KEYWARD_EGRESS_CA_FILE {}", path.display()))?,
        ),
        None => None,
    };
    let own_addresses = listening.into_iter().chain(database_addresses(config)).collect();
    let options = keyward_egress::Options {
        allow,
        extra_roots_pem,
        own_addresses,
        ..keyward_egress::Options::default()
    };
    Client::new(options).context("setting up outgoing requests")
}

/// The database server's addresses, so that no step ever reaches it.
fn database_addresses(config: &Config) -> Vec<SocketAddr> {
    let url = config.database_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let target = url.and_then(|url| Some((url.host_str()?.to_owned(), url.port().unwrap_or(5432))));
    let resolved = target.and_then(|(host, port)| {
        let host = host.trim_matches(['[', ']']).to_owned();
        (host.as_str(), port).to_socket_addrs().ok().map(Iterator::collect)
    });
    resolved.unwrap_or_default()
}

/// Opens database and vault.
pub(crate) async fn unlock(config: &Config, store: Store, egress: Client) -> anyhow::Result<Vault> {
    let (directory, key) = (database_directory(config), &config.root_key_file);
    let vault = Vault::unlock(store.clone(), egress, system_clock(), key, &directory).await;
    if let Ok(vault) = &vault {
        let apps = keyward_connectors::built_in();
        vault.install_apps(apps.map_err(|(id, _)| anyhow::anyhow!("the manifest of {id}"))?);
        if let Some(folder) = &config.sqlite_dir {
            vault.open_sqlite_folder(sqlite_folder(config, folder)?);
        }
    }
    if vault.is_err() {
        // An orderly end, so that a refused start leaves the directory as it was.
        store.close().await;
    }
    Ok(vault?)
}

/// The folder that steps may read SQLite files of: never one that this server's own lie in.
fn sqlite_folder(config: &Config, folder: &Path) -> anyhow::Result<PathBuf> {
    let context = || format!("KEYWARD_SQLITE_DIR: {}", folder.display());
    let folder = folder.canonicalize().with_context(context)?;
    let own =
        config.data_dir.canonicalize().with_context(|| config.data_dir.display().to_string())?;
    anyhow::ensure!(
        !own.starts_with(&folder) && !folder.starts_with(&own),
        "{}: it holds the server's own data, or lies within it; name another folder",
        context()
    );
    Ok(folder)
}

/// This data directory's node id, made at first start.
pub(crate) fn node_id(data_dir: &Path) -> anyhow::Result<NodeId> {
    let path = data_dir.join("node");
    if let Ok(text) = fs::read_to_string(&path) {
        return NodeId::parse(text.trim())
            .map_err(|_| anyhow::anyhow!("the file {} does not hold a node id", path.display()));
    }
    let id: NodeId = fresh_id(system_clock().now());
    let mut options = fs::OpenOptions::new();
    let file = options.create_new(true).write(true).mode(0o600).open(&path);
    let mut file = file.with_context(|| format!("the node file {}", path.display()))?;
    std::io::Write::write_all(&mut file, format!("{id}\n").as_bytes())?;
    Ok(id)
}
