//! Rendering an app's requests and reading its answers: pure, so that steps, connection tests and
//! linked credentials do the same.

use super::{Action, Body, LeaseCall, NextPage, Request, SignIn, TestCall};
use crate::template::{
    Context, Path, Root, Segment, Template, TemplateError, TemplatedValue, is_true,
};
use crate::workflow::http::pairs;
use crate::workflow::{RenderedBody, RenderedRequest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// For so long what a sign-in gives is kept where neither manifest nor answer says anything.
const SIGNED_IN_SECONDS: u64 = 300;

/// Why a request cannot be made of the inputs. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A template gives nothing.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// An input would change the path of the URL.
    #[error("input \"{0}\" stands in the URL's path, so it cannot be empty, `.` or `..`")]
    PathInput(String),
    /// An input is no base64.
    #[error("the content is not valid base64")]
    Base64,
}

/// Why an answer is none that the action promises. Holds no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service says that it did not do it; with its words, if it has any.
    #[error("the service refused")]
    Refused {
        /// What it says is wrong; not masked yet.
        said: Option<String>,
        /// Whether it refused the credential.
        rejected: bool,
    },
    /// The answer has another form.
    #[error("the service answered in another form than expected: {0}")]
    Unexpected(TemplateError),
    /// The answer is a page for people.
    #[error("the service answered with a page of HTML")]
    Page,
}

/// One answer's worth of a list, and what to ask next.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Value>,
    /// The next request, if there is more.
    pub next: Option<RenderedRequest>,
}

impl Request {
    /// Fills the holes.
    ///
    /// # Errors
    /// The first template that gives nothing, or an input that does not fit where it stands.
    pub fn render(&self, context: &Context) -> Result<RenderedRequest, RequestError> {
        let headers = pairs(self.headers.render_given(context)?);
        let query = pairs(self.query.render_given(context)?);
        let body = match &self.body {
            None => None,
            Some(Body::Json(value)) => Some(RenderedBody::Json(value.render_given(context)?)),
            Some(Body::Form(value)) => Some(RenderedBody::Form(flat(value.render_given(context)?))),
            Some(Body::Text(text)) => Some(RenderedBody::Text(text.render_text(context)?)),
            Some(Body::Base64(text)) => {
                let text = text.render_text(context)?;
                let bytes = data_encoding::BASE64.decode(text.as_bytes());
                Some(RenderedBody::Bytes(bytes.map_err(|_| RequestError::Base64)?))
            }
        };
        Ok(RenderedRequest { method: self.method, url: self.url(context)?, headers, query, body })
    }

    fn url(&self, context: &Context) -> Result<String, RequestError> {
        let mut refused = None;
        let mut write = |reads: &[Path], text: String| {
            let input = reads.iter().find(|path| path.root == Root::Inputs);
            let Some(input) = input else { return Some(text) };
            let name = match input.segments.first() {
                Some(Segment::Member(name)) => name.clone(),
                _ => String::new(),
            };
            let deep = self.path_inputs.contains(&name);
            let written = if deep { segments(&text) } else { segment(&text) };
            if written.is_none() {
                refused = Some(name);
            }
            written
        };
        let url = self.url.render_with(context, &mut write)?;
        url.ok_or_else(|| RequestError::PathInput(refused.unwrap_or_default()))
    }
}

/// One segment of a path (RFC 3986 §3.3), everything but unreserved characters encoded.
fn segment(text: &str) -> Option<String> {
    if matches!(text, "" | "." | "..") {
        return None;
    }
    let encoded = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    });
    Some(encoded.collect())
}

fn segments(text: &str) -> Option<String> {
    let parts: Option<Vec<_>> = text.split('/').map(segment).collect();
    parts.map(|parts| parts.join("/"))
}

/// A form's names and texts; what is nested is written `a[b]`, as most vendors read it.
fn flat(value: Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Value::Object(members) = value {
        members.into_iter().for_each(|(name, value)| flatten(name, value, &mut out));
    }
    out
}

fn flatten(name: String, value: Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(members) => members
            .into_iter()
            .for_each(|(member, value)| flatten(format!("{name}[{member}]"), value, out)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items
                .into_iter()
                .enumerate()
                .for_each(|(at, item)| flatten(format!("{name}[{at}]"), item, out));
        }
        other => out.extend(pairs(Value::Object(Map::from_iter([(name, other)])))),
    }
}

/// `answer` as the templates of a manifest see it; header names are in lower case.
pub fn answer(status: u16, headers: Map<String, Value>, body: Value) -> Arc<Value> {
    let mut answer = Map::with_capacity(3);
    answer.insert("status".into(), status.into());
    answer.insert("headers".into(), Value::Object(headers));
    answer.insert("body".into(), body);
    Arc::new(Value::Object(answer))
}

fn status(context: &Context) -> u64 {
    let path = Path { root: Root::Answer, segments: vec![Segment::Member("status".into())] };
    context.lookup(&path).and_then(Value::as_u64).unwrap_or_default()
}

/// Whether an answer says that it worked; an expression that reads what is not there says no.
fn worked(ok: Option<&Template>, context: &Context) -> bool {
    let holds = |template: &Template| template.render(context).is_ok_and(|v| is_true(&v));
    status(context) < 400 && ok.is_none_or(holds)
}

impl Request {
    /// Whether it is answered with a page of HTML that nobody asked for: as gateways, sign-in pages
    /// and notices of maintenance answer, with a status that says that all is well.
    fn is_passed_over(&self, context: &Context) -> bool {
        let member = |name: &str| Segment::Member(name.into());
        let read = |segments| {
            let path = Path { root: Root::Answer, segments };
            context.lookup(&path).and_then(Value::as_str).unwrap_or_default()
        };
        let kind = read(vec![member("headers"), member("content-type")]);
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let kinds = ["", "text/html", "application/xhtml+xml", "application/json"];
        let body = read(vec![member("body")]).trim_start().chars().take(14);
        let body = body.collect::<String>().to_ascii_lowercase();
        let is_page = body.starts_with("<!doctype html") || body.starts_with("<html");
        !self.takes_pages && status(context) < 400 && kinds.contains(&kind.as_str()) && is_page
    }
}

impl Action {
    /// The output of an action, given its answer.
    ///
    /// # Errors
    /// Where the service says no, or answers in another form.
    pub fn output(&self, context: &Context) -> Result<Value, CallError> {
        self.check(context)?;
        let body = Path { root: Root::Answer, segments: vec![Segment::Member("body".into())] };
        match &self.output {
            Some(output) => output.render(context).map_err(CallError::Unexpected),
            None => Ok(context.lookup(&body).cloned().unwrap_or(Value::Null)),
        }
    }

    /// Whether its output is a list that may have several pages.
    pub fn is_paged(&self) -> bool {
        self.pagination.is_some()
    }

    /// One page of a list, and the request for the next one.
    ///
    /// # Errors
    /// As [`Action::output`].
    pub fn page(&self, context: &Context, sent: &RenderedRequest) -> Result<Page, CallError> {
        self.check(context)?;
        let Some(next) = &self.pagination else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let items = match next.items.render(context).map_err(CallError::Unexpected)? {
            Value::Array(items) => items,
            other => vec![other],
        };
        Ok(Page { items, next: next.request(context, sent) })
    }

    fn check(&self, context: &Context) -> Result<(), CallError> {
        if self.request.as_ref().is_some_and(|request| request.is_passed_over(context)) {
            return Err(CallError::Page);
        }
        if worked(self.ok.as_ref(), context) {
            return Ok(());
        }
        let holds = |template: &Template| template.render(context).is_ok_and(|v| is_true(&v));
        let rejected = match &self.rejected {
            Some(rejected) => status(context) == 401 || holds(rejected),
            None => matches!(status(context), 401 | 403),
        };
        let said = self.error.as_ref().and_then(|error| error.render_text(context).ok());
        let said =
            said.map(|text| text.chars().take(500).collect()).filter(|t: &String| !t.is_empty());
        Err(CallError::Refused { said, rejected })
    }
}

impl NextPage {
    fn request(&self, context: &Context, sent: &RenderedRequest) -> Option<RenderedRequest> {
        let mut next = sent.clone();
        if self.link_header {
            next.url = joined(&sent.url, &link(context)?)?;
            next.query = Vec::new();
            return Some(next);
        }
        if let Some(url) = &self.url {
            let url = url.render_text(context).ok().filter(|url| !url.is_empty() && url != "null");
            next.url = joined(&sent.url, &url?)?;
            next.query = Vec::new();
            return Some(next);
        }
        let (query, json) = (given(&self.query, context)?, given(&self.json, context)?);
        if query.is_empty() && json.is_empty() {
            return None;
        }
        let query: BTreeMap<String, String> = pairs(Value::Object(query)).into_iter().collect();
        next.query.retain(|(name, _)| !query.contains_key(name));
        next.query.extend(query);
        if let Some(RenderedBody::Json(Value::Object(body))) = &mut next.body {
            body.extend(json);
        }
        Some(next)
    }
}

/// A URL that may leave its beginning to the one that it was found behind (RFC 3986 §5).
fn joined(sent: &str, found: &str) -> Option<String> {
    Some(url::Url::parse(sent).ok()?.join(found).ok()?.into())
}

/// The members, all of them there and not empty; `None` where one says that there is no more.
fn given(members: &TemplatedValue, context: &Context) -> Option<Map<String, Value>> {
    let Ok(Value::Object(members)) = members.render(context) else { return None };
    let empty = |value: &Value| matches!(value, Value::Null | Value::Bool(false)) || *value == "";
    (!members.values().any(empty)).then_some(members)
}

/// The target of `rel="next"` in the answer's `Link` header (RFC 8288).
fn link(context: &Context) -> Option<String> {
    let member = |name: &str| Segment::Member(name.into());
    let path = Path { root: Root::Answer, segments: vec![member("headers"), member("link")] };
    let links = context.lookup(&path)?.as_str()?;
    let next = links.split(',').find(|link| {
        link.split(';').skip(1).any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            parameter == "rel=\"next\"" || parameter == "rel=next"
        })
    })?;
    let target = next.split_once('<')?.1.split_once('>')?.0;
    Some(target.to_owned())
}

impl TestCall {
    /// Whether the answer shows that the credential works.
    pub fn worked(&self, context: &Context) -> bool {
        let is_answered = |request: &Request| !request.is_passed_over(context);
        worked(self.ok.as_ref(), context) && self.request.as_ref().is_none_or(is_answered)
    }
}

impl SignIn {
    /// The fields that a sign-in gives and for how many seconds.
    ///
    /// # Errors
    /// As [`Action::output`].
    pub fn gives(&self, context: &Context) -> Result<(BTreeMap<String, String>, u64), CallError> {
        if !worked(self.ok.as_ref(), context) {
            let rejected = matches!(status(context), 400 | 401 | 403);
            return Err(CallError::Refused { said: None, rejected });
        }
        let field = |(name, template): (&String, &Template)| {
            let value = template.render_text(context).map_err(CallError::Unexpected)?;
            Ok((name.clone(), value))
        };
        let fields = self.gives.iter().map(field).collect::<Result<_, CallError>>()?;
        let seconds = self.seconds.as_ref().and_then(|seconds| seconds.render(context).ok());
        let seconds = seconds.as_ref().and_then(number).unwrap_or(SIGNED_IN_SECONDS);
        Ok((fields, seconds))
    }
}

impl LeaseCall {
    /// The lease that an answer speaks of: its id and for how many seconds.
    pub fn of(&self, context: &Context) -> Option<(String, u64)> {
        let id = self.id.render_text(context).ok().filter(|id| !id.is_empty())?;
        let seconds = self.seconds.render(context).ok()?;
        Some((id, number(&seconds)?))
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// What a body is sent as: its bytes and its content type.
pub fn rendered_body(body: &RenderedBody) -> (Vec<u8>, &'static str) {
    match body {
        RenderedBody::Json(value) => (value.to_string().into(), "application/json"),
        RenderedBody::Text(text) => (text.clone().into(), "text/plain; charset=utf-8"),
        RenderedBody::Bytes(bytes) => (bytes.clone(), "application/octet-stream"),
        RenderedBody::Form(pairs) => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(pairs);
            (form.finish().into(), "application/x-www-form-urlencoded")
        }
    }
}
