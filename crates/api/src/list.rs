//! Lists: `?limit=&cursor=` and filters in, `{"items","next_cursor"}` out.

use crate::problem::Problem;
use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use keyward_model::json::Fault;
use keyward_store::{Page, Paged, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

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

    /// A page of a list that is at hand as a whole, ordered by `key`; `read` reads a key from a
    /// cursor.
    pub(crate) fn cut<K: Ord + Display>(
        all: Vec<T>,
        page: &Page,
        read: impl Fn(&str) -> Option<K>,
        key: impl Fn(&T) -> K,
    ) -> Result<Self, StoreError> {
        let after = page.after.as_deref();
        let after = after.map(|text| read(text).ok_or(StoreError::BadCursor)).transpose()?;
        let limit = page.limit as usize;
        let goes_on = |item: &T| after.as_ref().is_none_or(|after| key(item) > *after);
        let rest = all.into_iter().filter(goes_on);
        let mut items: Vec<_> = rest.take(limit.saturating_add(1)).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|item| key(item).to_string());
        Ok(Self { items, next_cursor })
    }
}

/// Refuses every query parameter, for operations that know none.
pub(crate) async fn no_query(
    query: Query,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    query.done()?;
    Ok(next.run(request).await)
}

/// The parameters of a request's query, each taken once by whoever knows it.
pub(crate) struct Query {
    params: BTreeMap<String, String>,
    faults: Vec<Fault>,
    /// What is no number where one belongs: that request cannot be read.
    unreadable: Option<Problem>,
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
        Ok(Self { params, faults, unreadable: None })
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

    /// A parameter that must be a whole number of that range.
    pub(crate) fn number<N: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        range: RangeInclusive<N>,
    ) -> Option<N> {
        let is_number = self.params.get(name).is_none_or(|text| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !is_number {
            self.params.remove(name);
            let detail = format!("`{name}` must be a whole number");
            self.unreadable = Some(Problem::new("invalid_request", detail));
        }
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.read(name, &expected, |text| text.parse().ok().filter(|n| range.contains(n)))
    }

    /// `limit` and `cursor`.
    pub(crate) fn page(&mut self) -> Page {
        let limit = self.number("limit", 1..=MAX_LIMIT);
        Page { limit: limit.unwrap_or(DEFAULT_LIMIT), after: self.text("cursor") }
    }

    /// Whether everything was known and right.
    pub(crate) fn done(mut self) -> Result<(), Problem> {
        if let Some(unreadable) = self.unreadable {
            return Err(unreadable);
        }
        for _ in self.params.keys() {
            let detail = "there is no such query parameter here";
            self.faults.push(Fault::new("", "unknown_member", detail));
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_whole_list_follow_each_other() {
        let cut = |page: &Page| {
            ListOf::cut((1..=5).collect(), page, |text| text.parse::<i32>().ok(), |n| *n)
        };
        let (mut seen, mut page) = (Vec::new(), Page::first(2));
        loop {
            let list = cut(&page).expect("a page");
            seen.push(list.items);
            match list.next_cursor {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
        let bad = Page { limit: 2, after: Some("x".into()) };
        assert!(matches!(cut(&bad), Err(StoreError::BadCursor)));
    }
}
