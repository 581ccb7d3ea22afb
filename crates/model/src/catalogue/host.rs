//! The host entries of a scheme, which may name plain fields: `{{ base_url }}`, `{{ host }}:{{ port }}`,
//! `{{ subdomain }}.example.com`.

use super::manifest::Scheme;
use crate::destination::HostPattern;
use std::collections::BTreeMap;

impl Scheme {
    /// The entries for a credential with these plain fields; an entry whose field is not set is left
    /// out, and a URL stands for its origin.
    pub fn hosts_for(&self, plain: &BTreeMap<String, String>) -> Vec<String> {
        let value = |name: &str| {
            let default = || self.field(name).and_then(|field| field.default.clone());
            plain.get(name).cloned().or_else(default)
        };
        let entries = self.hosts.iter().filter_map(|entry| fill(entry, &value));
        entries.filter_map(|entry| origin(&entry)).collect()
    }

    /// The plain fields that say where its credentials may go.
    pub fn host_fields(&self) -> Vec<&str> {
        self.fields
            .iter()
            .map(|field| field.name.as_str())
            .filter(|name| self.hosts.iter().any(|entry| holes(entry).contains(name)))
            .collect()
    }
}

/// The names in a text's `{{ }}`.
pub(super) fn holes(text: &str) -> Vec<&str> {
    let parts = text.split("{{").skip(1);
    parts.filter_map(|part| part.split_once("}}")).map(|(name, _)| name.trim()).collect()
}

fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}")?;
        out.push_str(before);
        out.push_str(&value(name.trim()).filter(|value| !value.is_empty())?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// A URL's origin as a host entry; what is an entry already stays.
fn origin(text: &str) -> Option<String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let entry = match scheme.to_ascii_lowercase().as_str() {
            "https" => authority.to_owned(),
            "http" => format!("http://{authority}"),
            _ => return None,
        };
        return HostPattern::parse(&entry).ok().map(|entry| entry.to_string());
    }
    HostPattern::parse(text).ok().map(|entry| entry.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::App;
    use serde_json::json;

    #[test]
    fn hosts_come_from_plain_fields() {
        let check = |hosts: serde_json::Value, plain: &[(&str, &str)], expected: &[&str]| {
            let app = App::read(&json!({
                "id": "x", "name": "X", "description": "x",
                "schemes": [{
                    "id": "key", "name": "Key", "type": "custom", "hosts": hosts,
                    "fields": [
                        {"name": "token", "label": "Token", "secret": true},
                        {"name": "base_url", "label": "URL", "format": "url", "required": false},
                        {"name": "host", "label": "Host", "format": "host", "required": false},
                        {"name": "port", "label": "Port", "format": "port", "default": "5432"},
                    ],
                }],
                "actions": [{
                    "id": "a", "name": "A", "inputs": {"type": "object"}, "example": {},
                    "request": {"url": "https://api.example.com/"},
                }],
            }));
            let app = app.unwrap_or_else(|faults| panic!("{faults:?}"));
            let plain = plain.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let scheme = app.scheme(None).expect("one scheme").manifest;
            assert_eq!(scheme.hosts_for(&plain), expected);
        };
        check(json!(["api.example.com"]), &[], &["api.example.com"]);
        check(
            json!(["{{ base_url }}"]),
            &[("base_url", "https://A.example.org/x/")],
            &["a.example.org"],
        );
        check(
            json!(["{{ base_url }}"]),
            &[("base_url", "http://127.0.0.1:8200")],
            &["http://127.0.0.1:8200"],
        );
        check(json!(["{{base_url}}"]), &[("base_url", "https://h:8443")], &["h:8443"]);
        check(json!(["{{ base_url }}"]), &[], &[]);
        check(
            json!(["{{ host }}:{{ port }}"]),
            &[("host", "db.example.org")],
            &["db.example.org:5432"],
        );
        check(json!(["{{ host }}.example.com"]), &[("host", "acme")], &["acme.example.com"]);
    }
}
