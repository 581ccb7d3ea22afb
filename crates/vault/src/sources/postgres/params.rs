//! JSON values as parameters: in their text forms, which the server reads as the types that its
//! statement asks for.

use crate::sources::SourceError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use data_encoding::HEXLOWER;
use serde_json::Value;
use std::error::Error;
use std::fmt;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// A parameter in the text form of its type.
pub(super) struct Text(String);

impl fmt::Debug for Text {
    /// The client would log it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text(..)")
    }
}

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// One text, or null, for each parameter of the statement.
pub(super) fn texts(params: &[Value], types: &[Type]) -> Result<Vec<Option<Text>>, SourceError> {
    if params.len() != types.len() {
        let (given, wanted) = (params.len(), types.len());
        return Err(SourceError::ParameterCount { given, wanted });
    }
    let text = |(at, (value, kind)): (usize, (&Value, &Type))| {
        let text = text(value, kind);
        let text = text.map_err(|problem| SourceError::Parameter { number: at + 1, problem })?;
        Ok(text.map(Text))
    };
    params.iter().zip(types).enumerate().map(text).collect()
}

fn text(value: &Value, kind: &Type) -> Result<Option<String>, &'static str> {
    let kind = base(kind);
    let is_json = matches!(*kind, Type::JSON | Type::JSONB);
    Ok(Some(match (value, kind.kind()) {
        (Value::Null, _) => return Ok(None),
        (value, _) if is_json => value.to_string(),
        (Value::Array(items), Kind::Array(member)) => array(items, member)?,
        (Value::String(text), _) if *kind == Type::BYTEA => {
            let bytes = STANDARD.decode(text).map_err(|_| "is not the base64 of bytes")?;
            format!("\\x{}", HEXLOWER.encode(&bytes))
        }
        (Value::String(text), _) => text.clone(),
        (Value::Bool(_) | Value::Number(_), _) => value.to_string(),
        (Value::Array(_), _) => return Err("is an array, and the statement takes none there"),
        (Value::Object(_), _) => return Err("is an object, and the statement takes no JSON there"),
    }))
}

/// The array literal of PostgreSQL; quoted where a member could be read as something else.
fn array(items: &[Value], member: &Type) -> Result<String, &'static str> {
    let mut literal = String::from("{");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            literal.push(',');
        }
        match item {
            // An array in an array is one of more dimensions, whose type is the same.
            Value::Array(items) if !matches!(*base(member), Type::JSON | Type::JSONB) => {
                literal.push_str(&array(items, member)?);
            }
            item => match text(item, member)? {
                None => literal.push_str("NULL"),
                Some(text) => {
                    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                    literal.extend(["\"", &text, "\""]);
                }
            },
        }
    }
    literal.push('}');
    Ok(literal)
}

/// The type that a domain restricts.
pub(super) fn base(kind: &Type) -> &Type {
    match kind.kind() {
        Kind::Domain(inner) => base(inner),
        _ => kind,
    }
}
