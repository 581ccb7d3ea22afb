//! What people write about a credential and how they bind it: checked, and put into the head.

use super::fields::Fields;
use super::sent::Members;
use super::template;
use crate::problem::Problem;
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, CredentialType, TestRequest};
use keyward_model::destination::{EgressPolicy, Place};
use keyward_model::json::Fault;
use keyward_model::lifecycle::FieldSet;
use url::Url;

const MAX_NAME: usize = 200;
const MAX_DESCRIPTION: usize = 10_000;
const MAX_LABEL: usize = 64;
const MAX_TAGS: usize = 32;
/// The most entries of each list of a binding.
const MAX_ENTRIES: usize = 200;

impl Members {
    /// Puts everything that was sent beside key, type, scope and fields into a credential.
    pub(crate) fn apply(self, to: &mut Credential, faults: &mut Vec<Fault>) {
        let details = &mut to.details;
        for (pointer, sent, place, limit) in [
            ("/name", self.name, &mut details.name, MAX_NAME),
            ("/environment", self.environment, &mut details.environment, MAX_LABEL),
            ("/description", self.description, &mut details.description, MAX_DESCRIPTION),
        ] {
            let Some(text) = sent else { continue };
            check_text(pointer, &text, limit, pointer == "/description", faults);
            *place = text;
        }
        if let Some(tags) = self.tags {
            check_tags(&tags, faults);
            details.tags = tags;
        }
        if let Some(test) = self.test.clone().filter(|_| details.app.is_none()) {
            test.iter().for_each(|test| check_test(test, faults));
            details.test = test;
        }
        let of_app = details.app.is_some();
        if of_app && (self.template.is_some() || self.test.is_some()) {
            let pointer = if self.template.is_some() { "/template" } else { "/test" };
            let detail = "the app says how its credentials attach and are tested";
            faults.push(Fault::new(pointer, "invalid_value", detail));
        }
        if let Some(template) = self.template.filter(|_| !of_app) {
            details.template = template;
        }
        if let Some(at) = self.expires_at {
            // A date in the past is how a credential is retired at once.
            to.expires_at = at;
        }
        to.code_access = self.code_access.unwrap_or(to.code_access);
        let binding = Binding {
            hosts: self.hosts,
            methods: self.methods,
            paths: self.paths,
            places: self.places,
        };
        if let Some(policy) = binding.over(&to.policy, faults) {
            to.policy = policy;
        }
    }
}

/// Puts merged fields into a head and checks the template against them.
pub(crate) fn set_fields(to: &mut Credential, fields: &Fields) {
    to.details.plain = fields.plain.clone();
    to.details.secret = fields.names.iter().cloned().collect();
    to.details.links = fields.links.clone();
}

/// Merged fields as a version holds them.
pub(crate) fn field_set(fields: &Fields, expires_at: Option<Timestamp>) -> FieldSet {
    let secret = fields.names.iter().cloned().collect();
    FieldSet { plain: fields.plain.clone(), secret, expires_at, links: fields.links.clone() }
}

/// Fails where the template does not fit the fields of the version that a head stands for.
pub(crate) fn require_template(credential: &Credential) -> Result<(), Problem> {
    let mut faults = Vec::new();
    check_template(credential, &mut faults);
    if faults.is_empty() { Ok(()) } else { Err(super::refused(faults)) }
}

/// A template belongs to a custom credential and names its fields alone.
pub(crate) fn check_template(credential: &Credential, faults: &mut Vec<Fault>) {
    let details = &credential.details;
    // An app's comes from its manifest.
    let Some(template) = details.template.as_ref().filter(|_| details.app.is_none()) else {
        return;
    };
    if credential.kind != CredentialType::Custom {
        let detail = "only a custom credential has a template; this type says itself where it goes";
        return faults.push(Fault::new("/template", "invalid_value", detail));
    }
    let is_field =
        |name: &str| details.plain.contains_key(name) || details.secret.iter().any(|s| s == name);
    template::check(template, is_field, faults);
}

fn check_text(pointer: &str, text: &str, limit: usize, lines: bool, faults: &mut Vec<Fault>) {
    let is_line = |c: char| lines && matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(|c| c.is_control() && !is_line(c)) {
        faults.push(Fault::new(pointer, "invalid_value", "must have no control characters"));
    }
    if text.chars().count() > limit {
        let detail = format!("must have at most {limit} characters");
        faults.push(Fault::new(pointer, "too_long", detail));
    }
}

fn check_tags(tags: &[String], faults: &mut Vec<Fault>) {
    if tags.len() > MAX_TAGS {
        faults.push(Fault::new("/tags", "too_many", format!("at most {MAX_TAGS} tags")));
    }
    for (at, tag) in tags.iter().enumerate().take(MAX_TAGS) {
        let pointer = format!("/tags/{at}");
        if tag.trim().is_empty() {
            faults.push(Fault::new(pointer.as_str(), "empty", "a tag cannot be empty"));
        }
        check_text(&pointer, tag, MAX_LABEL, false, faults);
    }
}

fn check_test(test: &TestRequest, faults: &mut Vec<Fault>) {
    if test.method.is_empty() || !test.method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        let detail = "a method is upper-case letters, such as `GET`";
        faults.push(Fault::new("/test/method", "invalid_value", detail));
    }
    let url = Url::parse(&test.url).ok();
    let fits = url.is_some_and(|url| {
        let bare = url.username().is_empty() && url.password().is_none();
        matches!(url.scheme(), "https" | "http") && url.has_host() && bare
    });
    if !fits {
        let detail = "must be an absolute https or http URL without user name or password";
        faults.push(Fault::new("/test/url", "invalid_value", detail));
    }
}

/// The lists of a binding as far as they were sent.
struct Binding {
    hosts: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    paths: Option<Vec<String>>,
    places: Option<Vec<Place>>,
}

impl Binding {
    /// The policy with the sent lists in place of those before; `None` where nothing was sent or an
    /// entry is wrong.
    fn over(self, before: &EgressPolicy, faults: &mut Vec<Fault>) -> Option<EgressPolicy> {
        let Self { hosts, methods, paths, places } = &self;
        if hosts.is_none() && methods.is_none() && paths.is_none() && places.is_none() {
            return None;
        }
        let known = faults.len();
        let check = |entry: &String, list: &str| {
            let entry = std::slice::from_ref(entry);
            let found = match list {
                "hosts" => EgressPolicy::parse(entry, &[], &[], &[]),
                "methods" => EgressPolicy::parse(&[], entry, &[], &[]),
                _ => EgressPolicy::parse(&[], &[], entry, &[]),
            };
            found.err().map(|(.., fault)| fault)
        };
        for (list, entries) in [("hosts", hosts), ("methods", methods), ("paths", paths)] {
            let entries = entries.as_deref().unwrap_or_default();
            if entries.len() > MAX_ENTRIES {
                let detail = format!("at most {MAX_ENTRIES} entries");
                faults.push(Fault::new(format!("/{list}"), "too_many", detail));
            }
            for (at, entry) in entries.iter().enumerate().take(MAX_ENTRIES) {
                if let Some(fault) = check(entry, list) {
                    let pointer = format!("/{list}/{at}");
                    faults.push(Fault::new(pointer, "invalid_value", fault.to_string()));
                }
            }
        }
        if faults.len() > known {
            return None;
        }
        let (old_hosts, old_methods, old_paths, old_places) = before.lists();
        let policy = EgressPolicy::parse(
            hosts.as_ref().unwrap_or(&old_hosts),
            methods.as_deref().unwrap_or(old_methods),
            paths.as_deref().unwrap_or(old_paths),
            places.as_deref().unwrap_or(old_places),
        );
        policy
            .map_err(|(list, at, fault)| {
                let pointer = format!("/{list}/{at}");
                faults.push(Fault::new(pointer, "invalid_value", fault.to_string()));
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::credential::CodeAccess;
    use keyward_model::json;
    use serde_json::{Value, json};

    /// Applies a change to an api_key bound to example.com.
    fn apply(sent: &Value) -> (Credential, Vec<String>) {
        let mut credential = super::super::view::tests::credential();
        let mut faults = Vec::new();
        match json::read_value::<Members>(sent) {
            Ok(members) => {
                members.apply(&mut credential, &mut faults);
            }
            Err(found) => faults = found,
        }
        if faults.is_empty() {
            check_template(&credential, &mut faults);
        }
        let shown = |fault: &Fault| format!("{} {}", fault.pointer, fault.code);
        (credential, faults.iter().map(shown).collect())
    }

    fn check(sent: &Value, expected: &[&str]) {
        assert_eq!(apply(sent).1, expected, "{sent}");
    }

    #[test]
    fn what_fits_is_taken_over() {
        let (credential, faults) = apply(&json!({
            "name": "ä".repeat(200), "description": "a\nb\tc", "environment": "prod",
            "tags": ["a", "b c"], "hosts": ["API.Example.com"], "methods": ["POST"],
            "places": ["header"], "code_access": "readable",
            "expires_at": "2030-01-01T00:00:00Z",
            "test": {"method": "GET", "url": "https://example.com/me"},
        }));
        assert_eq!(faults, [""; 0]);
        let (hosts, methods, paths, places) = credential.policy.lists();
        assert_eq!(hosts, ["api.example.com"]);
        assert_eq!((methods, paths), (&["POST".to_owned()][..], &["/v1/*".to_owned()][..]));
        assert_eq!(places, [Place::Header]);
        assert_eq!(credential.code_access, CodeAccess::Readable);
        assert!(credential.expires_at.is_some() && credential.details.test.is_some());
        let (credential, _) = apply(&json!({"expires_at": null, "test": null, "hosts": []}));
        assert!(credential.expires_at.is_none() && !credential.policy.is_bound());
    }

    #[test]
    fn each_fault_has_its_place() {
        check(&json!({"name": "x".repeat(201)}), &["/name too_long"]);
        check(&json!({"name": "a\nb"}), &["/name invalid_value"]);
        check(&json!({"name": null}), &["/name wrong_type"]);
        check(&json!({"description": "x".repeat(10_001)}), &["/description too_long"]);
        check(&json!({"environment": "a\u{0}"}), &["/environment invalid_value"]);
        check(&json!({"tags": vec!["t"; 33]}), &["/tags too_many"]);
        check(
            &json!({"tags": ["ok", " ", "x".repeat(65)]}),
            &["/tags/1 empty", "/tags/2 too_long"],
        );
        check(
            &json!({"hosts": ["ok.org", "*", "a b"], "methods": ["get"], "paths": ["/ok", "x"]}),
            &[
                "/hosts/1 invalid_value",
                "/hosts/2 invalid_value",
                "/methods/0 invalid_value",
                "/paths/1 invalid_value",
            ],
        );
        check(&json!({"hosts": vec!["a.org"; 201]}), &["/hosts too_many"]);
        check(&json!({"places": ["header", "trailer"]}), &["/places/1 invalid_value"]);
        check(&json!({"code_access": "open"}), &["/code_access invalid_value"]);
        check(&json!({"expires_at": "soon"}), &["/expires_at invalid_value"]);
        check(&json!({"template": {}}), &["/template invalid_value"]);
        for url in ["/me", "ftp://x.org", "https://u:p@x.org", "x"] {
            let test = json!({"test": {"method": "get", "url": url}});
            check(&test, &["/test/method invalid_value", "/test/url invalid_value"]);
        }
        check(&json!({"wrong": 1, "nmae": 2}), &["/wrong unknown_member", "/nmae unknown_member"]);
    }
}
