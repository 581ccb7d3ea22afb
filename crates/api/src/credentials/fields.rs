//! The `fields` of a credential as they are sent: taken out of the body before anything else sees
//! it, held against the type, and put together with what is there already.

use keyward_model::catalogue::Scheme;
use keyward_model::credential::{CredentialType, Details, Link, MAX_FIELD_BYTES, MAX_FIELDS};
use keyward_model::json::{self, Fault, child};
use keyward_vault::Incoming;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const ROOT: &str = "/fields";

/// Stands in a body's type for `fields`, whose values have been taken out before it is read.
#[derive(Debug)]
pub(crate) struct Taken;

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Taken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CredentialFields".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "The type's fields by name. In a custom credential a string is secret; \
                an object with \"secret\": false is plain. In a change, null takes a field away.",
            "maxProperties": MAX_FIELDS,
            "additionalProperties": { "anyOf": [
                { "type": ["string", "null"] },
                {
                    "type": "object",
                    "required": ["value"],
                    "additionalProperties": false,
                    "properties": {
                        "value": { "type": "string" },
                        "secret": { "type": "boolean", "default": true },
                    },
                },
                {
                    "type": "object",
                    "required": ["link"],
                    "additionalProperties": false,
                    "properties": { "link": { "type": "object" } },
                },
            ] },
        })
    }
}

/// What one member of `fields` holds.
enum Sent {
    /// A bare string.
    Text(Incoming),
    /// `{"value","secret"}`
    Marked { value: Incoming, secret: bool },
    /// `{"link":{}}`
    Link(Box<Link>),
    /// To be taken away.
    Null,
}

/// Fields as they were sent, values already in their wiped wrappers.
#[derive(Default)]
pub(crate) struct Given {
    members: Vec<(String, Sent)>,
    faults: Vec<Fault>,
}

/// Fields that fit their type.
#[derive(Default)]
pub(crate) struct Fields {
    /// Plain fields, those kept included.
    pub(crate) plain: BTreeMap<String, String>,
    /// The names of all secret fields.
    pub(crate) names: BTreeSet<String>,
    /// The values of all secret fields, or nothing where they stay as they are.
    pub(crate) secret: BTreeMap<String, Incoming>,
    /// Secret fields that a secret store holds.
    pub(crate) links: BTreeMap<String, Link>,
    /// The names of the secret fields that were sent, by value or by link.
    sent: BTreeSet<String>,
}

/// What says which fields there are: a type, or an app's scheme.
#[derive(Debug, Clone)]
pub(crate) enum Form {
    /// A type without an app.
    Type(CredentialType),
    /// A scheme of an app.
    Scheme(Box<Scheme>),
}

impl From<CredentialType> for Form {
    fn from(kind: CredentialType) -> Self {
        Self::Type(kind)
    }
}

impl Fields {
    /// Fields that stay as they are.
    pub(crate) fn unchanged(details: &Details) -> Self {
        let names = details.secret.iter().cloned().collect();
        let (plain, links) = (details.plain.clone(), details.links.clone());
        Self { plain, names, links, ..Self::default() }
    }

    /// Whether every secret field was sent, so that nothing secret stays as it was.
    pub(crate) fn are_anew(&self) -> bool {
        self.names.iter().all(|name| self.sent.contains(name))
    }

    /// Whether they make a new version: of values, of nothing but links, or of fewer fields.
    pub(crate) fn are_new_value(&self, before: &Details) -> bool {
        let renamed = !self.names.iter().eq(before.secret.iter().collect::<BTreeSet<_>>());
        !self.secret.is_empty() || renamed || (self.are_anew() && !self.names.is_empty())
    }

    /// The names of all secret fields, as a fault tells them.
    pub(crate) fn told(&self) -> String {
        self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

impl Given {
    /// Moves the values out of a parsed member; nothing of them stays behind.
    pub(crate) fn take(value: Value) -> Self {
        let mut given = Self::default();
        match value {
            Value::Object(members) => given.take_members(members),
            other => {
                wipe(other);
                given.fault(ROOT.into(), "wrong_type", "must be an object");
            }
        }
        given
    }

    /// Fields out of a file, each a bare text.
    pub(crate) fn of_file(fields: impl IntoIterator<Item = (String, Incoming)>) -> Self {
        let members = fields.into_iter().map(|(name, value)| (name, Sent::Text(value))).collect();
        Self { members, faults: Vec::new() }
    }

    /// The same, with what was sent by itself in the place of fields of that name.
    pub(crate) fn with(mut self, sent: Self) -> Self {
        self.members.retain(|(name, _)| !sent.names().any(|other| other == name));
        self.members.extend(sent.members);
        self.faults.extend(sent.faults);
        self
    }

    /// The names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    fn take_members(&mut self, members: Map<String, Value>) {
        if members.len() > MAX_FIELDS {
            let detail = format!("a credential has at most {MAX_FIELDS} fields");
            self.faults.push(Fault::new(ROOT, "too_many", detail));
        }
        for (name, value) in members {
            let pointer = child(ROOT, &name);
            if let Some(sent) = self.read(&pointer, value) {
                self.members.push((name, sent));
            }
        }
    }

    fn read(&mut self, pointer: &str, value: Value) -> Option<Sent> {
        match value {
            Value::String(text) => Some(Sent::Text(Incoming::new(text))),
            Value::Null => Some(Sent::Null),
            Value::Object(members) => self.read_marked(pointer, members),
            other => {
                wipe(other);
                self.fault(pointer.into(), "wrong_type", "must be a string");
                None
            }
        }
    }

    fn read_marked(&mut self, pointer: &str, mut members: Map<String, Value>) -> Option<Sent> {
        let value = match members.remove("value") {
            Some(Value::String(text)) => Some(Incoming::new(text)),
            Some(other) => {
                wipe(other);
                None
            }
            None => None,
        };
        let secret = match members.remove("secret") {
            None => Some(true),
            Some(Value::Bool(secret)) => Some(secret),
            Some(other) => {
                wipe(other);
                None
            }
        };
        let link = members.remove("link");
        let others = !members.is_empty();
        wipe(Value::Object(members));
        match (value, secret, link) {
            (Some(value), Some(secret), None) if !others => {
                return Some(Sent::Marked { value, secret });
            }
            (None, Some(true), Some(link)) if !others => return self.read_link(pointer, &link),
            _ => {}
        }
        let detail = "must be a string, {\"value\": string, \"secret\": true or false}, or \
                      {\"link\": {...}}";
        self.fault(pointer.into(), "wrong_type", detail);
        None
    }

    fn read_link(&mut self, pointer: &str, link: &Value) -> Option<Sent> {
        match json::read_value::<Link>(link) {
            Ok(link) => Some(Sent::Link(Box::new(link))),
            Err(faults) => {
                let below = |fault: Fault| Fault {
                    pointer: format!("{pointer}/link{}", fault.pointer),
                    ..fault
                };
                self.faults.extend(faults.into_iter().map(below));
                None
            }
        }
    }

    fn fault(&mut self, pointer: String, code: &'static str, detail: &str) {
        self.faults.push(Fault::new(pointer, code, detail));
    }

    /// What was wrong with the members' form.
    pub(crate) fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// Holds the fields against the type and puts them together with those that are there.
    ///
    /// # Errors
    /// Every fault found, those of the form included.
    pub(crate) fn merge(
        self,
        form: impl Into<Form>,
        before: Option<&Details>,
    ) -> Result<Fields, Vec<Fault>> {
        let Self { members, faults } = self;
        let mut merge = Merge::new(form.into(), before, faults);
        for (name, sent) in members {
            merge.add(name, sent);
        }
        merge.finish()
    }
}

/// Wipes every text of a document that is not needed any more.
pub(crate) fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(Incoming::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a type says of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Secret { needed: bool },
    Plain { needed: bool },
    Any,
}

fn role(kind: CredentialType, name: &str) -> Option<Role> {
    match (kind, name) {
        (CredentialType::ApiKey, "value") | (CredentialType::Basic, "password") => {
            Some(Role::Secret { needed: true })
        }
        (CredentialType::ApiKey, "in" | "name" | "prefix") => Some(Role::Plain { needed: false }),
        (CredentialType::Basic, "username") => Some(Role::Plain { needed: true }),
        (CredentialType::Custom, _) => Some(Role::Any),
        (CredentialType::ApiKey | CredentialType::Basic, _) => None,
    }
}

impl Form {
    fn role(&self, name: &str) -> Option<Role> {
        let scheme = match self {
            Self::Type(kind) => return role(*kind, name),
            Self::Scheme(scheme) => scheme,
        };
        let field = scheme.field(name)?;
        let needed = field.required && field.default.is_none();
        Some(if field.secret { Role::Secret { needed } } else { Role::Plain { needed } })
    }

    /// A scheme with one secret field takes it as `value` too.
    fn named(&self, name: String) -> String {
        match self {
            Self::Scheme(scheme) if name == "value" && scheme.field("value").is_none() => {
                scheme.only_secret().map_or(name, |field| field.name.clone())
            }
            _ => name,
        }
    }

    fn known(&self) -> String {
        match self {
            Self::Type(kind) => known(*kind).to_owned(),
            Self::Scheme(scheme) => {
                let names: Vec<&str> = scheme.fields.iter().map(|f| f.name.as_str()).collect();
                format!("this scheme has the fields {}", names.join(", "))
            }
        }
    }
}

fn known(kind: CredentialType) -> &'static str {
    match kind {
        CredentialType::ApiKey => "an api_key has the fields value, in, name and prefix",
        CredentialType::Basic => "a basic credential has the fields username and password",
        CredentialType::Custom => {
            "a field is named by a letter or _ and up to 63 more of A-Z a-z 0-9 _"
        }
    }
}

fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Fields on their way from what was there to what shall be.
struct Merge {
    form: Form,
    fields: Fields,
    kept: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl Merge {
    fn new(form: Form, before: Option<&Details>, faults: Vec<Fault>) -> Self {
        let names: BTreeSet<_> = before.iter().flat_map(|d| d.secret.iter().cloned()).collect();
        let plain = before.map(|details| details.plain.clone()).unwrap_or_default();
        let links = before.map(|details| details.links.clone()).unwrap_or_default();
        let fields = Fields { plain, names: names.clone(), links, ..Fields::default() };
        Self { form, fields, kept: names, faults }
    }

    fn fault(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(Fault::new(pointer, code, detail));
    }

    fn add(&mut self, name: String, sent: Sent) {
        let pointer = child(ROOT, &name);
        let name = self.form.named(name);
        let role = self.form.role(&name).filter(|_| is_name(&name));
        let Some(role) = role else {
            let known = self.form.known();
            return self.fault(&pointer, "unknown_field", known);
        };
        match (role, sent) {
            (Role::Secret { .. } | Role::Any, Sent::Text(value)) => {
                self.add_secret(name, &pointer, value);
            }
            (Role::Secret { .. } | Role::Any, Sent::Link(link)) => self.add_link(name, *link),
            (Role::Any, Sent::Marked { value, secret: true }) => {
                self.add_secret(name, &pointer, value);
            }
            (Role::Plain { needed: false }, Sent::Text(value))
                if value.is_empty() && self.is_scheme() =>
            {
                self.take_away(&name);
            }
            (Role::Plain { .. }, Sent::Text(value))
            | (Role::Any, Sent::Marked { value, secret: false }) => {
                self.add_plain(name, &pointer, value);
            }
            (
                Role::Plain { needed: false } | Role::Secret { needed: false } | Role::Any,
                Sent::Null,
            ) => self.take_away(&name),
            (_, Sent::Null) => self.fault(&pointer, "wrong_type", "this field is needed"),
            (_, Sent::Marked { .. } | Sent::Link(_)) => {
                self.fault(&pointer, "wrong_type", "must be a string");
            }
        }
    }

    /// An app's form sends an empty text for what is left open; an api_key's prefix may be empty.
    fn is_scheme(&self) -> bool {
        matches!(self.form, Form::Scheme(_))
    }

    fn take_away(&mut self, name: &str) {
        self.fields.plain.remove(name);
        self.fields.names.remove(name);
        self.fields.links.remove(name);
    }

    fn add_secret(&mut self, name: String, pointer: &str, value: Incoming) {
        if value.is_empty() {
            self.fault(pointer, "empty", "a secret field cannot be empty");
        }
        self.check_size(pointer, value.len());
        self.fields.plain.remove(&name);
        self.fields.links.remove(&name);
        self.fields.names.insert(name.clone());
        self.fields.sent.insert(name.clone());
        self.fields.secret.insert(name, value);
    }

    fn add_link(&mut self, name: String, link: Link) {
        self.fields.plain.remove(&name);
        self.fields.names.insert(name.clone());
        self.fields.sent.insert(name.clone());
        self.fields.links.insert(name, link);
    }

    fn add_plain(&mut self, name: String, pointer: &str, value: Incoming) {
        self.check_size(pointer, value.len());
        self.fields.names.remove(&name);
        self.fields.plain.insert(name, value.into_plain());
    }

    fn check_size(&mut self, pointer: &str, bytes: usize) {
        if bytes > MAX_FIELD_BYTES {
            let detail = format!("a field holds at most {MAX_FIELD_BYTES} bytes (64 KiB)");
            self.fault(pointer, "value_too_large", detail);
        }
    }

    fn finish(mut self) -> Result<Fields, Vec<Fault>> {
        self.check_needed();
        self.check_plain();
        self.check_replaced();
        let count = self.fields.plain.len() + self.fields.names.len();
        if count > MAX_FIELDS && self.faults.is_empty() {
            self.fault(ROOT, "too_many", format!("a credential has at most {MAX_FIELDS} fields"));
        }
        if self.faults.is_empty() { Ok(self.fields) } else { Err(self.faults) }
    }

    fn check_needed(&mut self) {
        let kind = match &self.form {
            Form::Type(kind) => *kind,
            Form::Scheme(scheme) => return self.check_scheme_needs(&scheme.clone()),
        };
        let secret = match kind {
            CredentialType::ApiKey => "value",
            CredentialType::Basic => "password",
            CredentialType::Custom => {
                if self.fields.names.is_empty() && self.faults.is_empty() {
                    self.fault(ROOT, "missing", "at least one field must be secret");
                }
                return;
            }
        };
        // A field whose form was wrong has its fault already.
        let faulty = |faults: &[Fault], name: &str| {
            let pointer = child(ROOT, name);
            faults.iter().any(|fault| fault.pointer == pointer || fault.pointer == ROOT)
        };
        let is_basic = kind == CredentialType::Basic;
        if is_basic
            && !self.fields.plain.contains_key("username")
            && !faulty(&self.faults, "username")
        {
            self.fault("/fields/username", "missing", "is needed");
        }
        if !self.fields.names.contains(secret) && !faulty(&self.faults, secret) {
            self.fault(&child(ROOT, secret), "missing", "is needed");
        }
    }

    fn check_scheme_needs(&mut self, scheme: &Scheme) {
        for field in &scheme.fields {
            let pointer = child(ROOT, &field.name);
            let set = self.fields.plain.contains_key(&field.name)
                || self.fields.names.contains(&field.name);
            let faulty = self.faults.iter().any(|f| f.pointer == pointer || f.pointer == ROOT);
            if field.required && field.default.is_none() && !set && !faulty {
                self.fault(&pointer, "missing", format!("{} is needed", field.label));
            }
        }
    }

    /// A version holds all secret fields, and those that stay cannot be read to seal them anew.
    fn check_replaced(&mut self) {
        let changed = self.fields.names != self.kept || !self.fields.secret.is_empty();
        let absent = |name: &&String| {
            !self.fields.secret.contains_key(*name) && !self.fields.links.contains_key(*name)
        };
        let absent: Vec<_> = self.fields.names.iter().filter(absent).cloned().collect();
        if changed && !absent.is_empty() && self.faults.is_empty() {
            let absent = absent.join(", ");
            let detail = format!("a new version needs all secret fields; also send {absent}");
            self.fault(ROOT, "missing", detail);
        }
    }

    fn check_plain(&mut self) {
        match &self.form {
            Form::Scheme(scheme) => self.check_scheme_plain(&scheme.clone()),
            Form::Type(CredentialType::ApiKey) => self.check_api_key(),
            Form::Type(CredentialType::Basic) => self.check_username(),
            Form::Type(CredentialType::Custom) => {}
        }
    }

    fn check_scheme_plain(&mut self, scheme: &Scheme) {
        for field in scheme.fields.iter().filter(|field| !field.secret) {
            let value = self.fields.plain.get(&field.name);
            if value.is_some_and(|value| !field.fits(value)) {
                let detail = match field.one_of.as_slice() {
                    [] => format!("{} has another form", field.label),
                    words => format!("must be one of: {}", words.join(", ")),
                };
                self.fault(&child(ROOT, &field.name), "invalid_value", detail);
            }
        }
    }

    fn check_api_key(&mut self) {
        let plain = |name: &str| self.fields.plain.get(name).map(String::as_str);
        let (place, name, prefix) = (plain("in"), plain("name"), plain("prefix"));
        let in_query = place == Some("query");
        let bad_place = place.is_some_and(|place| !matches!(place, "header" | "query"));
        let bad_name = name.and_then(|name| match in_query {
            true => (name.is_empty() || has_control(name)).then_some("a parameter needs a name"),
            false => super::template::header_fault(name),
        });
        let bad_prefix = prefix.is_some_and(has_control);
        if bad_place {
            self.fault("/fields/in", "invalid_value", "must be header or query");
        }
        if let Some(detail) = bad_name {
            self.fault("/fields/name", "invalid_value", detail);
        }
        if bad_prefix {
            self.fault("/fields/prefix", "invalid_value", "a prefix has no control characters");
        }
    }

    /// RFC 7617 §2: no colon, no control characters.
    fn check_username(&mut self) {
        let name = self.fields.plain.get("username");
        if name.is_some_and(|name| name.contains(':') || has_control(name)) {
            let detail = "a user name has no colon and no control characters (RFC 7617)";
            self.fault("/fields/username", "invalid_value", detail);
        }
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const API_KEY: CredentialType = CredentialType::ApiKey;
    const BASIC: CredentialType = CredentialType::Basic;
    const CUSTOM: CredentialType = CredentialType::Custom;

    fn details(plain: &[(&str, &str)], secret: &[&str]) -> Details {
        Details {
            name: String::new(),
            description: String::new(),
            environment: String::new(),
            tags: Vec::new(),
            plain: plain.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            secret: secret.iter().map(|name| (*name).to_owned()).collect(),
            template: None,
            test: None,
            ..Details::default()
        }
    }

    /// Plain fields as `name=value`, names of secret ones, those of them with a value as `name*`.
    fn shown(fields: &Fields) -> Vec<String> {
        let plain = fields.plain.iter().map(|(name, value)| format!("{name}={value}"));
        let secret = fields.names.iter().map(|name| match fields.secret.get(name) {
            Some(_) => format!("{name}*"),
            None => name.clone(),
        });
        plain.chain(secret).collect()
    }

    fn check(kind: CredentialType, before: Option<&Details>, sent: &Value, expected: &[&str]) {
        let merged = Given::take(sent.clone()).merge(kind, before);
        let found = match &merged {
            Ok(fields) => shown(fields),
            Err(faults) => faults
                .iter()
                .map(|fault| {
                    assert!(!fault.detail.contains("canary"), "{fault:?}");
                    assert!(!fault.pointer.contains("canary"), "{fault:?}");
                    format!("{} {}", fault.pointer, fault.code)
                })
                .collect(),
        };
        assert_eq!(found, expected, "{kind:?} {sent}");
    }

    #[test]
    fn new_fields_fit_their_type() {
        check(API_KEY, None, &json!({"value": "canary"}), &["value*"]);
        check(
            API_KEY,
            None,
            &json!({"value": "canary", "in": "query", "name": "a b", "prefix": ""}),
            &["in=query", "name=a b", "prefix=", "value*"],
        );
        check(BASIC, None, &json!({"username": "", "password": "p"}), &["username=", "password*"]);
        check(
            CUSTOM,
            None,
            &json!({
                "a": "canary", "b": {"value": "x", "secret": false}, "c": {"value": "canary"},
                "d": {"value": "canary", "secret": true},
            }),
            &["b=x", "a*", "c*", "d*"],
        );
        let pem = "-----BEGIN KEY-----\r\ncanary\n-----END KEY-----\n";
        check(CUSTOM, None, &json!({"private_key": pem}), &["private_key*"]);
    }

    #[test]
    fn each_fault_of_new_fields_has_its_place() {
        check(API_KEY, None, &json!("canary"), &["/fields wrong_type"]);
        check(API_KEY, None, &json!({}), &["/fields/value missing"]);
        check(API_KEY, None, &json!({"value": ""}), &["/fields/value empty"]);
        check(API_KEY, None, &json!({"value": null}), &["/fields/value wrong_type"]);
        check(API_KEY, None, &json!({"value": ["canary"]}), &["/fields/value wrong_type"]);
        let marked = json!({"value": {"value": "canary", "secret": false}});
        check(API_KEY, None, &marked, &["/fields/value wrong_type"]);
        check(
            API_KEY,
            None,
            &json!({"value": "canary", "in": "canary", "name": "x y", "prefix": "a\r\nb", "z": "canary"}),
            &[
                "/fields/z unknown_field",
                "/fields/in invalid_value",
                "/fields/name invalid_value",
                "/fields/prefix invalid_value",
            ],
        );
        check(
            API_KEY,
            None,
            &json!({"value": "canary", "name": "Transfer-Encoding"}),
            &["/fields/name invalid_value"],
        );
        check(BASIC, None, &json!({}), &["/fields/username missing", "/fields/password missing"]);
        let colon = json!({"username": "a:canary", "password": "canary"});
        check(BASIC, None, &colon, &["/fields/username invalid_value"]);
        check(CUSTOM, None, &json!({"a": {"value": "x", "secret": false}}), &["/fields missing"]);
        check(
            CUSTOM,
            None,
            &json!({"a": {"secret": true, "set": true}}),
            &["/fields/a wrong_type"],
        );
        check(
            CUSTOM,
            None,
            &json!({"a": {"value": "x", "secret": "no"}}),
            &["/fields/a wrong_type"],
        );
        let link = json!({"a": {"link": {"credential": "VAULT"}}});
        check(CUSTOM, None, &link, &["/fields/a/link/inputs missing"]);
        let both = json!({"a": {"link": {}, "value": "canary"}});
        check(CUSTOM, None, &both, &["/fields/a wrong_type"]);
        let full = json!({"a": {"link": {"credential": "V", "inputs": {}, "output": "data.x"}}});
        check(CUSTOM, None, &full, &["a"]);
        for name in ["1a", "a-b", "", "canary of a name", &"x".repeat(65)] {
            let found = Given::take(json!({name: "canary"})).merge(CUSTOM, None);
            let faults = found.err().expect("refused");
            assert_eq!(faults[0].code, "unknown_field", "{name}");
        }
    }

    #[test]
    fn limits_are_exact() {
        let sized = |bytes: usize| json!({"value": "x".repeat(bytes)});
        check(API_KEY, None, &sized(65_536), &["value*"]);
        check(API_KEY, None, &sized(65_537), &["/fields/value value_too_large"]);
        // Bytes are counted, not characters.
        check(API_KEY, None, &json!({"value": "é".repeat(32_768)}), &["value*"]);
        let long = json!({"value": "é".repeat(32_769)});
        check(API_KEY, None, &long, &["/fields/value value_too_large"]);
        let many = |count: usize| -> Value {
            (0..count).map(|n| (format!("f{n}"), Value::from("x"))).collect::<Map<_, _>>().into()
        };
        assert!(Given::take(many(64)).merge(CUSTOM, None).is_ok());
        check(CUSTOM, None, &many(65), &["/fields too_many"]);
        let before = details(&[("one_more", "x")], &[]);
        check(CUSTOM, Some(&before), &many(64), &["/fields too_many"]);
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let key = details(&[("in", "header"), ("name", "X-Key")], &["value"]);
        check(API_KEY, Some(&key), &json!({}), &["in=header", "name=X-Key", "value"]);
        check(
            API_KEY,
            Some(&key),
            &json!({"name": "X-Other", "in": null}),
            &["name=X-Other", "value"],
        );
        check(
            API_KEY,
            Some(&key),
            &json!({"value": "canary"}),
            &["in=header", "name=X-Key", "value*"],
        );
        check(API_KEY, Some(&key), &json!({"value": null}), &["/fields/value wrong_type"]);
        // The name that is kept must still fit.
        let query = details(&[("in", "query"), ("name", "a b")], &["value"]);
        let header = json!({"in": "header"});
        check(API_KEY, Some(&query), &header, &["/fields/name invalid_value"]);

        let custom = details(&[("account", "7")], &["a", "b"]);
        let plain = json!({"account": {"value": "8", "secret": false}});
        check(CUSTOM, Some(&custom), &plain, &["account=8", "a", "b"]);
        check(CUSTOM, Some(&custom), &json!({"a": "canary"}), &["/fields missing"]);
        check(CUSTOM, Some(&custom), &json!({"c": "canary"}), &["/fields missing"]);
        check(CUSTOM, Some(&custom), &json!({"b": null}), &["/fields missing"]);
        check(
            CUSTOM,
            Some(&custom),
            &json!({"a": "canary", "b": "canary", "c": "canary"}),
            &["account=7", "a*", "b*", "c*"],
        );
        check(CUSTOM, Some(&custom), &json!({"a": "canary", "b": null, "account": null}), &["a*"]);
        let swap =
            json!({"a": {"value": "x", "secret": false}, "b": "canary", "account": "canary"});
        check(CUSTOM, Some(&custom), &swap, &["a=x", "account*", "b*"]);
    }
}
