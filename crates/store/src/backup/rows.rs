//! How rows stand in the stream: a head that names schema, tables and columns (length and JSON), then
//! each table's rows in that order (1 and the cells), each table ended by a 0.

use super::BackupError;
use crate::schema::{Kind, Table};
use crate::value::{Cells, Row, Value};
use crate::{error::StoreError, migrate, schema};
use serde_json::json;
use std::borrow::Cow;
use std::io::{Read, Write};

const ROW: u8 = 1;
const END: u8 = 0;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;

/// More than any head is long.
const LONGEST_HEAD: u32 = 1 << 20;

/// The tables of a stream, and the number of the schema that they belong to.
pub(super) struct Head {
    pub(super) schema: i64,
    pub(super) tables: Vec<Table>,
}

impl Head {
    /// The head for all that goes along of a schema.
    pub(super) fn of(schema: i64) -> Result<Self, StoreError> {
        let mut tables = schema::tables(schema)?;
        tables.retain(super::goes_along);
        Ok(Self { schema, tables })
    }

    fn json(&self) -> serde_json::Value {
        let columns =
            |table: &Table| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let table = |table: &Table| json!({ "name": table.name, "columns": columns(table) });
        let tables: Vec<_> = self.tables.iter().map(table).collect();
        json!({ "schema": self.schema, "tables": tables })
    }

    pub(super) fn write(&self, out: &mut impl Write) -> Result<(), BackupError> {
        write_bytes(out, self.json().to_string().as_bytes())
    }

    /// Reads a head; its tables must be the ones that this release's migrations make.
    pub(super) fn read(input: &mut impl Read) -> Result<Self, BackupError> {
        let malformed = || BackupError::Malformed("its head cannot be read");
        let length = u32::from_be_bytes(read_array(input)?);
        if length > LONGEST_HEAD {
            return Err(malformed());
        }
        let text = read_bytes(input, length)?;
        let found: serde_json::Value = serde_json::from_slice(&text).map_err(|_| malformed())?;
        let number = found.get("schema").and_then(serde_json::Value::as_i64);
        let number = number.filter(|number| *number > 0).ok_or_else(malformed)?;
        let known = migrate::newest();
        if number > known {
            return Err(BackupError::NewerSchema { found: number, known });
        }
        let head = Self::of(number)?;
        match head.json() == found {
            true => Ok(head),
            false => Err(BackupError::Malformed("its tables are not those of its schema")),
        }
    }
}

/// Writes a row; each cell must be of its column's kind, so that what is written can be loaded.
pub(super) fn write_row(out: &mut impl Write, table: &Table, row: Row) -> Result<(), BackupError> {
    let fits = |(cell, kind): (&Value<'_>, Kind)| match cell {
        Value::Null => true,
        Value::Integer(_) => kind == Kind::Integer,
        Value::Text(_) => kind == Kind::Text,
        Value::Bytes(_) => kind == Kind::Bytes,
    };
    let kinds = table.columns.iter().map(|column| column.kind);
    if !row.iter().zip(kinds).all(fits) {
        let key = Cells::new("a row", row).into_key();
        return Err(BackupError::Unreadable { table: table.name.clone(), key });
    }
    out.write_all(&[ROW])?;
    row.iter().try_for_each(|cell| match cell {
        Value::Null => Ok(out.write_all(&[NULL])?),
        Value::Integer(value) => {
            out.write_all(&[INTEGER])?;
            Ok(out.write_all(&value.to_be_bytes())?)
        }
        Value::Text(value) => {
            out.write_all(&[TEXT])?;
            write_bytes(out, value.as_bytes())
        }
        Value::Bytes(value) => {
            out.write_all(&[BYTES])?;
            write_bytes(out, value)
        }
    })
}

/// Ends a table.
pub(super) fn write_end(out: &mut impl Write) -> Result<(), BackupError> {
    Ok(out.write_all(&[END])?)
}

/// Reads a table's next row; `None` at its end.
pub(super) fn read_row(input: &mut impl Read, table: &Table) -> Result<Option<Row>, BackupError> {
    match read_array(input)? {
        [END] => Ok(None),
        [ROW] => table
            .columns
            .iter()
            .map(|column| read_cell(input, column.kind))
            .collect::<Result<_, _>>()
            .map(Some),
        _ => Err(BackupError::Malformed("a row does not begin where one should")),
    }
}

fn read_cell(input: &mut impl Read, kind: Kind) -> Result<Value<'static>, BackupError> {
    let [tag] = read_array(input)?;
    Ok(match (tag, kind) {
        (NULL, _) => Value::Null,
        (INTEGER, Kind::Integer) => Value::Integer(i64::from_be_bytes(read_array(input)?)),
        (TEXT, Kind::Text) => {
            let length = u32::from_be_bytes(read_array(input)?);
            let text = String::from_utf8(read_bytes(input, length)?);
            Value::Text(Cow::Owned(text.map_err(|_| BackupError::Malformed("text is not UTF-8"))?))
        }
        (BYTES, Kind::Bytes) => {
            let length = u32::from_be_bytes(read_array(input)?);
            Value::Bytes(Cow::Owned(read_bytes(input, length)?))
        }
        _ => return Err(BackupError::Malformed("a cell is not of its column's kind")),
    })
}

/// Fails where something follows the last table.
pub(super) fn read_end(input: &mut impl Read) -> Result<(), BackupError> {
    match input.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(BackupError::Malformed("something follows its last table")),
    }
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> Result<(), BackupError> {
    let length = u32::try_from(bytes.len())
        .map_err(|_| BackupError::Malformed("a cell is longer than 4 GiB"))?;
    out.write_all(&length.to_be_bytes())?;
    Ok(out.write_all(bytes)?)
}

fn read_array<const N: usize>(input: &mut impl Read) -> Result<[u8; N], BackupError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Takes memory for what is there, not for what is announced.
fn read_bytes(input: &mut impl Read, length: u32) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    input.by_ref().take(length.into()).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == u64::from(length) {
        true => Ok(bytes),
        false => Err(BackupError::Malformed("it ends too early")),
    }
}
