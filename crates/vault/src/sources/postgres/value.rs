//! Values of a row as JSON: numbers where JSON has them, else text as ISO 8601 and PostgreSQL write
//! it, bytes in base64.

mod numeric;
mod time;

use super::binary::Reader;
use super::params::base;
use crate::sources::rows::{float, json, short_float};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio_postgres::types::{FromSql, Kind, Type};

/// A value as it came.
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether [`read`] knows the type.
pub(super) fn is_read(kind: &Type) -> bool {
    let kind = base(kind);
    match kind.kind() {
        Kind::Enum(_) => true,
        Kind::Array(member) => is_read(member),
        Kind::Simple | Kind::Pseudo => is_text(kind) || SCALARS.contains(kind),
        _ => false,
    }
}

const SCALARS: &[Type] = &[
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::BYTEA,
    Type::JSON,
    Type::JSONB,
    Type::UUID,
    Type::DATE,
    Type::TIME,
    Type::TIMETZ,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::INTERVAL,
    Type::INET,
    Type::CIDR,
    Type::VOID,
];

/// Types whose binary form is their text.
fn is_text(kind: &Type) -> bool {
    matches!(
        *kind,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML
    ) || kind.name() == "citext"
}

/// The value of a type that [`is_read`]; none where the bytes are not of that type.
pub(super) fn read(kind: &Type, raw: &[u8]) -> Option<Value> {
    let kind = base(kind);
    if let Kind::Array(member) = kind.kind() {
        return array(member, raw);
    }
    if is_text(kind) || matches!(kind.kind(), Kind::Enum(_)) {
        return std::str::from_utf8(raw).ok().map(Value::from);
    }
    let mut reader = Reader::new(raw);
    let value = match *kind {
        Type::BOOL => Value::from(reader.fixed()? != [0]),
        Type::INT2 => Value::from(reader.i16()?),
        Type::INT4 => Value::from(reader.i32()?),
        Type::INT8 => Value::from(reader.i64()?),
        Type::OID => Value::from(reader.fixed().map(u32::from_be_bytes)?),
        Type::FLOAT4 => short_float(reader.fixed().map(f32::from_be_bytes)?),
        Type::FLOAT8 => float(reader.fixed().map(f64::from_be_bytes)?),
        Type::NUMERIC => Value::from(numeric::text(&mut reader)?),
        Type::UUID => Value::from(uuid(reader.fixed()?)),
        Type::DATE => Value::from(time::date(reader.i32()?)),
        Type::TIME => Value::from(time::time(reader.i64()?)),
        Type::TIMETZ => Value::from(time::time(reader.i64()?) + &time::zone(reader.i32()?)),
        Type::TIMESTAMP => Value::from(time::timestamp(reader.i64()?, "")),
        Type::TIMESTAMPTZ => Value::from(time::timestamp(reader.i64()?, "Z")),
        Type::INTERVAL => {
            let (micros, days, months) = (reader.i64()?, reader.i32()?, reader.i32()?);
            Value::from(time::interval(months, days, micros))
        }
        Type::INET | Type::CIDR => Value::from(network(&mut reader)?),
        Type::VOID => Value::Null,
        Type::BYTEA => return Some(Value::from(STANDARD.encode(raw))),
        Type::JSON => return std::str::from_utf8(raw).ok().map(json),
        // The first byte is the version of the form.
        Type::JSONB => return std::str::from_utf8(raw.strip_prefix(&[1])?).ok().map(json),
        _ => return None,
    };
    reader.is_empty().then_some(value)
}

fn array(member: &Type, raw: &[u8]) -> Option<Value> {
    let mut reader = Reader::new(raw);
    let dimensions = reader.i32()?;
    let (_has_nulls, _member) = (reader.i32()?, reader.i32()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(reader.i32()?).ok()?);
        let _first_index = reader.i32()?;
    }
    if lengths.is_empty() {
        return Some(Value::Array(Vec::new()));
    }
    members(member, &lengths, &mut reader)
}

fn members(member: &Type, lengths: &[usize], reader: &mut Reader<'_>) -> Option<Value> {
    let Some((length, inner)) = lengths.split_first() else {
        let size = reader.i32()?;
        return match usize::try_from(size) {
            Ok(size) => read(member, reader.take(size)?),
            Err(_) => Some(Value::Null),
        };
    };
    (0..*length).map(|_| members(member, inner, reader)).collect::<Option<_>>().map(Value::Array)
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let ends = [8, 12, 16, 20, 32];
    let starts = [0, 8, 12, 16, 20];
    let parts: Vec<&str> =
        starts.into_iter().zip(ends).filter_map(|(from, to)| hex.get(from..to)).collect();
    parts.join("-")
}

/// An address, with its prefix where that says something.
fn network(reader: &mut Reader<'_>) -> Option<String> {
    let [_family, prefix, is_cidr, length] = reader.fixed()?;
    let (address, full) = match length {
        4 => (IpAddr::V4(Ipv4Addr::from(reader.fixed::<4>()?)), 32),
        16 => (IpAddr::V6(Ipv6Addr::from(reader.fixed::<16>()?)), 128),
        _ => return None,
    };
    let whole = is_cidr == 0 && prefix == full;
    Some(if whole { address.to_string() } else { format!("{address}/{prefix}") })
}
