//! Lists by key set: a page goes on after the last row of the one before, whatever was added or
//! deleted in between.

use crate::error::StoreError;
use crate::value::Value;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many rows at most.
    pub limit: u32,
    /// `Paged::next` of the page before.
    pub after: Option<String>,
}

impl Page {
    /// The first rows.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// The text to go on after as an id or number; anything else is `StoreError::BadCursor`.
    pub(crate) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, StoreError> {
        let after = self.after.as_deref();
        after.map(|text| text.parse().map_err(|_| StoreError::BadCursor)).transpose()
    }

    /// One row more than wanted tells whether there is a next page.
    pub(crate) fn probe(&self) -> i64 {
        i64::from(self.limit).saturating_add(1)
    }
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

impl<T> Paged<T> {
    pub(crate) fn cut(mut items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> String) -> Self {
        let limit = page.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// A statement put together from the filters that are set.
pub(crate) struct Select<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

impl<'a> Select<'a> {
    pub(crate) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Adds SQL in which each `?` stands for the next value.
    pub(crate) fn add<const N: usize>(&mut self, sql: &str, values: [Value<'a>; N]) -> &mut Self {
        let mut parts = sql.split('?');
        self.sql.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            self.values.push(value);
            self.sql.push('$');
            self.sql.push_str(&self.values.len().to_string());
            self.sql.push_str(part);
        }
        self
    }

    /// Adds SQL with one value where there is one.
    pub(crate) fn filter(&mut self, sql: &str, value: Option<impl Into<Value<'a>>>) -> &mut Self {
        match value {
            Some(value) => self.add(sql, [value.into()]),
            None => self,
        }
    }

    pub(crate) fn parts(&self) -> (&str, &[Value<'a>]) {
        (&self.sql, &self.values)
    }
}
