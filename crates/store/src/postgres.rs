//! PostgreSQL: 16 threads, each with a connection and audit chains of its own. Here alone
//! transactions are run again: after 40001, 40P01 and a connection lost before its commit.

use crate::chain::{Chains, Committed};
use crate::dialect;
use crate::error::{CauseKind, StoreError};
use crate::queue::{self, Job, Kind, Queue};
use crate::session::{self, Session};
use crate::tls::Server;
use crate::value::{Row, Value};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{FromSql, IsNull, ToSql, Type};
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many connections a store keeps at most.
pub(crate) const WORKERS: usize = 16;
/// How often a transaction is run in all.
const ATTEMPTS: u32 = 10;
/// The most prepared statements that a connection keeps; only filtered lists vary.
const STATEMENTS: usize = 512;
/// A connection idle for longer is asked whether it still lives before it is used.
const TRUSTED: Duration = Duration::from_secs(1);

/// A connection with its prepared statements.
pub(crate) struct Connection {
    client: postgres::Client,
    statements: HashMap<String, postgres::Statement>,
    used: Instant,
    /// How many connections the store had lost when this one was last known to live.
    losses: u64,
}

impl Connection {
    pub(crate) fn open(server: &Server) -> Result<Self, StoreError> {
        let mut client = server.connect()?;
        client.batch_execute(dialect::POSTGRES_SETTINGS)?;
        Ok(Self { client, statements: HashMap::new(), used: Instant::now(), losses: 0 })
    }

    /// Runs text without parameters, such as `BEGIN`.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.client.batch_execute(sql)?)
    }

    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let statement = self.prepare(sql)?;
        Ok(self.client.execute(&statement, &parameters(values))?)
    }

    pub(crate) fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql)?;
        let rows = self.client.query(&statement, &parameters(values))?;
        rows.iter().map(cells).collect()
    }

    /// Hands over each row of an answer as it comes.
    pub(crate) fn each<E: From<StoreError>>(
        &mut self,
        sql: &str,
        mut take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let nothing = std::iter::empty::<&(dyn ToSql + Sync)>();
        let mut rows = self.client.query_raw(sql, nothing).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            take(cells(&row)?)?;
        }
        Ok(())
    }

    /// Runs `COPY … FROM STDIN BINARY` with columns of those types and rows until there are no more;
    /// gives their number.
    pub(crate) fn copy<E: From<StoreError>>(
        &mut self,
        sql: &str,
        types: &[Type],
        mut next: impl FnMut() -> Result<Option<Row>, E>,
    ) -> Result<u64, E> {
        let copy = self.client.copy_in(sql).map_err(StoreError::from)?;
        let mut copy = BinaryCopyInWriter::new(copy, types);
        while let Some(row) = next()? {
            copy.write(&parameters(&row)).map_err(StoreError::from)?;
        }
        Ok(copy.finish().map_err(StoreError::from)?)
    }

    /// Prepares a statement once.
    pub(crate) fn prepare(&mut self, sql: &str) -> Result<postgres::Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let statement = self.client.prepare(&dialect::postgres(sql))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Where one connection was lost others may be as well, so each is asked once after that.
    fn is_alive(&mut self, losses: u64) -> bool {
        let trusted = self.used.elapsed() < TRUSTED && self.losses == losses;
        self.used = Instant::now();
        self.losses = losses;
        trusted || self.client.is_valid(Duration::from_secs(2)).is_ok()
    }
}

/// One thread's work.
pub(crate) struct Worker {
    server: Server,
    connection: Option<Connection>,
    chains: Chains,
    /// How many connections the store's workers have lost.
    losses: Arc<AtomicU64>,
}

impl Worker {
    pub(crate) fn new(
        server: Server,
        connection: Option<Connection>,
        chains: Chains,
        losses: Arc<AtomicU64>,
    ) -> Self {
        Self { server, connection, chains, losses }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn work(mut self, queue: &Queue) {
        while let Some(jobs) = queue.take(1) {
            for mut job in jobs {
                let outcome = self.attempts(job.as_mut());
                job.done(outcome);
            }
        }
    }

    fn attempts(&mut self, job: &mut dyn Job) -> Result<Committed, StoreError> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(job) {
                Ok(committed) => return Ok(committed),
                Err(failure) => failure,
            };
            let cause = failure.error.cause();
            if cause == Some(CauseKind::Lost) {
                self.losses.fetch_add(1, Ordering::Relaxed);
            }
            let again = match cause {
                Some(CauseKind::Again) => job.kind() != Kind::Read,
                Some(CauseKind::Lost) => job.kind() != Kind::Read && !failure.unknown,
                _ => false,
            };
            if !again || attempt == ATTEMPTS {
                return Err(failure.error);
            }
            std::thread::sleep(pause(attempt));
            attempt += 1;
        }
    }

    /// Runs the job's transaction once, on a living connection.
    fn attempt(&mut self, job: &mut dyn Job) -> Result<Committed, Failure> {
        let losses = self.losses.load(Ordering::Relaxed);
        let alive = self.connection.take_if(|connection| connection.is_alive(losses));
        let mut connection = match alive {
            Some(connection) => connection,
            None => Connection { losses, ..Connection::open(&self.server)? },
        };
        let result = transaction(&mut connection, &mut self.chains, job);
        match &result {
            Ok(_) => self.connection = Some(connection),
            // After a failed commit or roll-back nobody knows what state the connection is in.
            Err(failure) if failure.unknown => {}
            Err(_) if job.kind() == Kind::Read => self.connection = Some(connection),
            Err(_) if connection.batch("ROLLBACK").is_ok() => self.connection = Some(connection),
            Err(_) => {}
        }
        result
    }
}

struct Failure {
    error: StoreError,
    /// Whether the transaction may have been committed all the same.
    unknown: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, unknown: false }
    }
}

fn transaction(
    connection: &mut Connection,
    chains: &mut Chains,
    job: &mut dyn Job,
) -> Result<Committed, Failure> {
    match job.kind() {
        Kind::Write => connection.batch(dialect::POSTGRES_BEGIN_WRITE)?,
        Kind::Record => connection.batch(dialect::POSTGRES_BEGIN_RECORD)?,
        Kind::Read | Kind::Scrub => {
            let mut session = Session {
                connection: session::Connection::Postgres(connection),
                failed: &mut false,
            };
            queue::run(job, &mut session)?;
            return Ok(Vec::new());
        }
    }
    let mark = chains.mark();
    let mut session =
        Session { connection: session::Connection::Postgres(connection), failed: &mut false };
    let ran = queue::run(job, &mut session);
    let ran = ran.and_then(|events| chains.append(&mut session, events));
    let committed = ran.inspect_err(|_| chains.roll_back(mark))?;
    match connection.batch("COMMIT") {
        Ok(()) => {
            chains.committed();
            Ok(committed)
        }
        Err(error) if error.cause() == Some(CauseKind::Again) => {
            chains.roll_back(mark);
            Err(error.into())
        }
        Err(error) => {
            chains.abandon();
            Err(Failure { error, unknown: true })
        }
    }
}

/// 1 to 2 ms at first, doubled each time up to 128 ms, so that two that collide part.
fn pause(attempt: u32) -> Duration {
    let random = std::hash::RandomState::new().build_hasher().finish() % 1000;
    let base = 1u64 << attempt.saturating_sub(1).min(6);
    Duration::from_micros(base * (1000 + random))
}

fn cells(row: &postgres::Row) -> Result<Row, StoreError> {
    (0..row.len()).map(|at| Ok(row.try_get::<_, Cell>(at)?.0)).collect()
}

fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Integer(value) => value.to_sql(kind, out),
            Value::Text(value) => value.as_ref().to_sql(kind, out),
            Value::Bytes(value) => value.as_ref().to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    postgres::types::to_sql_checked!();
}

/// A cell as it arrives.
struct Cell(Value<'static>);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Value::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Value::Integer(bool::from_sql(kind, raw)?.into()),
            Type::BYTEA => Value::Bytes(Cow::Owned(raw.into())),
            _ => Value::Text(Cow::Owned(String::from_sql(kind, raw)?)),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::BOOL, Type::TEXT, Type::BYTEA].contains(kind)
    }
}
