//! Made-up credentials of the apps' schemes, as `crates/connectors/tests` makes them up, with
//! canaries where those have names.

use keyward_model::catalogue::{Field, Format, Scheme};
use keyward_testkit::evidence::Evidence;
use serde_json::{Map, Value};

/// Values by what stands in their place in the expected files.
pub struct Names(Vec<(String, String)>);

/// The fields of a credential.
pub struct Held {
    /// The secret ones.
    pub secret: Map<String, Value>,
    /// The plain ones that have no default.
    pub plain: Map<String, Value>,
    pub names: Names,
}

impl Held {
    /// The required fields of a scheme, and what its sign-in gives; `purpose` tells canaries apart.
    pub fn of(evidence: &Evidence, app: &str, scheme: &Scheme, purpose: &str) -> Self {
        let canary = |name: &str| evidence.canary(&format!("{app}-{}-{purpose}-{name}", scheme.id));
        let (mut secret, mut plain, mut names) = (Map::new(), Map::new(), Vec::new());
        for field in scheme.fields.iter().filter(|f| f.required && f.default.is_none()) {
            let prefix = field.prefixes.first().cloned().unwrap_or_default();
            let (written, value) = match field.secret {
                true => (format!("<{}>", field.name), format!("{prefix}{}", canary(&field.name))),
                false => (sample(field), format!("{prefix}{}", sample(field))),
            };
            let fields = if field.secret { &mut secret } else { &mut plain };
            fields.insert(field.name.clone(), value.clone().into());
            if written != value {
                names.push((written, value));
            }
        }
        let given = scheme.sign_in.iter().flat_map(|sign_in| sign_in.gives.keys());
        names.extend(given.map(|name| (format!("<{name}>"), canary(name))));
        Self { secret, plain, names: Names(names) }
    }

    /// All of them, as a credential is saved.
    pub fn fields(&self) -> Map<String, Value> {
        self.plain.clone().into_iter().chain(self.secret.clone()).collect()
    }

    /// The secret ones from the body of the trigger's request.
    pub fn external(&self) -> Map<String, Value> {
        let path = |name: &String| (name.clone(), format!("{{{{ trigger.body.{name} }}}}").into());
        self.plain.clone().into_iter().chain(self.secret.keys().map(path)).collect()
    }
}

fn sample(field: &Field) -> String {
    let label = field.name.replace('_', "-");
    match field.format {
        Some(Format::Url) => format!("https://{label}.example.com"),
        Some(Format::Host) => format!("{label}.example.com"),
        Some(Format::Port) => "8443".into(),
        _ => label,
    }
}

impl Names {
    /// A text with values in the place of names.
    pub fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The same in all texts of a document.
    pub fn fill_all(&self, document: &Value) -> Value {
        match document {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_all(item)).collect(),
            Value::Object(members) => {
                let filled =
                    |(name, value): (&String, &Value)| (name.clone(), self.fill_all(value));
                Value::Object(members.iter().map(filled).collect())
            }
            other => other.clone(),
        }
    }
}
