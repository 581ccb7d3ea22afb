//! The inputs of an action as they come together, and the templates that read them.

use super::example;
use serde_json::{Map, Value, json};

/// The longest name of an input, in bytes.
const MAX_NAME: usize = 100;

/// Inputs by name.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    properties: Map<String, Value>,
    required: Vec<String>,
    example: Map<String, Value>,
}

impl Inputs {
    /// Adds an input under the name that it has in the description, or a near one where that is
    /// taken or cannot stand in a template; gives the name.
    pub(super) fn add(
        &mut self,
        name: &str,
        prefix: &str,
        schema: Value,
        required: bool,
    ) -> String {
        let name = self.free(name, prefix);
        let mut schema = schema;
        if required {
            let (fitting, sample) = example::fitting(schema);
            schema = fitting;
            self.required.push(name.clone());
            self.example.insert(name.clone(), sample);
        }
        self.properties.insert(name.clone(), schema);
        name
    }

    /// Whether an input of that name would keep it.
    pub(super) fn is_free(&self, name: &str) -> bool {
        is_plain(name) && !self.properties.contains_key(name)
    }

    fn free(&self, name: &str, prefix: &str) -> String {
        if self.is_free(name) {
            return name.to_owned();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().take(MAX_NAME / 2).map(plain).collect();
        let numbered = (2_u32..).map(|number| format!("{prefix}_{name}_{number}"));
        let mut candidates = [name.clone(), format!("{prefix}_{name}")].into_iter().chain(numbered);
        candidates.find(|name| self.is_free(name)).unwrap_or(name)
    }

    /// The JSON Schema of all of them, and values that fit it.
    pub(super) fn into_schema(self) -> (Value, Map<String, Value>) {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), Value::Object(self.properties));
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), json!(self.required));
        }
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        (Value::Object(schema), self.example)
    }
}

/// Whether a name can be written in a template, between quotes at least.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"\"'\\{}%#".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain)
}

/// What reads an input: `inputs.name`, and members of it.
#[derive(Debug, Clone)]
pub(super) struct Reader(String);

impl Reader {
    /// Reads the input of that name.
    pub(super) fn of(name: &str) -> Self {
        Self("inputs".to_owned()).word(name)
    }

    /// Reads a member of it, where its name can be written in a template.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        is_plain(name).then(|| self.clone().word(name))
    }

    fn word(self, name: &str) -> Self {
        let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        Self(if is_word { format!("{}.{name}", self.0) } else { format!("{}[\"{name}\"]", self.0) })
    }

    /// The value; a member that is nothing else is left out where the value is not there.
    pub(super) fn lone(&self) -> String {
        format!("{{{{ {} }}}}", self.0)
    }

    /// The value as text of its own; null where it is not there.
    pub(super) fn with(&self, filter: &str) -> String {
        format!("{{{{ {0} | {filter} if {0} is defined else none }}}}", self.0)
    }

    /// The value as text of its own; it is always there.
    pub(super) fn always_with(&self, filter: &str) -> String {
        format!("{{{{ {} | {filter} }}}}", self.0)
    }
}
