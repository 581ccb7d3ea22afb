//! `http` steps: one request, described by templates.

use super::credential::CredentialInput;
use super::node::{Node, Object, is_reference};
use crate::template::{Context, Template, TemplateError, TemplatedValue};
use serde_json::Value;
use std::fmt;
use url::Url;

/// The members of an `http` step.
pub(super) const MEMBERS: &[&str] = &["credential", "request"];

/// Sends one request and gives `{"status","headers","body"}`.
#[derive(Debug)]
pub struct HttpStep {
    /// What the request is authenticated with.
    pub credential: Option<CredentialInput>,
    /// The request.
    pub request: Request,
}

/// A request with holes.
#[derive(Debug)]
pub struct Request {
    /// The method; `GET` where none is given.
    pub method: Method,
    /// The URL; its scheme and host may come from data.
    pub url: Template,
    /// Header names and values: an object of strings, numbers and booleans.
    pub headers: TemplatedValue,
    /// Query parameters beside the URL's own: an object of strings, numbers, booleans, and arrays of
    /// these for a parameter that is repeated.
    pub query: TemplatedValue,
    /// The body.
    pub body: Option<Body>,
}

/// A request's body.
#[derive(Debug)]
pub enum Body {
    /// `json`: any value, sent as `application/json`.
    Json(TemplatedValue),
    /// `form`: as `query`, sent as `application/x-www-form-urlencoded`.
    Form(TemplatedValue),
    /// `text`: sent as it is, `text/plain` unless a header says otherwise.
    Text(Template),
}

/// A request with its holes filled.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedRequest {
    /// The method.
    pub method: Method,
    /// The URL, not parsed yet.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The query parameters beside the URL's own.
    pub query: Vec<(String, String)>,
    /// The body.
    pub body: Option<RenderedBody>,
}

/// A body with its holes filled.
#[derive(Debug, Clone, PartialEq)]
pub enum RenderedBody {
    /// A JSON value.
    Json(Value),
    /// Names and values.
    Form(Vec<(String, String)>),
    /// Text.
    Text(String),
    /// Bytes, sent as `application/octet-stream` unless a header says otherwise.
    Bytes(Vec<u8>),
}

macro_rules! methods {
    ($($name:ident $text:literal,)*) => {
        /// An HTTP method (RFC 9110 §9, RFC 5789).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "UPPERCASE")]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Method { #[default] $($name,)* }

        impl Method {
            /// The method as it is sent.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            pub(super) const WORDS: &[(&str, Self)] = &[$(($text, Self::$name),)*];
        }
    };
}

methods! {
    Get "GET",
    Head "HEAD",
    Post "POST",
    Put "PUT",
    Patch "PATCH",
    Delete "DELETE",
    Options "OPTIONS",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl HttpStep {
    pub(super) fn read(step: &Object<'_>) -> Option<Self> {
        let credential = step.optional("credential", CredentialInput::read);
        let request = step.required("request").and_then(|node| Request::read(&node));
        let (credential, request) = (credential?, request?);
        let external = matches!(credential, Some(CredentialInput::External(_)));
        if external && request.literal_origin().is_none() {
            let url = step.get("request")?.open_object()?.get("url")?;
            let detail = "with external authentication the URL's host must be written out, so that \
                          the values can be bound to it";
            return url.fault("computed_host", detail);
        }
        Some(Self { credential, request })
    }
}

impl Request {
    fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["method", "url", "headers", "query", "json", "form", "text"])?;
        let method = object.or_default("method", |method| method.word(Method::WORDS));
        let url = object.required("url").and_then(|url| read_url(&url));
        let headers = read_pairs(&object, "headers", Pairs::Headers);
        let query = read_pairs(&object, "query", Pairs::Parameters);
        let body = Body::read(&object);
        let (headers, query) = (headers?, query?);
        Some(Self { method: method?, url: url?, headers, query, body: body? })
    }

    /// Scheme, host and port, where the URL's text writes them out.
    pub fn literal_origin(&self) -> Option<Url> {
        literal_origin(&self.url).and_then(Result::ok)
    }

    /// Fills the holes.
    ///
    /// # Errors
    /// The first expression that gives nothing.
    pub fn render(&self, context: &Context) -> Result<RenderedRequest, TemplateError> {
        let below = |member: &'static str| {
            move |error: TemplateError| TemplateError {
                pointer: format!("/request/{member}{}", error.pointer),
                ..error
            }
        };
        let body = match &self.body {
            None => None,
            Some(Body::Json(value)) => {
                Some(RenderedBody::Json(value.render(context).map_err(below("json"))?))
            }
            Some(Body::Form(value)) => {
                Some(RenderedBody::Form(pairs(value.render(context).map_err(below("form"))?)))
            }
            Some(Body::Text(text)) => {
                Some(RenderedBody::Text(text.render_text(context).map_err(below("text"))?))
            }
        };
        Ok(RenderedRequest {
            method: self.method,
            url: self.url.render_text(context).map_err(below("url"))?,
            headers: pairs(self.headers.render(context).map_err(below("headers"))?),
            query: pairs(self.query.render(context).map_err(below("query"))?),
            body,
        })
    }
}

/// Names and texts of an object: an array repeats its name, null leaves the name out, and what is
/// an object stands as JSON.
pub(crate) fn pairs(value: Value) -> Vec<(String, String)> {
    let Value::Object(members) = value else { return Vec::new() };
    let mut pairs = Vec::with_capacity(members.len());
    for (name, value) in members {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                pairs.extend(items.into_iter().map(|item| (name.clone(), plain_text(item))));
            }
            value => pairs.push((name, plain_text(value))),
        }
    }
    pairs
}

fn plain_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Body {
    fn read(request: &Object<'_>) -> Option<Option<Self>> {
        let given = ["json", "form", "text"].into_iter().filter(|name| request.has(name));
        if given.count() > 1 {
            return request.node.fault("invalid_value", "has more than one of json, form and text");
        }
        if request.has("json") {
            return request.member("json")?.data().map(|value| Some(Self::Json(value)));
        }
        if request.has("form") {
            return read_pairs(request, "form", Pairs::Parameters)
                .map(|form| Some(Self::Form(form)));
        }
        request.optional("text", |text| text.template().map(Self::Text))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Pairs {
    Headers,
    Parameters,
}

fn read_pairs(request: &Object<'_>, member: &str, kind: Pairs) -> Option<TemplatedValue> {
    let Some(node) = request.get(member) else {
        return TemplatedValue::compile(&Value::Object(serde_json::Map::new()), "").ok();
    };
    for (name, value) in node.open_object()?.members() {
        let fits = match value.value {
            Value::Array(items) => kind == Pairs::Parameters && items.iter().all(is_text),
            Value::Null => kind == Pairs::Parameters,
            single => is_text(single),
        };
        if !fits {
            value.fault::<()>("wrong_type", "must be a string, a number or a boolean");
        }
        if kind == Pairs::Headers {
            check_header(name, &value);
        }
    }
    node.data()
}

/// Whether a value has a plain text. A reference passes here, since `data` refuses it by name.
fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) || is_reference(value)
}

/// RFC 9110 §5.1 and §5.5: a token as name, no line break in the value.
fn check_header(name: &str, value: &Node<'_>) {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        value.fault::<()>("invalid_value", "the header's name holds a character that none may");
    }
    if value.value.as_str().is_some_and(|text| text.contains(['\r', '\n', '\0'])) {
        value.fault::<()>("invalid_value", "a header's value holds no line break");
    }
}

fn read_url(node: &Node<'_>) -> Option<Template> {
    let template = node.template()?;
    let prefix = template.literal_prefix();
    let schemes = ["https://", "http://"];
    let lower = prefix.to_ascii_lowercase();
    let begins = schemes
        .iter()
        .any(|s| lower.starts_with(s) || (!template.is_literal() && s.starts_with(&lower)));
    if !begins {
        return node.fault("invalid_url", "must begin with https:// or http://");
    }
    match literal_origin(&template) {
        Some(Err(())) => {
            node.fault("invalid_url", "is no URL with a host, or holds user name or password")
        }
        _ => Some(template),
    }
}

/// The origin, where it stands before the first hole; `Err` where that part is no URL.
fn literal_origin(template: &Template) -> Option<Result<Url, ()>> {
    let prefix = template.literal_prefix();
    let authority = prefix.split_once("://").map(|(_, rest)| rest)?;
    let ends = authority.contains(['/', '?', '#', '\\']);
    if !ends && !template.is_literal() {
        return None;
    }
    let url = Url::parse(prefix).ok();
    let url =
        url.filter(|url| url.has_host() && url.username().is_empty() && url.password().is_none());
    Some(
        url.map(|mut url| {
            url.set_path("");
            url.set_query(None);
            url.set_fragment(None);
            url
        })
        .ok_or(()),
    )
}
