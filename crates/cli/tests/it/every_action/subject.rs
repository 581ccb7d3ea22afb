//! An app as this loop sees it: its manifest, what its requests must be and what its vendor answers,
//! both as `crates/connectors/tests` holds them.

use super::held::Names;
use keyward_model::catalogue::manifest::Action;
use keyward_model::catalogue::{App, Protocol, Scheme};
use keyward_testkit::echo::Reply;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use url::Url;

/// Apps that read secret stores: other tests do what they do, and feed steps with it.
const ELSEWHERE: [&str; 3] = ["aws_secrets_manager", "nango", "vault"];

pub struct Subject {
    pub app: Arc<App>,
    /// By an action's id, or `<scheme> test` and `<scheme> sign_in`.
    requests: Value,
    answers: Value,
    /// By the same names, what a sign-in and a connection test are answered.
    replies: Value,
    /// The vendor's own description of its interface, where it is kept here.
    pub description: Option<Value>,
}

/// A request as it must arrive.
#[derive(Clone)]
pub struct Expected {
    pub method: String,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

fn read(folder: &str, name: &str) -> Option<Value> {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/tests");
    let text = std::fs::read_to_string(format!("{tests}/{folder}/{name}.json")).ok()?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

impl Subject {
    /// Every HTTP app that comes with Keyward.
    pub fn all() -> Vec<Self> {
        let catalogue = keyward_connectors::built_in().expect("manifests without faults");
        let replies: Value = serde_json::from_str(include_str!("replies.json")).expect("JSON");
        let by_http = |app: &&Arc<App>| {
            app.manifest.protocol == Protocol::Http && !ELSEWHERE.contains(&app.id())
        };
        let subject = |app: &Arc<App>| {
            let id = app.id();
            let beside = |folder| read(folder, id).unwrap_or_else(|| panic!("no {folder} of {id}"));
            Self {
                app: app.clone(),
                requests: beside("requests"),
                answers: beside("answers"),
                replies: replies[id].clone(),
                description: read("openapi", id),
            }
        };
        catalogue.iter().filter(by_http).map(subject).collect()
    }

    pub fn id(&self) -> &str {
        self.app.id()
    }

    pub fn schemes(&self) -> &[Scheme] {
        &self.app.manifest.schemes
    }

    pub fn actions(&self) -> &[Action] {
        &self.app.manifest.actions
    }

    /// The actions that are tried with a scheme's credentials: all that they do for and no scheme
    /// before did, or one.
    pub fn actions_by(&self, scheme: &Scheme) -> Vec<&Action> {
        let schemes = self.schemes().iter().map(|scheme| &scheme.id);
        let is_first = |action: &&Action| {
            let mut fitting = schemes.clone().filter(|id| self.takes(action, id));
            fitting.next() == Some(&scheme.id)
        };
        let own: Vec<&Action> = self.actions().iter().filter(is_first).collect();
        if own.is_empty() { vec![self.action_for(scheme)] } else { own }
    }

    /// The first action that a scheme's credentials do for.
    pub fn action_for(&self, scheme: &Scheme) -> &Action {
        let mut actions = self.actions().iter();
        actions.find(|action| self.takes(action, &scheme.id)).expect("an action for each scheme")
    }

    fn takes(&self, action: &Action, scheme: &str) -> bool {
        self.app.action(&action.id).is_some_and(|action| action.takes(scheme))
    }

    /// All hosts that its requests go to.
    pub fn hosts(&self) -> BTreeSet<String> {
        let requests = self.requests.as_object().expect("an object").values();
        let url = |request: &Value| Url::parse(request["url"].as_str()?).ok();
        let host = |request: &Value| Some(url(request)?.host_str()?.to_owned());
        requests.map(|request| host(request).expect("a host")).collect()
    }

    /// What must arrive, with values in the place of names.
    pub fn expected(&self, name: &str, names: &Names) -> Expected {
        let request = self.requests.get(name).unwrap_or_else(|| panic!("{} {name}", self.id()));
        let text = |value: &Value| names.fill(value.as_str().expect("a text"));
        let headers = request["headers"].as_object().expect("headers").iter();
        Expected {
            method: text(&request["method"]),
            url: Url::parse(&text(&request["url"])).expect("a URL"),
            headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
            body: names.fill_all(&request["body"]),
        }
    }

    /// The same action authenticated by a scheme, as the scheme's connection test is.
    pub fn expected_by(&self, scheme: &Scheme, action: &str, names: &Names) -> Expected {
        let first = self.expected(action, names);
        if scheme.id == self.schemes()[0].id {
            return first;
        }
        let shown = |name: &str, header: &str| {
            let written = self.requests[name]["headers"][header].as_str().unwrap_or_default();
            written.contains('<')
        };
        let (test, mut headers) = (format!("{} test", scheme.id), first.headers);
        headers.retain(|(name, _)| !shown(action, name));
        let tested = self.expected(&test, names).headers;
        headers.extend(tested.into_iter().filter(|(name, _)| shown(&test, name)));
        Expected { headers, ..first }
    }

    /// Samples of what the vendor answers to an action.
    fn samples(&self, action: &str) -> &[Value] {
        let samples = self.answers[action].as_array();
        samples.unwrap_or_else(|| panic!("{}.{action}: no sample of an answer", self.id()))
    }

    /// The vendor's answers where all is well, with what they give: one, or two pages of a list.
    pub fn good(&self, action: &Action) -> Vec<&Value> {
        let samples = self.samples(&action.id).iter();
        let is_refusal = |gives: &Value| gives.get("refused").or(gives.get("unexpected")).is_some();
        let mut good = samples.filter(|sample| !is_refusal(&sample["gives"]));
        let at = format!("{}.{}", self.id(), action.id);
        if action.pagination.is_none() {
            return vec![good.next().unwrap_or_else(|| panic!("{at}: no good answer"))];
        }
        let (more, last): (Vec<&Value>, Vec<&Value>) =
            good.partition(|sample| sample["gives"]["next"].is_object());
        let first = more.first().unwrap_or_else(|| panic!("{at}: no answer with another page"));
        vec![first, last.first().unwrap_or_else(|| panic!("{at}: no last page"))]
    }

    /// What the vendor answers to an action with that status; an empty object where nobody knows.
    pub fn refusal(&self, status: u16) -> Value {
        let all = self.answers.as_object().expect("an object").values();
        let mut all = all.flat_map(|samples| samples.as_array().expect("samples"));
        let found = all.find(|sample| sample["answer"]["status"] == status);
        let body = found.map_or_else(|| json!({}), |sample| sample["answer"]["body"].clone());
        json!({ "status": status, "body": body })
    }

    /// What a sign-in or a connection test is answered where all is well, values in their places.
    pub fn reply(&self, name: &str, names: &Names) -> Value {
        let body = self.replies.get(name).or(self.replies.get("test"));
        let body = body.unwrap_or_else(|| panic!("{} {name}: no answer", self.id()));
        json!({ "status": 200, "body": names.fill_all(body) })
    }
}

/// The second page's request: the first one's with what the answer said of it.
pub fn next_page(first: &Expected, next: &Value, names: &Names) -> Expected {
    let mut url = Url::parse(&names.fill(next["url"].as_str().expect("a URL"))).expect("a URL");
    let query: Vec<&str> = next["query"].as_array().expect("a query").iter().map(text).collect();
    if !query.is_empty() {
        let pairs = query.iter().map(|pair| pair.split_once('=').expect("a pair"));
        url.query_pairs_mut().extend_pairs(pairs);
    }
    let body = match &next["body"] {
        Value::Null => first.body.clone(),
        body => names.fill_all(body),
    };
    Expected { url, body, ..first.clone() }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// What gateways and sign-in pages answer.
pub fn page() -> Value {
    let body = "<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>";
    let headers = json!({ "content-type": "text/html; charset=utf-8" });
    json!({ "status": 200, "headers": headers, "body": body })
}

/// An answer as the stand-in gives it.
pub fn reply(answer: &Value) -> Reply {
    let headers = answer["headers"].as_object().cloned().unwrap_or_else(Map::new);
    let reply = match &answer["body"] {
        Value::String(text) => Reply::status(200).body(text),
        body if headers.contains_key("content-type") => Reply::status(200).body(body.to_string()),
        body => Reply::json(body),
    };
    let status = answer["status"].as_u64().and_then(|status| status.try_into().ok());
    let with = |reply: Reply, (name, value): (&String, &Value)| reply.header(name, text(value));
    headers.iter().fold(reply.with_status(status.unwrap_or(200)), with)
}
