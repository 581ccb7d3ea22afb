//! What goes into statements and comes out of rows: text, integers, bytes and null, nothing else.

use crate::error::StoreError;
use keyward_model::clock::Timestamp;
use keyward_model::id;
use keyward_model::mask::Masked;
use keyward_model::tag::Tag;
use std::borrow::Cow;
use std::str::FromStr;

/// One parameter or cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// Builds a statement's parameters.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::value::Value::from($value)),*] };
}
pub(crate) use values;

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.millis())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value.into())
    }
}

impl<'a> From<&'a Tag> for Value<'a> {
    fn from(value: &'a Tag) -> Self {
        Self::Bytes(value.as_slice().into())
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value.into())
    }
}

impl<'a> From<&'a Masked> for Value<'a> {
    /// PostgreSQL's text holds no NUL, and what a step wrote must not keep its run from ending.
    fn from(value: &'a Masked) -> Self {
        let text = value.as_str();
        match text.contains('\0') {
            true => Self::Text(text.replace('\0', "\u{fffd}").into()),
            false => Self::Text(text.into()),
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! ids {
    ($($name:ident)*) => {$(
        impl From<id::$name> for Value<'_> {
            fn from(id: id::$name) -> Self { Self::Text(id.to_string().into()) }
        }
    )*};
}
ids!(
    WorkspaceId MemberId AccountId SessionId InvitationId TokenId CredentialId WorkflowId RunId
    AuditId NodeId StreamId KeyId
);

/// One row of an answer.
pub(crate) type Row = Vec<Value<'static>>;

/// Reads a row's cells one after the other; what does not fit is `StoreError::Corrupt`.
pub(crate) struct Cells {
    table: &'static str,
    key: String,
    cells: std::vec::IntoIter<Value<'static>>,
}

impl Cells {
    /// A row of `table`; its first two cells serve to name it in errors.
    pub(crate) fn new(table: &'static str, row: Row) -> Self {
        let is_id = |text: &str| {
            text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        let texts = row.iter().take(2).filter_map(|cell| match cell {
            Value::Text(text) if is_id(text) => Some(text.as_ref()),
            _ => None,
        });
        let key = texts.collect::<Vec<_>>().join("/");
        Self { table, key, cells: row.into_iter() }
    }

    /// What names the row in errors.
    pub(crate) fn into_key(self) -> String {
        self.key
    }

    pub(crate) fn corrupt(&self) -> StoreError {
        StoreError::Corrupt { table: self.table, key: self.key.clone() }
    }

    fn next(&mut self) -> Result<Value<'static>, StoreError> {
        self.cells.next().ok_or_else(|| self.corrupt())
    }

    pub(crate) fn number(&mut self) -> Result<i64, StoreError> {
        self.optional_number()?.ok_or_else(|| self.corrupt())
    }

    pub(crate) fn optional_number(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Value::Integer(value) => Ok(Some(value)),
            Value::Null => Ok(None),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn flag(&mut self) -> Result<bool, StoreError> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_millis)
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_number()?.map(Timestamp::from_millis))
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or_else(|| self.corrupt())
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Value::Text(value) => Ok(Some(value.into_owned())),
            Value::Null => Ok(None),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional_bytes()?.ok_or_else(|| self.corrupt())
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Value::Bytes(value) => Ok(Some(value.into_owned())),
            Value::Null => Ok(None),
            _ => Err(self.corrupt()),
        }
    }

    pub(crate) fn tag(&mut self) -> Result<Tag, StoreError> {
        Tag::try_from(self.bytes()?).map_err(|_| self.corrupt())
    }

    /// An id, or anything else that reads itself from text.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, StoreError> {
        self.text()?.parse().map_err(|_| self.corrupt())
    }

    pub(crate) fn optional_parsed<T: FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        let text = self.optional_text()?;
        text.map(|text| text.parse().map_err(|_| self.corrupt())).transpose()
    }

    /// A word from a fixed list.
    pub(crate) fn word<T>(&mut self, parse: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(&self.text()?).ok_or_else(|| self.corrupt())
    }

    pub(crate) fn optional_word<T>(
        &mut self,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let text = self.optional_text()?;
        text.map(|text| parse(&text).ok_or_else(|| self.corrupt())).transpose()
    }
}
