//! Parameters and rows in MySQL's binary form, from and to JSON.

use super::wire::{Reader, put_counted};
use crate::sources::SourceError;
use crate::sources::rows::{float, json, short_float};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Of a column or parameter: the number has no sign.
const UNSIGNED: u16 = 0x20;
/// The character set of bytes that are no text.
const BINARY: u16 = 63;

mod kind {
    pub(super) const TINY: u8 = 1;
    pub(super) const SHORT: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const NULL: u8 = 6;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const LONGLONG: u8 = 8;
    pub(super) const INT24: u8 = 9;
    pub(super) const DATE: u8 = 10;
    pub(super) const TIME: u8 = 11;
    pub(super) const DATETIME: u8 = 12;
    pub(super) const YEAR: u8 = 13;
    pub(super) const BIT: u8 = 16;
    pub(super) const JSON: u8 = 245;
    pub(super) const NEWDECIMAL: u8 = 246;
    pub(super) const BLOBS: std::ops::RangeInclusive<u8> = 249..=252;
    pub(super) const VAR_STRING: u8 = 253;
    pub(super) const STRING: u8 = 254;
    pub(super) const GEOMETRY: u8 = 255;
}

/// The body of the call of a prepared statement. Numbers go as numbers; arrays and objects as JSON.
pub(super) fn execute(statement: [u8; 4], params: &[Value]) -> Result<Vec<u8>, SourceError> {
    let mut out = statement.to_vec();
    // No cursor; one execution.
    out.extend_from_slice(&[0, 1, 0, 0, 0]);
    if params.is_empty() {
        return Ok(out);
    }
    let nulls = params.chunks(8).map(|eight| {
        let bits = eight.iter().enumerate().filter(|(_, value)| value.is_null());
        bits.fold(0, |byte, (bit, _)| byte | 1 << bit)
    });
    out.extend(nulls);
    // The types follow.
    out.push(1);
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for value in params {
        let (kind, flag) = put_value(&mut values, value);
        types.extend_from_slice(&[kind, flag]);
    }
    out.append(&mut types);
    out.append(&mut values);
    Ok(out)
}

fn put_value(out: &mut Vec<u8>, value: &Value) -> (u8, u8) {
    match value {
        Value::Null => return (kind::NULL, 0),
        Value::Bool(truth) => {
            out.push(u8::from(*truth));
            return (kind::TINY, 0);
        }
        Value::Number(number) => {
            if let Some(number) = number.as_i64() {
                out.extend_from_slice(&number.to_le_bytes());
                return (kind::LONGLONG, 0);
            }
            if let Some(number) = number.as_u64() {
                out.extend_from_slice(&number.to_le_bytes());
                return (kind::LONGLONG, 0x80);
            }
            out.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_le_bytes());
            return (kind::DOUBLE, 0);
        }
        Value::String(text) => put_counted(out, text.as_bytes()),
        Value::Array(_) | Value::Object(_) => put_counted(out, value.to_string().as_bytes()),
    }
    (kind::VAR_STRING, 0)
}

/// A column of the result.
pub(super) struct Column {
    pub(super) name: String,
    kind: u8,
    unsigned: bool,
    binary: bool,
}

impl Column {
    pub(super) fn parse(packet: &[u8]) -> Result<Self, SourceError> {
        let mut reader = Reader::new(packet);
        let (_catalogue, _schema) = (reader.counted()?, reader.counted()?);
        let (_table, _base_table) = (reader.counted()?, reader.counted()?);
        let name = text(reader.counted()?)?.to_owned();
        let _base_name = reader.counted()?;
        let _length_of_the_rest = reader.length()?;
        let character_set = reader.u16()?;
        let _length = reader.u32()?;
        let kind = reader.u8()?;
        let flags = reader.u16()?;
        let unsigned = flags & UNSIGNED != 0;
        Ok(Self { name, kind, unsigned, binary: character_set == BINARY })
    }

    fn read(&self, reader: &mut Reader<'_>) -> Result<Value, SourceError> {
        Ok(match (self.kind, self.unsigned) {
            (kind::TINY, false) => Value::from(reader.fixed().map(i8::from_le_bytes)?),
            (kind::TINY, true) => Value::from(reader.u8()?),
            (kind::SHORT, false) => Value::from(reader.fixed().map(i16::from_le_bytes)?),
            (kind::SHORT, true) | (kind::YEAR, _) => Value::from(reader.u16()?),
            (kind::LONG | kind::INT24, false) => {
                Value::from(reader.fixed().map(i32::from_le_bytes)?)
            }
            (kind::LONG | kind::INT24, true) => Value::from(reader.u32()?),
            (kind::LONGLONG, false) => Value::from(reader.fixed().map(i64::from_le_bytes)?),
            (kind::LONGLONG, true) => Value::from(reader.fixed().map(u64::from_le_bytes)?),
            (kind::FLOAT, _) => short_float(reader.fixed().map(f32::from_le_bytes)?),
            (kind::DOUBLE, _) => float(reader.fixed().map(f64::from_le_bytes)?),
            (kind::DATE | kind::DATETIME | kind::TIMESTAMP, _) => Value::from(self.date(reader)?),
            (kind::TIME, _) => Value::from(time(reader)?),
            (kind::NULL, _) => Value::Null,
            (kind::BIT, _) => bits(reader.counted()?)?,
            (kind::JSON, _) => json(text(reader.counted()?)?),
            (kind::GEOMETRY, _) => Value::from(STANDARD.encode(reader.counted()?)),
            (kind, _) => self.string(kind, reader.counted()?)?,
        })
    }

    /// Only of texts the character set says whether they are bytes: decimals have none either.
    fn string(&self, kind: u8, bytes: &[u8]) -> Result<Value, SourceError> {
        let may_be_bytes =
            kind::BLOBS.contains(&kind) || matches!(kind, kind::VAR_STRING | kind::STRING | 15);
        if self.binary && may_be_bytes && kind != kind::NEWDECIMAL {
            return Ok(Value::from(STANDARD.encode(bytes)));
        }
        text(bytes).map(Value::from)
    }

    /// A date, or a date with a time; the session's zone is UTC.
    fn date(&self, reader: &mut Reader<'_>) -> Result<String, SourceError> {
        let length = reader.u8()?;
        let (mut date, mut time) = ([0; 4], [0; 3]);
        if length >= 4 {
            date = reader.fixed()?;
        }
        if length >= 7 {
            time = reader.fixed()?;
        }
        let micros = if length >= 11 { reader.u32()? } else { 0 };
        let [year_low, year_high, month, day] = date;
        let year = u16::from_le_bytes([year_low, year_high]);
        let date = format!("{year:04}-{month:02}-{day:02}");
        if self.kind == kind::DATE {
            return Ok(date);
        }
        let [hours, minutes, seconds] = time;
        let zone = if self.kind == kind::TIMESTAMP { "Z" } else { "" };
        let fraction = fraction(micros);
        Ok(format!("{date}T{hours:02}:{minutes:02}:{seconds:02}{fraction}{zone}"))
    }
}

/// A time of day, or a span of up to 838 hours, with its sign.
fn time(reader: &mut Reader<'_>) -> Result<String, SourceError> {
    let length = reader.u8()?;
    if length == 0 {
        return Ok("00:00:00".to_owned());
    }
    let sign = if reader.u8()? == 0 { "" } else { "-" };
    let days = reader.u32()?;
    let [hours, minutes, seconds] = reader.fixed()?;
    let micros = if length >= 12 { reader.u32()? } else { 0 };
    let hours = u64::from(days) * 24 + u64::from(hours);
    Ok(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(micros)))
}

/// Decimals of a second, without zeros at the end.
fn fraction(micros: u32) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// Up to 64 bits as a number.
fn bits(bytes: &[u8]) -> Result<Value, SourceError> {
    if bytes.len() > 8 {
        return Err(SourceError::Protocol);
    }
    Ok(Value::from(bytes.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte))))
}

fn text(bytes: &[u8]) -> Result<&str, SourceError> {
    std::str::from_utf8(bytes).map_err(|_| SourceError::Protocol)
}

/// The values of a row; the nulls are marked in front, beginning with the third bit.
pub(super) fn row(columns: &[Column], packet: &[u8]) -> Result<Vec<Value>, SourceError> {
    let mut reader = Reader::new(packet);
    if reader.u8()? != 0 {
        return Err(SourceError::Protocol);
    }
    let nulls = reader.take((columns.len() + 9) / 8)?;
    let is_null = |at: usize| {
        let bit = at + 2;
        nulls.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
    };
    let mut value = |(at, column): (usize, &Column)| match is_null(at) {
        true => Ok(Value::Null),
        false => column.read(&mut reader),
    };
    columns.iter().enumerate().map(&mut value).collect()
}
