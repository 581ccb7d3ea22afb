//! PostgreSQL: one prepared statement in a transaction of its own.

mod binary;
mod params;
mod value;

use super::connect::{self, Meter, Metered};
use super::error::{Code, Reason, Refusal};
use super::rows::{Collector, Rows};
use super::{Query, SourceError, Target, TlsMode};
use futures_util::{TryStreamExt, pin_mut};
use keyward_egress::Client as Egress;
use std::error::Error as _;
use std::future::poll_fn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;
use value::Raw;

/// A signed-in connection.
pub(super) struct Session {
    client: Client,
    driver: AbortHandle,
    meter: Meter,
}

impl Drop for Session {
    /// Closes the connection at once: else it would first read all that is still to come.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl super::Session for Session {
    async fn open(egress: &Egress, target: &Target<'_>) -> Result<Self, SourceError> {
        let mut config = Config::new();
        config.user(target.username).password(target.password.expose());
        config.application_name("keyward");
        if let Some(database) = target.database {
            config.dbname(database);
        }
        let encrypted = target.tls != TlsMode::Off;
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let (stream, meter) = connect::dial(egress, target).await?;
        if !encrypted {
            return sign_in(&config, stream, NoTls, meter).await;
        }
        let mut maker = MakeRustlsConnect::new(connect::tls_config(egress, target)?);
        let host = connect::server_name(target.host);
        let Ok(connector) = MakeTlsConnect::<Metered>::make_tls_connect(&mut maker, host);
        sign_in(&config, stream, connector, meter).await
    }

    async fn begin(&mut self, query: &Query<'_>) -> Result<(), SourceError> {
        self.meter.allow(query.max_bytes);
        let mode = if query.read_only { "READ ONLY" } else { "READ WRITE" };
        // The SELECT also takes the snapshot after which a transaction cannot become READ WRITE.
        let sql = format!(
            "BEGIN {mode}; SELECT pg_catalog.set_config('statement_timeout', '{}', true)",
            query.millis_left()
        );
        self.client.batch_execute(&sql).await.map_err(|error| self.failure(&error, query))
    }

    async fn run(&mut self, query: &Query<'_>) -> Result<Rows, SourceError> {
        let rows = self.rows(query).await?;
        let end = if query.read_only { "ROLLBACK" } else { "COMMIT" };
        self.client.batch_execute(end).await.map_err(|error| self.failure(&error, query))?;
        Ok(rows)
    }

    async fn reset(&mut self) -> Result<(), SourceError> {
        self.meter.allow(0);
        self.client.batch_execute("DISCARD ALL").await.map_err(|_| SourceError::Broken)
    }
}

impl Session {
    async fn rows(&self, query: &Query<'_>) -> Result<Rows, SourceError> {
        let fail = |error| self.failure(&error, query);
        let statement = self.client.prepare(query.sql).await.map_err(fail)?;
        let columns = statement.columns();
        let unread = columns.iter().position(|column| !value::is_read(column.type_()));
        if let Some(column) = unread {
            return Err(SourceError::ColumnType(column + 1));
        }
        let params = params::texts(query.params, statement.params())?;
        let names = columns.iter().map(|column| column.name().to_owned()).collect();
        let mut collector = Collector::new(names, query)?;
        let stream = self.client.query_raw(&statement, params).await.map_err(fail)?;
        pin_mut!(stream);
        while let Some(row) = stream.try_next().await.map_err(fail)? {
            collector.push(values(&row)?)?;
        }
        Ok(collector.finish(stream.rows_affected().unwrap_or(0)))
    }

    fn failure(&self, error: &tokio_postgres::Error, query: &Query<'_>) -> SourceError {
        match error.as_db_error() {
            Some(error) => refusal(error),
            None if self.meter.is_spent() => SourceError::TooLarge(query.max_bytes),
            None => SourceError::Broken,
        }
    }
}

async fn sign_in<T>(
    config: &Config,
    stream: Metered,
    tls: T,
    meter: Meter,
) -> Result<Session, SourceError>
where
    T: TlsConnect<Metered>,
    T::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, mut connection) =
        config.connect_raw(stream, tls).await.map_err(|error| sign_in_failure(&error))?;
    let driver = tokio::spawn(async move {
        // What broke it, the client is told too. The connection's own future would log the server's
        // notices, which may hold values.
        while let Some(Ok(_)) = poll_fn(|cx| connection.poll_message(cx)).await {}
    });
    Ok(Session { client, driver: driver.abort_handle(), meter })
}

fn sign_in_failure(error: &tokio_postgres::Error) -> SourceError {
    if let Some(error) = error.as_db_error() {
        return match error.code().code() {
            // No such user or a wrong password, and: no entry for host, user and database.
            "28P01" | "28000" => SourceError::SignIn,
            "3D000" | "42501" => SourceError::NoDatabase,
            state => SourceError::Unavailable(sql_state(state)),
        };
    }
    let Some(cause) = error.source() else { return SourceError::Broken };
    // The crate has no kinds to ask for; these are its own words.
    match (error.to_string().as_str(), cause.to_string().as_str()) {
        (_, "server does not support TLS") => SourceError::NoTls,
        ("authentication error", _) => SourceError::SignInMethod,
        _ => connect::handshake_error(cause),
    }
}

fn values(row: &Row) -> Result<Vec<serde_json::Value>, SourceError> {
    let columns = row.columns().iter().enumerate();
    let value = |(number, column): (usize, &tokio_postgres::Column)| {
        let raw: Option<Raw<'_>> = row.try_get(number).map_err(|_| SourceError::Protocol)?;
        match raw {
            Some(Raw(bytes)) => value::read(column.type_(), bytes).ok_or(SourceError::Protocol),
            None => Ok(serde_json::Value::Null),
        }
    };
    columns.map(value).collect()
}

fn refusal(error: &DbError) -> SourceError {
    let state = error.code().code();
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => Some(*position),
        _ => None,
    };
    let reason = match state {
        "57014" => return SourceError::Timeout,
        _ if ["08", "53", "57", "58"].iter().any(|class| state.starts_with(class)) => {
            return SourceError::Unavailable(sql_state(state));
        }
        "42601" => Some(Reason::Syntax),
        "42P01" => Some(Reason::NoTable),
        "42703" => Some(Reason::NoColumn),
        "42883" => Some(Reason::NoFunction),
        "42501" => Some(Reason::Right),
        "25006" => Some(Reason::ReadOnly),
        "23505" => Some(Reason::Unique),
        "23503" => Some(Reason::ForeignKey),
        "23502" => Some(Reason::NotNull),
        "23514" => Some(Reason::Check),
        "40001" | "40P01" | "55P03" => Some(Reason::Conflict),
        "0A000" | "25001" => Some(Reason::Kind),
        _ if state.starts_with("22") => Some(Reason::Value),
        _ => None,
    };
    SourceError::Refused(Refusal { code: sql_state(state), reason, position })
}

/// A state as the standard forms it; what is none is not shown.
fn sql_state(state: &str) -> Code {
    let valid = state.len() == 5 && state.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Code::SqlState(if valid { state.to_owned() } else { "unknown".to_owned() })
}

#[cfg(test)]
mod tests;
