//! What is sent to make or change a credential: read in two parts, so that values never pass
//! through the general reader of bodies.

use super::fields::{Given, Taken, wipe};
use crate::body::{self, MAX_BODY};
use crate::problem::Problem;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{CodeAccess, TestRequest};
use keyward_model::destination::Place;
use keyward_model::json::{self, Fault, Faults};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A JSON body as a `T`, and its `fields` apart.
pub(crate) struct Sent<T> {
    pub(crate) body: T,
    pub(crate) fields: Option<Given>,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if body::media_type(&parts.headers).is_some_and(|kind| !body::is_json(&kind)) {
            return Err(Problem::new(
                "unsupported_media_type",
                "send the body as application/json",
            ));
        }
        let bytes = body::collect(body, MAX_BODY).await?;
        let document = json::parse(&bytes).map_err(Faults::from);
        wipe_bytes(bytes);
        Self::read(document?).map_err(Problem::invalid)
    }
}

impl<T: DeserializeOwned> Sent<T> {
    fn read(mut document: Value) -> Result<Self, Vec<Fault>> {
        let mut fields = document.get_mut("fields").map(|fields| Given::take(fields.take()));
        let body = json::read_value(&document);
        wipe(document);
        match body {
            Ok(body) => Ok(Self { body, fields }),
            Err(mut faults) => {
                faults.extend(fields.iter_mut().flat_map(Given::take_faults));
                Err(faults)
            }
        }
    }
}

/// Wipes a body where no other part of the connection still holds it.
pub(super) fn wipe_bytes(bytes: Bytes) {
    if bytes.is_unique() {
        wipe(String::from_utf8(bytes.into()).map_or(Value::Null, Value::String));
    }
}

/// The body that replaces a credential's value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewValue {
    /// All secret fields; plain fields that are not named stay as they are.
    #[expect(
        dead_code,
        reason = "says that the member is needed; its values are taken out before"
    )]
    fields: Taken,
    /// When the new value stops working; never if not said.
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
}

/// Where a credential counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentScope {
    /// `workspace` or `workflow`.
    pub(crate) kind: String,
    /// The workflow's id, for `workflow`.
    #[serde(default)]
    pub(crate) workflow: Option<String>,
}

/// The members of a credential that can be sent, each only if it is there.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CredentialChanges")]
pub(crate) struct Members {
    /// What steps name: a letter and up to 127 more of A-Z a-z 0-9 _ . -
    #[serde(deserialize_with = "there")]
    pub(crate) key: Option<String>,
    /// `api_key`, `basic` or `custom`.
    #[serde(rename = "type", deserialize_with = "there")]
    pub(crate) kind: Option<String>,
    /// An app's id.
    pub(crate) app: Option<String>,
    /// One of the app's schemes.
    pub(crate) scheme: Option<String>,
    /// Where it counts; the workspace if not said.
    #[serde(deserialize_with = "there")]
    pub(crate) scope: Option<SentScope>,
    fields: Option<Taken>,
    /// The name that people read, up to 200 characters; the key if not said.
    #[serde(deserialize_with = "there")]
    pub(crate) name: Option<String>,
    /// Free text, up to 10,000 characters.
    #[serde(deserialize_with = "there")]
    pub(crate) description: Option<String>,
    /// `prod`, `staging`, `dev` or free text, up to 64 characters.
    #[serde(deserialize_with = "there")]
    pub(crate) environment: Option<String>,
    /// Up to 32 labels of up to 64 characters.
    #[serde(deserialize_with = "there")]
    pub(crate) tags: Option<Vec<String>>,
    /// Where values may go: `api.example.com`, `*.example.com`, `host:port`, `http://host:port`.
    #[serde(deserialize_with = "there")]
    pub(crate) hosts: Option<Vec<String>>,
    /// With which methods; any if empty.
    #[serde(deserialize_with = "there")]
    pub(crate) methods: Option<Vec<String>>,
    /// On which paths, `*` for any characters; any if empty.
    #[serde(deserialize_with = "there")]
    pub(crate) paths: Option<Vec<String>>,
    /// In which parts of a request; header, query and body if empty.
    #[serde(deserialize_with = "there")]
    pub(crate) places: Option<Vec<Place>>,
    /// What code gets; `sealed` if not said.
    #[serde(deserialize_with = "there")]
    pub(crate) code_access: Option<CodeAccess>,
    /// When it stops working; null for never.
    #[serde(deserialize_with = "nullable")]
    #[schemars(with = "Option<Timestamp>")]
    pub(crate) expires_at: Option<Option<Timestamp>>,
    /// For `custom`: `{"headers":{},"query":{},"json":{}}` with `{{ field }}` holes; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schemars(with = "Option<Value>")]
    pub(crate) template: Option<Option<Value>>,
    /// A request that tests it; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schemars(with = "Option<TestRequest>")]
    pub(crate) test: Option<Option<TestRequest>>,
}

/// A member that may be left out but not null.
fn there<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A member whose null means something else than its absence.
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check<T: DeserializeOwned>(sent: &Value, expected: &[(&str, &str)]) {
        let found = Sent::<T>::read(sent.clone()).err().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        assert_eq!(found, expected, "{sent}");
    }

    #[test]
    fn fields_are_taken_out_and_the_rest_is_read_strictly() {
        let sent = Sent::<Members>::read(json!({"key": "K", "fields": {"value": "v"}}));
        let sent = sent.expect("it fits");
        assert_eq!(sent.body.key.as_deref(), Some("K"));
        assert!(sent.fields.is_some());
        check::<Members>(&json!({}), &[]);
        check::<Members>(&json!([]), &[("", "wrong_type")]);
        check::<Members>(&json!({"field": {}}), &[("/field", "unknown_member")]);
        check::<Members>(
            &json!({"x": 1, "name": 2, "fields": {"value": 3}}),
            &[("/x", "unknown_member"), ("/name", "wrong_type"), ("/fields/value", "wrong_type")],
        );
        check::<NewValue>(&json!({"fields": {"value": "v"}}), &[]);
        check::<NewValue>(&json!({}), &[("/fields", "missing")]);
        check::<NewValue>(
            &json!({"fields": {"value": "v"}, "hosts": []}),
            &[("/hosts", "unknown_member")],
        );
    }

    #[test]
    fn absence_and_null_are_told_apart() {
        let read = |sent: Value| Sent::<Members>::read(sent).expect("it fits").body;
        assert_eq!(read(json!({})).expires_at, None);
        assert_eq!(read(json!({"expires_at": null})).expires_at, Some(None));
        assert_eq!(read(json!({"test": null, "template": null})).test, Some(None));
        check::<Members>(&json!({"hosts": null}), &[("/hosts", "wrong_type")]);
    }
}
