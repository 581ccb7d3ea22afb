//! Apps: services that steps act on, as data. A manifest is checked in full when it is read; what is
//! accepted is what a step can rely on. Rendering a request and reading an answer are pure.

mod call;
mod check;
mod guard;
mod host;
pub mod manifest;
pub mod openapi;
mod output;
mod own;
mod text;

pub use call::{CallError, Page, RequestError, answer, rendered_body};
pub use manifest::{
    Attach, Fallback, Field, Format, Lease, Manifest, Pagination, Protocol, Scheme, SigV4,
};
pub use output::OutputPath;
pub use own::{
    AppSource, MAX_MANIFEST_BYTES, MAX_OWN_APPS, WorkspaceApp, manifest_schema, names_app,
};
pub use text::ManifestFault;

use crate::json::{self, Fault};
use crate::json_schema::Schema;
use crate::template::{Dialect, Template, TemplatedValue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A checked app.
#[derive(Debug)]
pub struct App {
    /// What its author wrote.
    pub manifest: Manifest,
    /// The compiled schemes, in the manifest's order.
    schemes: Vec<CheckedScheme>,
    /// The compiled actions, in the manifest's order.
    actions: Vec<Action>,
}

/// A scheme with its templates compiled.
#[derive(Debug)]
struct CheckedScheme {
    sign_in: Option<SignIn>,
    test: Option<TestCall>,
}

/// A scheme of an app.
#[derive(Debug, Clone, Copy)]
pub struct SchemeOf<'a> {
    /// What its author wrote.
    pub manifest: &'a Scheme,
    /// The request that gets what the others need.
    pub sign_in: Option<&'a SignIn>,
    /// The request that shows whether a credential works.
    pub test: Option<&'a TestCall>,
}

/// A request with its templates compiled.
#[derive(Debug)]
pub struct Request {
    method: crate::workflow::Method,
    url: Template,
    path_inputs: Vec<String>,
    headers: TemplatedValue,
    query: TemplatedValue,
    body: Option<Body>,
    /// Whether its `Accept` asks for what may be a page of HTML (RFC 9110 §12.5.1).
    takes_pages: bool,
}

#[derive(Debug)]
enum Body {
    Json(TemplatedValue),
    Form(TemplatedValue),
    Text(Template),
    Base64(Template),
}

/// How a scheme gets what its requests need.
#[derive(Debug)]
pub struct SignIn {
    /// The request.
    pub request: Request,
    /// How it is authenticated itself.
    pub attach: Attach,
    ok: Option<Template>,
    gives: BTreeMap<String, Template>,
    seconds: Option<Template>,
}

/// What shows whether a credential works.
#[derive(Debug)]
pub struct TestCall {
    /// The request; nothing for what is no HTTP.
    pub request: Option<Request>,
    ok: Option<Template>,
}

/// Something that a step can do with an app.
#[derive(Debug)]
pub struct Action {
    /// Its id.
    pub id: String,
    /// Whether it only reads.
    pub reads: bool,
    /// The schemes that it works with; all where none is named.
    pub schemes: Vec<String>,
    /// The JSON Schema of its inputs.
    pub inputs: Schema,
    /// The request; nothing for what is no HTTP.
    pub request: Option<Request>,
    /// Paths of the output below which every text is secret.
    pub secret_outputs: Vec<OutputPath>,
    /// Paths below those that are plain all the same.
    pub plain_outputs: Vec<OutputPath>,
    /// Another action that is tried where this one fails.
    pub fallback: Option<manifest::Fallback>,
    /// What lends out what it reads.
    pub lease: Option<LeaseCall>,
    ok: Option<Template>,
    rejected: Option<Template>,
    error: Option<Template>,
    output: Option<TemplatedValue>,
    pagination: Option<NextPage>,
}

/// A lease with its templates compiled.
#[derive(Debug)]
pub struct LeaseCall {
    /// The request that renews it, over `credential` and `inputs.lease_id`.
    pub renew: Request,
    id: Template,
    seconds: Template,
}

#[derive(Debug)]
struct NextPage {
    items: Template,
    query: TemplatedValue,
    json: TemplatedValue,
    url: Option<Template>,
    link_header: bool,
}

impl App {
    /// Checks a manifest.
    ///
    /// # Errors
    /// Every fault found, with its place in the document.
    pub fn read(document: &Value) -> Result<Self, Vec<Fault>> {
        let manifest: Manifest = json::read_value(document)?;
        check::check(manifest)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// The scheme of that id; without an id, the only one.
    pub fn scheme(&self, id: Option<&str>) -> Option<SchemeOf<'_>> {
        let both = || self.manifest.schemes.iter().zip(&self.schemes);
        let (manifest, checked) = match id {
            Some(id) => both().find(|(scheme, _)| scheme.id == id)?,
            None if self.schemes.len() == 1 => both().next()?,
            None => return None,
        };
        let (sign_in, test) = (checked.sign_in.as_ref(), checked.test.as_ref());
        Some(SchemeOf { manifest, sign_in, test })
    }

    /// The action that a linked field reads by: the one that is named, or the first that reads.
    pub fn reading(&self, id: Option<&str>) -> Option<&Action> {
        let named = |action: &&Action| id.is_none_or(|id| action.id == id);
        self.actions.iter().filter(|action| action.reads).find(named)
    }

    /// The action of that id.
    pub fn action(&self, id: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.id == id)
    }
}

impl Action {
    /// Whether credentials of a scheme do for it.
    pub fn takes(&self, scheme: &str) -> bool {
        self.schemes.is_empty() || self.schemes.iter().any(|known| known == scheme)
    }

    /// Holds the inputs of a step against the schema, as they are written: what stands in a template
    /// is not known yet.
    pub fn check_inputs(&self, written: &Value, pointer: &str) -> Vec<Fault> {
        let is_hole = |value: &Value| value.as_str().is_some_and(|text| text.contains("{{"));
        self.inputs.check_partial(written, pointer, &is_hole)
    }
}

impl Field {
    /// Whether a value may stand here. An empty one may only where the field is not needed.
    pub fn fits(&self, value: &str) -> bool {
        let format = self.format.is_none_or(|format| format.fits(value));
        let chosen = self.one_of.is_empty() || self.one_of.iter().any(|one| one == value);
        !value.contains('\0') && format && chosen
    }
}

impl Scheme {
    /// The only secret field, where there is one.
    pub fn only_secret(&self) -> Option<&Field> {
        let mut secret = self.fields.iter().filter(|field| field.secret);
        secret.next().filter(|_| secret.next().is_none())
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// All apps that a workspace knows, by id.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(BTreeMap<String, Arc<App>>);

impl Catalogue {
    /// A catalogue of these.
    pub fn new(apps: impl IntoIterator<Item = Arc<App>>) -> Self {
        Self(apps.into_iter().map(|app| (app.id().to_owned(), app)).collect())
    }

    /// The app of that id.
    pub fn get(&self, id: &str) -> Option<&Arc<App>> {
        self.0.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<App>> {
        self.0.values()
    }

    /// This one with others; what is here already stays.
    #[must_use]
    pub fn with(&self, others: impl IntoIterator<Item = Arc<App>>) -> Self {
        let mut all = self.0.clone();
        for app in others {
            all.entry(app.id().to_owned()).or_insert(app);
        }
        Self(all)
    }
}

/// Compiles a manifest's template.
pub(crate) fn template(source: &str) -> Result<Template, crate::template::TemplateFault> {
    Template::compile_in(Dialect::Manifest, source)
}
