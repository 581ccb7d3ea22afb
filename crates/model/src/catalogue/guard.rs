//! The plain fields of a scheme that say how safely its secrets travel: TLS or not, and whose
//! certificates are trusted.

use super::manifest::{Field, Scheme};
use std::collections::BTreeMap;

/// The field whose certificates are trusted with every app's requests, whatever its manifest says.
const CA_PEM: &str = "ca_pem";

impl Field {
    /// Whether a change of it needs all secrets anew.
    pub fn is_guard(&self) -> bool {
        !self.secret && (self.guards || self.name == CA_PEM)
    }
}

impl Scheme {
    /// What the guarding fields hold in a credential with these plain fields, defaults included. Two
    /// sets of fields that give the same send its secrets equally safely.
    pub fn guards<'a>(
        &'a self,
        plain: &'a BTreeMap<String, String>,
    ) -> BTreeMap<&'a str, Option<&'a str>> {
        let value = |field: &'a Field| {
            let set = plain.get(&field.name).filter(|value| !value.is_empty());
            set.or(field.default.as_ref()).map(String::as_str)
        };
        let guards = self.fields.iter().filter(|field| field.is_guard());
        guards.map(|field| (field.name.as_str(), value(field))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::App;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn app(fields: &Value) -> Result<App, Vec<String>> {
        let read = App::read(&json!({
            "id": "x", "name": "X", "description": "x",
            "schemes": [{
                "id": "key", "name": "Key", "type": "custom", "hosts": ["api.example.com"],
                "fields": fields,
            }],
            "actions": [{
                "id": "a", "name": "A", "inputs": {"type": "object"}, "example": {},
                "request": {"url": "https://api.example.com/"},
            }],
        }));
        let shown = |fault: crate::json::Fault| format!("{} {}", fault.pointer, fault.code);
        read.map_err(|faults| faults.into_iter().map(shown).collect())
    }

    #[test]
    fn guards_are_plain_fields() {
        let check = |field: Value, expected: &[&str]| {
            let found = app(&json!([{"name": "token", "label": "T", "secret": true}, field]));
            assert_eq!(found.err().unwrap_or_default(), expected, "{field}");
        };
        check(json!({"name": "tls", "label": "TLS", "guards": true}), &[]);
        let secret = json!({"name": "tls", "label": "TLS", "guards": true, "secret": true});
        check(secret, &["/schemes/0/fields/1/guards invalid_value"]);
        check(json!({"name": "key", "label": "Key", "guards": false, "secret": true}), &[]);
    }

    #[test]
    fn another_value_of_a_guard_is_another_way_to_travel() {
        let app = app(&json!([
            {"name": "token", "label": "T", "secret": true},
            {"name": "tls", "label": "TLS", "one_of": ["verify", "off"], "default": "verify", "guards": true},
            {"name": "ca_pem", "label": "CA", "required": false},
            {"name": "account", "label": "Account", "required": false},
        ]));
        let app = app.unwrap_or_else(|faults| panic!("{faults:?}"));
        let scheme = app.scheme(None).expect("one scheme").manifest;
        let check = |one: &[(&str, &str)], other: &[(&str, &str)], same: bool| {
            let plain = |fields: &[(&str, &str)]| -> BTreeMap<String, String> {
                fields.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
            };
            let (one, other) = (plain(one), plain(other));
            assert_eq!(scheme.guards(&one) == scheme.guards(&other), same, "{one:?} {other:?}");
        };
        check(&[], &[("account", "7")], true);
        check(&[], &[("tls", "verify")], true);
        check(&[("ca_pem", "")], &[], true);
        check(&[], &[("tls", "off")], false);
        check(&[("tls", "off")], &[], false);
        check(&[], &[("ca_pem", "one")], false);
        check(&[("ca_pem", "one")], &[("ca_pem", "two")], false);
        check(&[("ca_pem", "one")], &[], false);
    }
}
