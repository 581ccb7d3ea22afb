//! What a manifest must keep to beyond its form, with every fault noted at its place.

use super::host::holes;
use super::manifest::{self, Attach, Format, Manifest, Protocol, Scheme};
use super::{
    Action, App, Body, CheckedScheme, LeaseCall, NextPage, OutputPath, Request, SignIn, TestCall,
};
use crate::credential::CredentialType;
use crate::destination::HostPattern;
use crate::json::{Fault, child};
use crate::json_schema::Schema;
use crate::template::{Dialect, Root, Template, TemplatedValue};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest number of actions of one app.
const MAX_ACTIONS: usize = 300;

/// Compiles a manifest.
pub(super) fn check(manifest: Manifest) -> Result<App, Vec<Fault>> {
    let mut faults = Faults::default();
    faults.check_names(&manifest);
    let schemes =
        manifest.schemes.iter().enumerate().map(|(at, scheme)| {
            faults.scheme(&format!("/schemes/{at}"), scheme, manifest.protocol)
        });
    let schemes: Vec<_> = schemes.collect();
    let fields: BTreeSet<String> = manifest.schemes.iter().flat_map(given).collect();
    let actions = manifest.actions.iter().enumerate().map(|(at, action)| {
        faults.action(&format!("/actions/{at}"), action, manifest.protocol, &fields)
    });
    let actions: Vec<_> = actions.collect();
    faults.fallbacks(&manifest);
    let actions: Option<Vec<Action>> = actions.into_iter().collect();
    let schemes: Option<Vec<CheckedScheme>> = schemes.into_iter().collect();
    match (schemes, actions) {
        (Some(schemes), Some(actions)) if faults.0.is_empty() => {
            Ok(App { manifest, schemes, actions })
        }
        _ => Err(faults.0),
    }
}

/// The names that `credential` has: fields, and what a sign-in gives.
fn given(scheme: &Scheme) -> Vec<String> {
    let fields = scheme.fields.iter().map(|field| field.name.clone());
    let gives = scheme.sign_in.iter().flat_map(|sign_in| sign_in.gives.keys().cloned());
    fields.chain(gives).collect()
}

/// `[a-z][a-z0-9_]*`, 64 characters at most.
fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

const ID: &str = "is written in lower-case letters, digits and `_`, begins with a letter, and has 64 \
                  characters at most";

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add<T>(&mut self, at: &str, code: &'static str, detail: impl Into<String>) -> Option<T> {
        self.0.push(Fault::new(at, code, detail));
        None
    }

    fn line(&mut self, at: &str, text: &str, most: usize) {
        if text.trim().is_empty() || text.chars().count() > most || text.contains(char::is_control)
        {
            let detail = format!("must be one line of 1 to {most} characters");
            self.add::<()>(at, "invalid_value", detail);
        }
    }

    fn https(&mut self, at: &str, text: Option<&String>) {
        let fits = |text: &String| url::Url::parse(text).is_ok_and(|url| url.scheme() == "https");
        if text.is_some_and(|text| !fits(text)) {
            self.add::<()>(at, "invalid_url", "must be an https URL");
        }
    }

    fn unique<'a>(&mut self, at: &str, ids: impl Iterator<Item = &'a str>, member: &str) {
        let mut seen = BTreeSet::new();
        for (index, id) in ids.enumerate() {
            let pointer = format!("{at}/{index}/{member}");
            if !is_id(id) {
                self.add::<()>(&pointer, "invalid_value", ID);
            } else if !seen.insert(id) {
                self.add::<()>(&pointer, "duplicate_id", "is there twice");
            }
        }
    }

    fn check_names(&mut self, manifest: &Manifest) {
        if !is_id(&manifest.id) {
            self.add::<()>("/id", "invalid_value", ID);
        }
        self.line("/name", &manifest.name, 100);
        self.line("/description", &manifest.description, 500);
        self.https("/docs", manifest.docs.as_ref());
        self.https("/status_page", manifest.status_page.as_ref());
        if manifest.icon.as_ref().is_some_and(|icon| !is_picture(icon)) {
            let detail = "must be an SVG picture of at most 8 KiB without scripts, styles, links and \
                          event handlers";
            self.add::<()>("/icon", "invalid_value", detail);
        }
        if manifest.schemes.is_empty() {
            self.add::<()>("/schemes", "missing", "names no way to authenticate");
        }
        if manifest.actions.is_empty() || manifest.actions.len() > MAX_ACTIONS {
            let detail = format!("an app has 1 to {MAX_ACTIONS} actions");
            self.add::<()>("/actions", "missing", detail);
        }
        self.unique("/schemes", manifest.schemes.iter().map(|s| s.id.as_str()), "id");
        self.unique("/actions", manifest.actions.iter().map(|a| a.id.as_str()), "id");
    }

    fn scheme(&mut self, at: &str, scheme: &Scheme, protocol: Protocol) -> Option<CheckedScheme> {
        self.line(&format!("{at}/name"), &scheme.name, 100);
        self.fields(at, scheme);
        self.hosts(at, scheme, protocol);
        let names: BTreeSet<String> = given(scheme).into_iter().collect();
        let own: BTreeSet<String> = scheme.fields.iter().map(|field| field.name.clone()).collect();
        self.attach(&format!("{at}/attach"), &scheme.attach, &names);
        let sign_in = scheme.sign_in.as_ref().map(|sign_in| {
            let at = format!("{at}/sign_in");
            self.attach(&format!("{at}/attach"), &sign_in.attach, &own);
            self.sign_in(&at, sign_in, &own)
        });
        let test = scheme.test.as_ref().map(|test| {
            let at = format!("{at}/test");
            let request = test.request.as_ref();
            let request = request.map(|r| self.request(&format!("{at}/request"), r, &names, &[]));
            let ok = self.answer(&format!("{at}/ok"), test.ok.as_ref())?;
            Some(TestCall { request: lift(request)?, ok })
        });
        Some(CheckedScheme { sign_in: lift(sign_in)?, test: lift(test)? })
    }

    fn fields(&mut self, at: &str, scheme: &Scheme) {
        let at = format!("{at}/fields");
        self.unique(&at, scheme.fields.iter().map(|field| field.name.as_str()), "name");
        if !scheme.fields.iter().any(|field| field.secret) && scheme.kind != CredentialType::Custom
        {
            self.add::<()>(&at, "missing", "at least one field must be secret");
        }
        for (index, field) in scheme.fields.iter().enumerate() {
            let at = format!("{at}/{index}");
            self.line(&format!("{at}/label"), &field.label, 100);
            let plain_only = field.default.is_some() || !field.one_of.is_empty();
            if field.secret && plain_only {
                let detail = "a secret field has neither default nor fixed values";
                self.add::<()>(&at, "invalid_value", detail);
            }
            if field.secret && field.guards {
                let detail = "a secret field guards nothing: it is one of what is guarded";
                self.add::<()>(&format!("{at}/guards"), "invalid_value", detail);
            }
            let chosen =
                |default: &String| field.one_of.is_empty() || field.one_of.contains(default);
            if field.default.as_ref().is_some_and(|default| !chosen(default)) {
                self.add::<()>(&format!("{at}/default"), "invalid_value", "is none of one_of");
            }
        }
    }

    /// Without hosts a value could go anywhere, so each scheme of HTTP names some.
    fn hosts(&mut self, at: &str, scheme: &Scheme, protocol: Protocol) {
        let at = format!("{at}/hosts");
        if scheme.hosts.is_empty() && protocol != Protocol::Sqlite {
            self.add::<()>(&at, "missing", "name the hosts that the app's credentials may go to");
        }
        for (index, host) in scheme.hosts.iter().enumerate() {
            let at = format!("{at}/{index}");
            let plain = |name: &&str| scheme.field(name).is_some_and(|field| !field.secret);
            let names = holes(host);
            if !names.iter().all(plain) {
                self.add::<()>(&at, "unknown_name", "names what is no plain field of the scheme");
            } else if names.is_empty() && HostPattern::parse(host).is_err() {
                let detail = "a host is written `api.example.com`, `*.example.com` or `host:port`";
                self.add::<()>(&at, "invalid_host", detail);
            } else if host.starts_with("http://") {
                self.add::<()>(&at, "invalid_host", "an app's hosts are reached by https");
            }
        }
    }

    fn attach(&mut self, at: &str, attach: &Attach, names: &BTreeSet<String>) {
        let mut texts: Vec<(String, &str)> = Vec::new();
        let maps = [("headers", &attach.headers), ("query", &attach.query)];
        for (part, map) in maps {
            texts.extend(map.iter().map(|(name, text)| (format!("{at}/{part}/{name}"), &**text)));
        }
        for (name, value) in &attach.json {
            each_text(value, &mut |text| texts.push((format!("{at}/json/{name}"), text)));
        }
        if let Some(basic) = &attach.basic {
            texts.push((format!("{at}/basic/username"), &basic.username));
            texts.push((format!("{at}/basic/password"), &basic.password));
        }
        if let Some(sigv4) = &attach.sigv4 {
            texts.push((format!("{at}/sigv4/region"), &sigv4.region));
            let needed = [&sigv4.access_key_id, &sigv4.secret_access_key];
            if !needed.into_iter().all(|name| names.contains(name)) {
                let detail = "needs the fields of an access key";
                self.add::<()>(&format!("{at}/sigv4"), "missing", detail);
            }
        }
        for (at, text) in texts {
            if holes(text).iter().any(|name| !names.contains(*name)) {
                self.add::<()>(&at, "unknown_name", "names what is no field of the scheme");
            }
        }
    }

    fn sign_in(
        &mut self,
        at: &str,
        sign_in: &manifest::SignIn,
        own: &BTreeSet<String>,
    ) -> Option<SignIn> {
        let request = self.request(&format!("{at}/request"), &sign_in.request, own, &[]);
        let ok = self.answer(&format!("{at}/ok"), sign_in.ok.as_ref());
        let seconds = self.answer(&format!("{at}/seconds"), sign_in.seconds.as_ref());
        let mut gives = std::collections::BTreeMap::new();
        for (name, text) in &sign_in.gives {
            let at = format!("{at}/gives/{name}");
            if !is_id(name) || own.contains(name) {
                self.add::<()>(&at, "invalid_value", "must be a name that no field has");
            }
            gives.extend(self.answer(&at, Some(text))?.map(|template| (name.clone(), template)));
        }
        let attach = sign_in.attach.clone();
        Some(SignIn { request: request?, attach, ok: ok?, gives, seconds: seconds? })
    }

    /// A template over `answer`.
    #[expect(clippy::option_option, reason = "the outer one stands for a fault")]
    fn answer(&mut self, at: &str, text: Option<&String>) -> Option<Option<Template>> {
        let Some(text) = text else { return Some(None) };
        let template = self.template(at, text)?;
        self.roots(at, template.references(), &[Root::Answer, Root::Inputs]);
        Some(Some(template))
    }

    fn template(&mut self, at: &str, text: &str) -> Option<Template> {
        match super::template(text) {
            Ok(template) => Some(template),
            Err(fault) => self.add(at, fault.code(), fault.to_string()),
        }
    }

    fn roots<'p>(
        &mut self,
        at: &str,
        paths: impl IntoIterator<Item = &'p crate::template::Path>,
        known: &[Root],
    ) {
        if paths.into_iter().any(|path| !known.contains(&path.root)) {
            let known: Vec<_> = known.iter().map(root_name).collect();
            let detail = format!("reads what is not known here: only {}", known.join(" and "));
            self.add::<()>(at, "unknown_name", detail);
        }
    }

    fn tree(&mut self, at: &str, value: &Value) -> Option<TemplatedValue> {
        match TemplatedValue::compile_in(Dialect::Manifest, value, at) {
            Ok(value) => Some(value),
            Err(faults) => {
                self.0.extend(faults);
                None
            }
        }
    }

    /// A request over `inputs` and `credential`; each name that it reads is there.
    fn request(
        &mut self,
        at: &str,
        request: &manifest::Request,
        fields: &BTreeSet<String>,
        inputs: &[&str],
    ) -> Option<Request> {
        let url = self.template(&format!("{at}/url"), &request.url);
        if let Some(url) = &url {
            self.url(&format!("{at}/url"), url);
        }
        let headers = self.tree(&format!("{at}/headers"), &request.headers.clone().into());
        let query = self.tree(&format!("{at}/query"), &request.query.clone().into());
        let body = self.body(at, request);
        let (url, headers, query, body) = (url?, headers?, query?, body?);
        let mut reads: Vec<(String, crate::template::Path)> = Vec::new();
        let mut note = |at: String, path: &crate::template::Path| reads.push((at, path.clone()));
        url.references().for_each(|path| note(format!("{at}/url"), path));
        for (member, tree) in [("headers", &headers), ("query", &query)] {
            tree.references().into_iter().for_each(|path| note(child(at, member), path));
        }
        match &body {
            Some(Body::Json(tree)) => {
                tree.references().into_iter().for_each(|path| note(format!("{at}/json"), path));
            }
            Some(Body::Form(tree)) => {
                tree.references().into_iter().for_each(|path| note(format!("{at}/form"), path));
            }
            Some(Body::Text(text) | Body::Base64(text)) => {
                text.references().for_each(|path| note(at.to_owned(), path));
            }
            None => {}
        }
        for (at, path) in &reads {
            self.read(at, path, fields, inputs);
        }
        let (path_inputs, takes_pages) = (request.path_inputs.clone(), takes_pages(request));
        let method = request.method;
        Some(Request { method, url, path_inputs, headers, query, body, takes_pages })
    }

    fn read(
        &mut self,
        at: &str,
        path: &crate::template::Path,
        fields: &BTreeSet<String>,
        inputs: &[&str],
    ) {
        let first = match path.segments.first() {
            Some(crate::template::Segment::Member(name)) => name.as_str(),
            _ => "",
        };
        let fault = match path.root {
            Root::Credential if fields.contains(first) => return,
            Root::Inputs if inputs.contains(&first) || first.is_empty() => return,
            Root::Credential => "names what is no field of any scheme",
            Root::Inputs => "names what is no input of the action",
            _ => "reads what is not known here: only inputs and credential",
        };
        self.add::<()>(at, "unknown_name", fault);
    }

    /// A URL's scheme and host are written out, or come from the credential, which is bound to it.
    fn url(&mut self, at: &str, url: &Template) {
        let text = url.source();
        let literal = text.starts_with("https://");
        let of_credential = text.trim_start().starts_with("{{");
        if !literal && !of_credential {
            self.add::<()>(
                at,
                "invalid_url",
                "must begin with https:// or a field of the credential",
            );
            return;
        }
        let authority = text.strip_prefix("https://").unwrap_or(text);
        let authority = match of_credential {
            true => authority.split_inclusive("}}").next().unwrap_or_default(),
            false => authority.split(['/', '?', '#']).next().unwrap_or_default(),
        };
        if authority.contains("inputs") || authority.contains("answer") {
            let detail = "the host is written out or comes from the credential, never from inputs";
            self.add::<()>(at, "computed_host", detail);
        }
    }

    #[expect(clippy::option_option, reason = "the outer one stands for a fault")]
    fn body(&mut self, at: &str, request: &manifest::Request) -> Option<Option<Body>> {
        let given = [
            request.json.is_some(),
            request.form.is_some(),
            request.text.is_some(),
            request.base64.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return self.add(
                at,
                "invalid_value",
                "has more than one of json, form, text and base64",
            );
        }
        Some(if let Some(json) = &request.json {
            Some(Body::Json(self.tree(&format!("{at}/json"), json)?))
        } else if let Some(form) = &request.form {
            Some(Body::Form(self.tree(&format!("{at}/form"), &form.clone().into())?))
        } else if let Some(text) = &request.text {
            Some(Body::Text(self.template(&format!("{at}/text"), text)?))
        } else if let Some(text) = &request.base64 {
            Some(Body::Base64(self.template(&format!("{at}/base64"), text)?))
        } else {
            None
        })
    }

    fn action(
        &mut self,
        at: &str,
        action: &manifest::Action,
        protocol: Protocol,
        fields: &BTreeSet<String>,
    ) -> Option<Action> {
        self.line(&format!("{at}/name"), &action.name, 100);
        self.https(&format!("{at}/docs"), action.docs.as_ref());
        let (names, inputs) = self.inputs(&format!("{at}/inputs"), &action.inputs);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if action.request.is_none() && protocol == Protocol::Http {
            self.add::<()>(&format!("{at}/request"), "missing", "is needed");
        }
        let request = action.request.as_ref();
        let request = request.map(|r| self.request(&format!("{at}/request"), r, fields, &names));
        let ok = self.answer(&format!("{at}/ok"), action.ok.as_ref());
        let rejected = self.answer(&format!("{at}/rejected"), action.rejected.as_ref());
        let error = self.answer(&format!("{at}/error"), action.error.as_ref());
        let output = action.output.as_ref().map(|o| self.tree(&format!("{at}/output"), o));
        let pagination = action.pagination.as_ref();
        let pagination = pagination.map(|p| self.pagination(&format!("{at}/pagination"), p));
        let secret_outputs = self.paths(&format!("{at}/secret_outputs"), &action.secret_outputs);
        let plain_outputs = self.paths(&format!("{at}/plain_outputs"), &action.plain_outputs);
        let lease = action.lease.as_ref().map(|lease| self.lease(at, lease, fields));
        Some(Action {
            id: action.id.clone(),
            reads: action.reads,
            schemes: action.schemes.clone(),
            inputs: inputs?,
            request: lift(request)?,
            secret_outputs,
            plain_outputs,
            fallback: action.fallback.clone(),
            lease: lift(lease)?,
            ok: ok?,
            rejected: rejected?,
            error: error?,
            output: lift(output)?,
            pagination: lift(pagination)?,
        })
    }

    /// Schemes that there are; and another action of the app, which has no fallback of its own.
    fn fallbacks(&mut self, manifest: &Manifest) {
        for (at, action) in manifest.actions.iter().enumerate() {
            let known = |id: &String| manifest.schemes.iter().any(|scheme| scheme.id == *id);
            for (index, _) in action.schemes.iter().enumerate().filter(|(_, id)| !known(id)) {
                let at = format!("/actions/{at}/schemes/{index}");
                self.add::<()>(&at, "unknown_name", "names no scheme of the app");
            }
            let Some(fallback) = &action.fallback else { continue };
            let other = manifest.actions.iter().find(|other| other.id == fallback.action);
            if other.is_none_or(|other| other.fallback.is_some()) {
                let at = format!("/actions/{at}/fallback/action");
                let detail = "names no other action of the app, or one with a fallback of its own";
                self.add::<()>(&at, "unknown_name", detail);
            }
        }
    }

    /// The names of an action's inputs, and their schema.
    fn inputs(&mut self, at: &str, schema: &Value) -> (Vec<String>, Option<Schema>) {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            self.add::<()>(&child(at, "type"), "invalid_value", "inputs are an object");
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = properties.map(|members| members.keys().cloned().collect());
        let schema = Schema::parse(schema).map_err(|faults| {
            let below = |fault: Fault| Fault { pointer: format!("{at}{}", fault.pointer), ..fault };
            self.0.extend(faults.into_iter().map(below));
        });
        (names.unwrap_or_default(), schema.ok())
    }

    fn lease(
        &mut self,
        at: &str,
        lease: &manifest::Lease,
        fields: &BTreeSet<String>,
    ) -> Option<LeaseCall> {
        let renew = self.request(&format!("{at}/lease/renew"), &lease.renew, fields, &["lease_id"]);
        let id = self.answer(&format!("{at}/lease/id"), Some(&lease.id));
        let seconds = self.answer(&format!("{at}/lease/seconds"), Some(&lease.seconds));
        Some(LeaseCall { renew: renew?, id: id??, seconds: seconds?? })
    }

    fn pagination(&mut self, at: &str, page: &manifest::Pagination) -> Option<NextPage> {
        let items = self.answer(&format!("{at}/items"), Some(&page.items));
        let query = self.tree(&format!("{at}/next_query"), &page.next_query.clone().into());
        let json = self.tree(&format!("{at}/next_json"), &page.next_json.clone().into());
        let url = self.answer(&format!("{at}/next_url"), page.next_url.as_ref());
        let (items, query, json, url) = (items??, query?, json?, url?);
        Some(NextPage { items, query, json, url, link_header: page.link_header })
    }

    fn paths(&mut self, at: &str, texts: &[String]) -> Vec<OutputPath> {
        let mut paths = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match OutputPath::parse(text) {
                Some(path) => paths.push(path),
                None => {
                    let detail = "a path is written `data`, `data.token` or `rows[*].token`";
                    self.add::<()>(&format!("{at}/{index}"), "invalid_path", detail);
                }
            }
        }
        paths
    }
}

/// A fault inside becomes a fault of the whole; what is not there stays so.
#[expect(clippy::option_option, reason = "the inner one stands for a fault")]
fn lift<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(read) => Some(read),
    }
}

fn root_name(root: &Root) -> &'static str {
    match root {
        Root::Inputs => "inputs",
        Root::Credential => "credential",
        Root::Answer => "answer",
        Root::Trigger | Root::Step(_) | Root::Run | Root::Item => "",
    }
}

fn each_text<'v>(value: &'v Value, visit: &mut dyn FnMut(&'v str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Object(members) => members.values().for_each(|value| each_text(value, visit)),
        _ => {}
    }
}

/// An SVG picture that can do nothing: pages show it as a picture all the same.
fn is_picture(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let harmful = [
        "<script", "<style", "<foreignobject", "<image", "<use", "href", "javascript:", "url(",
        "<!",
    ];
    let handler = lower
        .split(|c: char| c.is_ascii_whitespace() || c == '/')
        .any(|word| word.starts_with("on") && word.contains('='));
    text.len() <= 8192
        && lower.trim_start().starts_with("<svg")
        && lower.trim_end().ends_with("</svg>")
        && !handler
        && !harmful.iter().any(|bad| lower.contains(bad))
}

impl Format {
    /// Whether a value looks like this.
    pub fn fits(self, value: &str) -> bool {
        match self {
            Self::Url => url::Url::parse(value).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none()
            }),
            Self::Host => {
                !value.contains(['/', ':', '@', ' ']) && HostPattern::parse(value).is_ok()
                    || value.parse::<std::net::IpAddr>().is_ok()
            }
            Self::Label => {
                !value.is_empty()
                    && value.len() <= 63
                    && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && !value.starts_with('-')
                    && !value.ends_with('-')
            }
            Self::Port => value.parse::<u16>().is_ok_and(|port| port != 0),
            Self::Pem => value.contains("-----BEGIN ") && value.contains("-----END "),
            Self::Word => {
                !value.is_empty()
                    && value.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
            }
        }
    }
}

/// Whether a request's `Accept` asks for what may be a page of HTML.
fn takes_pages(request: &manifest::Request) -> bool {
    let accept = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("accept"));
    let accept = accept.and_then(|(_, value)| value.as_str()).unwrap_or_default();
    accept.contains("html") || accept.contains("*/*")
}
