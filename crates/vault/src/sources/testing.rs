//! What the tests of all sources share: a way out to loopback, and queries with usual limits.

use super::{PoolKey, Query, Rows, SourceError, Sources, Target, TlsMode};
use crate::secret::Secret;
use keyward_egress::{Allow, Client, Options};
use serde_json::Value;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(20);

/// Which client a server is asked with.
#[derive(Clone, Copy)]
pub(super) enum Protocol {
    Postgres,
    MySql,
}

/// A server, and how it is asked; tests change what they are about.
pub(super) struct Server {
    pub(super) protocol: Protocol,
    pub(super) sources: Sources,
    pub(super) egress: Client,
    pub(super) key: PoolKey,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) tls: TlsMode,
    pub(super) ca_pem: Option<String>,
}

impl Server {
    pub(super) async fn ask(&self, query: Query<'_>) -> Result<Rows, SourceError> {
        let target = Target {
            host: &self.host,
            port: self.port,
            database: Some(&self.database),
            username: &self.username,
            password: &self.password,
            tls: self.tls,
            ca_pem: self.ca_pem.as_deref().map(str::as_bytes),
        };
        let (egress, key) = (&self.egress, &self.key);
        match self.protocol {
            Protocol::Postgres => self.sources.postgres(egress, key, &target, &query).await,
            Protocol::MySql => self.sources.mysql(egress, key, &target, &query).await,
        }
    }

    /// The first value of the first row.
    pub(super) async fn one(&self, sql: &str, params: &[Value]) -> Value {
        let rows = self.ask(query(sql, params)).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        rows.rows[0].values().next().cloned().unwrap()
    }

    /// Runs a statement that changes something.
    pub(super) async fn change(&self, sql: &str) -> Rows {
        let query = Query { read_only: false, ..query(sql, &[]) };
        self.ask(query).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Waits until that many connections are idle: they come back beside whoever asked.
    pub(super) async fn idle(&self, count: usize) {
        let start = Instant::now();
        let idle = || match self.protocol {
            Protocol::Postgres => self.sources.postgres.len(),
            Protocol::MySql => self.sources.mysql.len(),
        };
        while idle() != count {
            assert!(start.elapsed() < PATIENCE, "{} of {count} are idle", idle());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Why a query gives nothing. Its text must hold none of the secrets of the tests.
    pub(super) async fn refusal(&self, query: Query<'_>) -> SourceError {
        let sql = query.sql;
        let error = self.ask(query).await.err().unwrap_or_else(|| panic!("{sql} is refused"));
        assert_quiet(&error);
        error
    }
}

/// A text of an error holds no canary: they are in passwords, parameters and rows.
pub(super) fn assert_quiet(error: &SourceError) {
    let texts = [error.to_string(), format!("{error:?}")];
    for text in texts {
        assert!(!text.contains(keyward_testkit::canary::PREFIX), "{text}");
    }
}

/// A query that reads, with room and time for what tests ask.
pub(super) fn query<'a>(sql: &'a str, params: &'a [Value]) -> Query<'a> {
    let deadline = Instant::now() + Duration::from_secs(30);
    Query { sql, params, max_rows: 10_000, max_bytes: 1024 * 1024, read_only: true, deadline }
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.as_bytes().to_vec()))
}

/// A way out that reaches what the list names beside what is public.
pub(super) fn egress(allow: &str) -> Client {
    let allow = Allow::parse(allow).unwrap();
    Client::new(Options { allow, ..Options::default() }).unwrap()
}
