//! An operation of the API: method, path, handler, and what the documentation and the generated
//! tests need to know of it.

use crate::router::Api;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use keyward_model::permission::Act;
use keyward_model::policy::Ability;
use schemars::{JsonSchema, Schema, SchemaGenerator};

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Members whose role has the ability.
    Member(Ability),
    /// Members who may do this with the credential that the path names.
    Credential(Act),
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) body: Option<(&'static str, SchemaOf)>,
    pub(crate) answer: (u16, &'static str, Option<SchemaOf>),
    pub(crate) problems: &'static [&'static str],
    pub(crate) handler: MethodRouter<Api>,
}

impl Operation {
    /// An operation; its id is also the name of its file's function in the documentation.
    pub(crate) fn new<H, T>(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
        access: Access,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        // Every method used in this crate has a filter.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        Self {
            method,
            path,
            id,
            summary,
            access,
            query: &[],
            body: None,
            answer: (204, "application/json", None),
            problems: &[],
            handler: on(filter, handler),
        }
    }

    /// What the query may hold: names and meanings.
    pub(crate) fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    /// The JSON body.
    pub(crate) fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(("application/json", |generator| generator.subschema_for::<T>()));
        self
    }

    /// The JSON answer with its status.
    pub(crate) fn answer<T: JsonSchema>(mut self, status: u16) -> Self {
        let schema: SchemaOf = |generator| generator.subschema_for::<T>();
        self.answer = (status, "application/json", Some(schema));
        self
    }

    /// An answer of another media type.
    pub(crate) fn answer_as(mut self, status: u16, media_type: &'static str) -> Self {
        self.answer = (status, media_type, None);
        self
    }

    /// Problem codes beside those that every operation of its kind has.
    pub(crate) fn problems(mut self, problems: &'static [&'static str]) -> Self {
        self.problems = problems;
        self
    }
}
