//! Request bodies: bounded, of a known type, and read strictly.

use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Limited};
use keyward_model::catalogue;
use keyward_model::json;
use keyward_model::workflow::{self, yaml};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The largest body of a trigger, and of the API where nothing smaller is said.
pub(crate) const MAX_BODY: usize = 6 * 1024 * 1024;

/// A JSON body as a `T`.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if media_type(&parts.headers).is_some_and(|kind| !is_json(&kind)) {
            return Err(unsupported("application/json"));
        }
        let body = collect(body, MAX_BODY).await?;
        Ok(Self(json::read(&body)?))
    }
}

/// A JSON body as a `T`; where nothing was sent, the `T` that says nothing.
pub(crate) struct JsonIfSent<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonIfSent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = collect(body, MAX_BODY).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if media_type(&parts.headers).is_some_and(|kind| !is_json(&kind)) {
            return Err(unsupported("application/json"));
        }
        Ok(Self(json::read(&body)?))
    }
}

/// A workflow definition, JSON or YAML.
pub(crate) struct Document(pub(crate) Value);

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = media_type(&parts.headers).unwrap_or_default();
        let body = collect(body, workflow::MAX_BYTES).await?;
        if kind.ends_with("yaml") {
            let document = yaml::parse(&body)
                .map_err(|fault| Problem::new("invalid_request", fault.to_string()))?;
            return Ok(Self(document));
        }
        if !kind.is_empty() && !is_json(&kind) {
            return Err(unsupported("application/json or application/yaml"));
        }
        Ok(Self(json::parse(&body).map_err(json::Faults::from)?))
    }
}

/// An app's manifest as text, JSON or YAML; what says that it is JSON is.
pub(crate) struct ManifestText(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for ManifestText {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let kind = media_type(&parts.headers).unwrap_or_default();
        let is_yaml = kind.ends_with("yaml");
        if !is_yaml && !kind.is_empty() && !is_json(&kind) {
            return Err(unsupported("application/json or application/yaml"));
        }
        let body = collect(body, catalogue::MAX_MANIFEST_BYTES).await?;
        if !is_yaml {
            json::parse(&body).map_err(json::Faults::from)?;
        }
        let text = std::str::from_utf8(&body);
        let text =
            text.map_err(|_| Problem::new("invalid_request", "the body is not valid UTF-8"))?;
        Ok(Self(text.to_owned()))
    }
}

/// The media type without its parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// `application/json` and its relatives (`+json`).
pub(crate) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}

/// Reads a body up to its limit.
pub(crate) async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("the body may have at most {limit} bytes");
            Err(Problem::new("payload_too_large", detail))
        }
        Err(_) => Err(Problem::new("invalid_request", "the body ended early or cannot be read")),
    }
}

fn unsupported(wanted: &str) -> Problem {
    Problem::new("unsupported_media_type", format!("send the body as {wanted}"))
}
