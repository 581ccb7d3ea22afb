//! Databases as sources of a step: one statement with bound parameters, its rows as JSON. What a
//! credential is, and who may use it, is decided before.

mod connect;
mod error;
mod mysql;
mod pool;
mod postgres;
mod rows;
pub(crate) mod smtp;
mod sqlite;

pub(crate) use error::SourceError;
pub(crate) use rows::Rows;
pub(crate) use sqlite::sqlite;

use crate::secret::Secret;
use keyward_egress::Client;
use pool::{Key, Pool};
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Whether the way to a database is encrypted, and the server's name verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TlsMode {
    /// Encrypted, and the certificate is for the host, from a trusted issuer.
    Verify,
    /// Encrypted; any certificate is taken, so that whoever stands between can read along.
    Require,
    /// Not encrypted: only where the operator's allow list opens the host.
    Off,
}

impl TlsMode {
    /// Reads the word of a credential's field; an empty one is the default.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "verify" => Some(Self::Verify),
            "require" => Some(Self::Require),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// A database server, and who signs in.
pub(crate) struct Target<'a> {
    /// A name or an address.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) database: Option<&'a str>,
    pub(crate) username: &'a str,
    pub(crate) password: &'a Secret,
    pub(crate) tls: TlsMode,
    /// Issuers trusted beside the others.
    pub(crate) ca_pem: Option<&'a [u8]>,
}

/// One statement, and what it may take.
pub(crate) struct Query<'a> {
    pub(crate) sql: &'a str,
    pub(crate) params: &'a [Value],
    pub(crate) max_rows: usize,
    /// Of the rows as JSON.
    pub(crate) max_bytes: usize,
    /// Whether the database refuses to change anything. Else the statement is committed.
    pub(crate) read_only: bool,
    pub(crate) deadline: Instant,
}

impl Query<'_> {
    /// # Errors
    /// [`SourceError::NoStatement`]: the databases differ in what they make of an empty one.
    fn check(&self) -> Result<(), SourceError> {
        if self.sql.trim().is_empty() { Err(SourceError::NoStatement) } else { Ok(()) }
    }

    /// The time that is left, in milliseconds: at least one, since 0 says "no limit" to databases.
    fn millis_left(&self) -> u128 {
        self.deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1))
            .as_millis()
    }
}

/// What tells whose connections are whose, besides host, port, database, user, password, TLS and
/// issuers: the workspace, and the credential with its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey(String);

impl PoolKey {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}

/// The clients of database servers, with their idle connections. Make one and share it.
#[derive(Default)]
pub(crate) struct Sources {
    postgres: Arc<Pool<postgres::Session>>,
    mysql: Arc<Pool<mysql::Session>>,
}

impl Sources {
    /// Asks a PostgreSQL server.
    ///
    /// # Errors
    /// [`SourceError`]; what was changed is then undone.
    pub(crate) async fn postgres(
        &self,
        egress: &Client,
        key: &PoolKey,
        target: &Target<'_>,
        query: &Query<'_>,
    ) -> Result<Rows, SourceError> {
        ask(&self.postgres, egress, key, target, query).await
    }

    /// Asks a MySQL or MariaDB server.
    ///
    /// # Errors
    /// As [`Sources::postgres`]; statements that define tables cannot be undone there.
    pub(crate) async fn mysql(
        &self,
        egress: &Client,
        key: &PoolKey,
        target: &Target<'_>,
        query: &Query<'_>,
    ) -> Result<Rows, SourceError> {
        ask(&self.mysql, egress, key, target, query).await
    }
}

/// A signed-in connection. One that failed in any step is dropped, and with it closed.
trait Session: Sized + Send + 'static {
    fn open(
        egress: &Client,
        target: &Target<'_>,
    ) -> impl Future<Output = Result<Self, SourceError>> + Send;

    /// Begins the transaction that the query runs in.
    fn begin(&mut self, query: &Query<'_>) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Runs the statement and ends the transaction.
    fn run(&mut self, query: &Query<'_>) -> impl Future<Output = Result<Rows, SourceError>> + Send;

    /// Makes the session as new: no locks, temporary tables or settings are left.
    fn reset(&mut self) -> impl Future<Output = Result<(), SourceError>> + Send;
}

async fn ask<S: Session>(
    pool: &Arc<Pool<S>>,
    egress: &Client,
    key: &PoolKey,
    target: &Target<'_>,
    query: &Query<'_>,
) -> Result<Rows, SourceError> {
    query.check()?;
    let key = Key::new(key, target)?;
    let asking = async {
        let mut session = begun(pool, egress, &key, target, query).await?;
        let rows = session.run(query).await?;
        pool.give_back(key, session);
        Ok(rows)
    };
    tokio::time::timeout_at(query.deadline.into(), asking)
        .await
        .unwrap_or(Err(SourceError::Timeout))
}

/// An idle connection where one still answers, else a new one.
async fn begun<S: Session>(
    pool: &Pool<S>,
    egress: &Client,
    key: &Key,
    target: &Target<'_>,
    query: &Query<'_>,
) -> Result<S, SourceError> {
    while let Some(mut session) = pool.take(key) {
        if session.begin(query).await.is_ok() {
            return Ok(session);
        }
    }
    let mut session = S::open(egress, target).await?;
    session.begin(query).await?;
    Ok(session)
}

#[cfg(test)]
mod testing;
