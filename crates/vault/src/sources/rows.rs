//! Rows on their way into a step's output, up to its limits.

use super::{Query, SourceError};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::io;

/// What a query gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rows {
    /// One object a row, by the names of the columns in their order.
    pub(crate) rows: Vec<Map<String, Value>>,
    /// How many rows there are, or how many a statement without rows changed.
    pub(crate) row_count: u64,
}

/// Collects rows until a limit is reached.
pub(super) struct Collector {
    names: Vec<String>,
    rows: Vec<Map<String, Value>>,
    left: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl Collector {
    /// Begins with the names of the columns; an object has no place for the same name twice.
    pub(super) fn new(names: Vec<String>, query: &Query<'_>) -> Result<Self, SourceError> {
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().position(|name| !seen.insert(name.as_str())) {
            return Err(SourceError::ColumnName(twice + 1));
        }
        let Query { max_rows, max_bytes, .. } = *query;
        Ok(Self { names, rows: Vec::new(), left: max_bytes, max_rows, max_bytes })
    }

    pub(super) fn push(&mut self, values: Vec<Value>) -> Result<(), SourceError> {
        if self.rows.len() == self.max_rows {
            return Err(SourceError::TooManyRows(self.max_rows));
        }
        let row = self.names.iter().cloned().zip(values).collect();
        // One more for the comma between two rows.
        let size = json_size(&row) + 1;
        self.left = self.left.checked_sub(size).ok_or(SourceError::TooLarge(self.max_bytes))?;
        self.rows.push(row);
        Ok(())
    }

    /// `changed`: what the database says of a statement without columns.
    pub(super) fn finish(self, changed: u64) -> Rows {
        let count = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        let row_count = if self.names.is_empty() { changed } else { count };
        Rows { rows: self.rows, row_count }
    }
}

fn json_size(row: &Map<String, Value>) -> usize {
    let mut counter = Counter(0);
    // Writing JSON values into a counter cannot fail.
    let _always = serde_json::to_writer(&mut counter, row);
    counter.0
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A float as a number, or what is none as its word.
pub(super) fn float(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("NaN"),
        None => Value::from(if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// A float of four bytes with the digits that it is written with: 0.1 and not 0.10000000149.
pub(super) fn short_float(number: f32) -> Value {
    float(number.to_string().parse().unwrap_or(f64::from(number)))
}

/// JSON where it is, else its text.
pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}
