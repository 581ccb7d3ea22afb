//! Lists: `?limit=&cursor=` and filters in, `{"items","next_cursor"}` out.

use crate::problem::Problem;
use axum::extract::FromRequestParts;
use http::request::Parts;
use keyward_model::json::Fault;
use keyward_store::{Page, Paged};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// A page of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(crate) struct ListOf<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// Give it as `cursor` for the next page; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl<T> ListOf<T> {
    /// Presents each row of a page.
    pub(crate) fn of<R>(paged: Paged<R>, present: impl FnMut(R) -> T) -> Self {
        Self { items: paged.items.into_iter().map(present).collect(), next_cursor: paged.next }
    }
}

/// The parameters of a request's query, each taken once by whoever knows it.
pub(crate) struct Query {
    params: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let (mut params, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if value.contains('\u{fffd}') || name.contains('\u{fffd}') {
                return Err(Problem::new("invalid_request", "the query is not valid UTF-8"));
            }
            if params.insert(name.to_string(), value.into_owned()).is_some() {
                faults.push(Fault::new("", "duplicate", "a query parameter is given twice"));
            }
        }
        Ok(Self { params, faults })
    }
}

impl Query {
    /// A parameter's text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.params.remove(name)
    }

    /// A parameter that must be one that `read` knows.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.params.remove(name)?;
        let value = read(&text);
        if value.is_none() {
            let detail = format!("`{name}` must be {expected}");
            self.faults.push(Fault::new(format!("/{name}"), "invalid_value", detail));
        }
        value
    }

    /// `limit` and `cursor`.
    pub(crate) fn page(&mut self) -> Page {
        let expected = format!("a number from 1 to {MAX_LIMIT}");
        let in_range = |text: &str| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
        let limit = self.read("limit", &expected, in_range);
        Page { limit: limit.unwrap_or(DEFAULT_LIMIT), after: self.text("cursor") }
    }

    /// Whether everything was known and right.
    pub(crate) fn done(mut self) -> Result<(), Problem> {
        for _ in self.params.keys() {
            let detail = "there is no such query parameter here";
            self.faults.push(Fault::new("", "unknown_member", detail));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}
