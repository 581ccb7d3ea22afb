//! MySQL and MariaDB: their client protocol, as far as one prepared statement takes it, on a stream
//! that egress dialled. The crates that speak it dial by themselves.

mod sign_in;
mod value;
mod wire;

use super::connect::Meter;
use super::error::{Code, Reason, Refusal};
use super::rows::{Collector, Rows};
use super::{Query, SourceError, Target};
use keyward_egress::Client as Egress;
use value::Column;
use wire::{Reader, Wire};

const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_RESET_CONNECTION: u8 = 0x1f;
/// In a status: a further result follows.
const MORE_RESULTS: u16 = 0x0008;

/// A signed-in connection.
pub(super) struct Session {
    wire: Wire,
    meter: Meter,
    is_mariadb: bool,
}

impl super::Session for Session {
    async fn open(egress: &Egress, target: &Target<'_>) -> Result<Self, SourceError> {
        sign_in::sign_in(egress, target).await
    }

    async fn begin(&mut self, query: &Query<'_>) -> Result<(), SourceError> {
        self.meter.allow(query.max_bytes);
        let millis = query.millis_left();
        // In MySQL this covers only what reads; the connection is closed when the time is up.
        let limit = match self.is_mariadb {
            true => format!("max_statement_time={}.{:03}", millis / 1000, millis % 1000),
            false => format!("max_execution_time={millis}"),
        };
        self.command(&format!("SET SESSION {limit}, time_zone='+00:00'"), query).await?;
        if !query.read_only {
            return self.command("START TRANSACTION", query).await;
        }
        // For what a procedure does after a COMMIT of its own.
        self.command("SET SESSION TRANSACTION READ ONLY", query).await?;
        self.command("START TRANSACTION READ ONLY", query).await
    }

    async fn run(&mut self, query: &Query<'_>) -> Result<Rows, SourceError> {
        let rows = self.rows(query).await.map_err(|error| self.failure(error, query))?;
        let end = if query.read_only { "ROLLBACK" } else { "COMMIT" };
        self.command(end, query).await?;
        Ok(rows)
    }

    async fn reset(&mut self) -> Result<(), SourceError> {
        self.meter.allow(0);
        self.wire.send_command(COM_RESET_CONNECTION, &[]).await?;
        done(&self.wire.receive().await?)
    }
}

impl Session {
    /// A statement of our own.
    async fn command(&mut self, sql: &str, query: &Query<'_>) -> Result<(), SourceError> {
        let asking = async {
            self.wire.send_command(COM_QUERY, sql.as_bytes()).await?;
            done(&self.wire.receive().await?)
        };
        asking.await.map_err(|error| self.failure(error, query))
    }

    async fn rows(&mut self, query: &Query<'_>) -> Result<Rows, SourceError> {
        self.wire.send_command(COM_STMT_PREPARE, query.sql.as_bytes()).await?;
        let prepared = self.wire.receive().await?;
        let mut reader = answer(&prepared)?;
        let (statement, columns, params) = (reader.fixed::<4>()?, reader.u16()?, reader.u16()?);
        self.skip_definitions(params).await?;
        self.skip_definitions(columns).await?;
        let wanted = usize::from(params);
        if query.params.len() != wanted {
            let given = query.params.len();
            return Err(SourceError::ParameterCount { given, wanted });
        }
        let call = value::execute(statement, query.params)?;
        self.wire.send_command(COM_STMT_EXECUTE, &call).await?;
        let rows = self.result(query).await?;
        // The server answers nothing to this.
        self.wire.send_command(COM_STMT_CLOSE, &statement).await?;
        Ok(rows)
    }

    async fn result(&mut self, query: &Query<'_>) -> Result<Rows, SourceError> {
        let head = self.wire.receive().await?;
        if let [0x00, ..] = head.as_slice() {
            let mut reader = answer(&head)?;
            let (changed, _last_id) = (reader.length()?, reader.length()?);
            only_result(reader.u16()?)?;
            return Ok(Collector::new(Vec::new(), query)?.finish(changed));
        }
        // 0xfb asks for a file of ours, which the server was told it cannot have.
        if let [0xff, ..] | [0xfb, ..] = head.as_slice() {
            answer(&head)?;
            return Err(SourceError::Protocol);
        }
        let count = Reader::new(&head).length()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(Column::parse(&self.wire.receive().await?)?);
        }
        self.wire.receive().await?;
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let mut collector = Collector::new(names, query)?;
        loop {
            let packet = self.wire.receive().await?;
            if let Some(status) = end_of_rows(&packet)? {
                only_result(status)?;
                return Ok(collector.finish(0));
            }
            collector.push(value::row(&columns, &packet)?)?;
        }
    }

    /// Reads past the descriptions that a prepared statement has, and the packet that ends them.
    async fn skip_definitions(&mut self, count: u16) -> Result<(), SourceError> {
        let packets = if count == 0 { 0 } else { u32::from(count) + 1 };
        for _ in 0..packets {
            self.wire.receive().await?;
        }
        Ok(())
    }

    fn failure(&self, error: SourceError, query: &Query<'_>) -> SourceError {
        match error {
            SourceError::Broken if self.meter.is_spent() => SourceError::TooLarge(query.max_bytes),
            error => error,
        }
    }
}

/// What follows the mark of an answer without rows, or the error that it is instead.
fn answer(packet: &[u8]) -> Result<Reader<'_>, SourceError> {
    let mut reader = Reader::new(packet);
    match reader.u8()? {
        0x00 => Ok(reader),
        0xff => Err(refusal(reader.u16()?)),
        _ => Err(SourceError::Protocol),
    }
}

fn done(packet: &[u8]) -> Result<(), SourceError> {
    answer(packet).map(|_| ())
}

/// The status that ends the rows; none where the packet is one.
fn end_of_rows(packet: &[u8]) -> Result<Option<u16>, SourceError> {
    let mut reader = Reader::new(packet);
    match reader.u8()? {
        0xff => Err(refusal(reader.u16()?)),
        0xfe => {
            let _warnings = reader.u16()?;
            reader.u16().map(Some)
        }
        _ => Ok(None),
    }
}

fn only_result(status: u16) -> Result<(), SourceError> {
    if status & MORE_RESULTS == 0 { Ok(()) } else { Err(SourceError::SeveralResults) }
}

fn refusal(number: u16) -> SourceError {
    let code = Code::Number(number);
    let reason = match number {
        1317 | 1969 | 3024 => return SourceError::Timeout,
        // Too many connections, shutting down, the connection was killed, out of memory or space.
        1021 | 1037 | 1038 | 1040 | 1041 | 1053 | 1203 | 1226 | 1927 => {
            return SourceError::Unavailable(code);
        }
        1064 | 1065 => Some(Reason::Syntax),
        1051 | 1146 => Some(Reason::NoTable),
        1054 => Some(Reason::NoColumn),
        1305 | 1128 => Some(Reason::NoFunction),
        1044 | 1142 | 1143 | 1227 | 1370 => Some(Reason::Right),
        1792 | 1290 => Some(Reason::ReadOnly),
        1062 => Some(Reason::Unique),
        1216 | 1217 | 1451 | 1452 => Some(Reason::ForeignKey),
        1048 | 1364 => Some(Reason::NotNull),
        3819 | 4025 => Some(Reason::Check),
        1264 | 1265 | 1292 | 1366 | 1406 | 1411 => Some(Reason::Value),
        1205 | 1213 => Some(Reason::Conflict),
        1295 | 1312 | 1148 => Some(Reason::Kind),
        _ => None,
    };
    SourceError::Refused(Refusal { code, reason, position: None })
}

#[cfg(test)]
mod tests;
