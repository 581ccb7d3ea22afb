//! What is sent to import credentials: the file and the values taken out before anything else reads
//! the body.

use crate::body::{self, MAX_BODY};
use crate::credentials::fields::{Given, Taken, wipe};
use crate::credentials::sent::{SentScope, wipe_bytes};
use crate::problem::Problem;
use axum::extract::{FromRequest, Request};
use keyward_model::import::{Format, Held};
use keyward_model::json::{self, Fault, Faults};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A file of another program's, and what to do with it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CredentialImport")]
pub(super) struct Body {
    /// Whose file it is.
    pub(super) format: Format,
    #[expect(dead_code, reason = "says that the member is needed; it is taken out before")]
    #[schemars(with = "String")]
    content: Taken,
    /// The key of the one credential of a file that does not say it.
    #[serde(default)]
    pub(super) key: Option<String>,
    /// Where the credentials shall count.
    #[serde(default)]
    pub(super) scope: Option<SentScope>,
    /// Whether the values of credentials that are there already are replaced; they are left out
    /// otherwise.
    #[serde(default)]
    pub(super) overwrite: bool,
    /// Whether it is done, as the preview of that digest shows it.
    #[serde(default)]
    pub(super) confirm: bool,
    /// The preview's digest.
    #[serde(default)]
    pub(super) digest: Option<String>,
    /// By key, the fields whose values the file does not hold.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Taken>")]
    #[expect(dead_code, reason = "taken out before")]
    values: Option<serde::de::IgnoredAny>,
}

/// The body with its secrets apart.
pub(super) struct SentImport {
    pub(super) body: Body,
    pub(super) content: Held,
    pub(super) values: BTreeMap<String, Given>,
}

impl<S: Send + Sync> FromRequest<S> for SentImport {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if body::media_type(&parts.headers).is_some_and(|kind| !body::is_json(&kind)) {
            let detail = "send the body as application/json";
            return Err(Problem::new("unsupported_media_type", detail));
        }
        let bytes = body::collect(body, MAX_BODY).await?;
        let document = json::parse(&bytes).map_err(Faults::from);
        wipe_bytes(bytes);
        Self::read(document?).map_err(Problem::invalid)
    }
}

impl SentImport {
    fn read(mut document: Value) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let content = match document.get_mut("content").map(Value::take) {
            Some(Value::String(text)) => Held::new(text),
            None => Held::default(),
            Some(other) => {
                wipe(other);
                faults.push(Fault::new("/content", "wrong_type", "must be a string"));
                Held::default()
            }
        };
        let mut values = BTreeMap::new();
        match document.get_mut("values").map(Value::take) {
            Some(Value::Object(members)) => {
                values.extend(members.into_iter().map(|(key, fields)| (key, Given::take(fields))));
            }
            None => {}
            Some(other) => {
                wipe(other);
                faults.push(Fault::new("/values", "wrong_type", "must be an object"));
            }
        }
        let body = json::read_value(&document);
        wipe(document);
        match body {
            Ok(body) if faults.is_empty() => Ok(Self { body, content, values }),
            Ok(_) => Err(faults),
            Err(found) => Err(faults.into_iter().chain(found).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_taken_out_and_the_rest_is_read_strictly() {
        let sent = json!({"format": "env", "content": "A=b", "values": {"A": {"value": "x"}}});
        let sent = SentImport::read(sent).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!((sent.content.as_str(), sent.body.format), ("A=b", Format::Env));
        assert_eq!(sent.values["A"].names().collect::<Vec<_>>(), ["value"]);
        let check = |sent: Value, expected: &[&str]| {
            let faults = SentImport::read(sent.clone()).err().unwrap_or_default();
            let found: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, expected, "{sent}");
            assert!(!format!("{faults:?}").contains("canary"), "{faults:?}");
        };
        check(json!({"content": "canary"}), &["/format"]);
        check(json!({"format": "env"}), &["/content"]);
        check(json!({"format": "env", "content": ["canary"]}), &["/content"]);
        check(json!({"format": "env", "content": "x", "values": "canary"}), &["/values"]);
        check(json!({"format": "canary", "content": "x"}), &["/format"]);
        check(json!({"format": "env", "content": "x", "more": 1}), &["/more"]);
    }
}
