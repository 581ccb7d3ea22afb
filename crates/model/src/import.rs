//! Credentials out of other programs' files: what a file names, and what importing it would do.
//! Values stay in buffers that are wiped, and nothing that is told of a file repeats them.

mod dotenv;
mod n8n;
mod vault_kv;
mod windmill;

use crate::credential::CredentialType;
use crate::workflow::CredentialKey;
use serde_json::Value;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most credentials of one file.
pub const MAX_ENTRIES: usize = 1_000;

/// Whose file it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `.env`: a line `KEY=VALUE` for each api_key.
    Env,
    /// HashiCorp Vault: `vault kv get -format=json`, or a map from path to fields.
    VaultKv,
    /// n8n: `n8n export:credentials`, encrypted or not.
    N8n,
    /// Windmill: variables and resources as its API lists them.
    Windmill,
}

impl Format {
    /// The word sent and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::VaultKv => "vault_kv",
            Self::N8n => "n8n",
            Self::Windmill => "windmill",
        }
    }
}

/// A value on its way from a file into the vault.
pub type Held = Zeroizing<String>;

/// What a file says of one credential.
pub struct Entry {
    /// Where it stands: `line 3`, `entry 2`.
    pub place: String,
    /// The key made of its name; `None` where none can be made.
    pub key: Option<CredentialKey>,
    /// How it would be made up.
    pub kind: CredentialType,
    /// The name that people read, where it is another than the key.
    pub name: Option<String>,
    /// The values that the file holds, by field.
    pub fields: BTreeMap<String, Held>,
    /// The fields whose values it does not hold.
    pub needs: Vec<String>,
    /// Why it is no credential that can be made, if so.
    pub problem: Option<Problem>,
}

/// Why an entry cannot or need not become a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is left out.
    Skip(&'static str),
    /// It is wrong, and nothing of the file can be imported.
    Invalid(&'static str),
}

/// A file that cannot be read. Says where, never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The document as a whole.
    #[error("{0}")]
    Document(&'static str),
    /// It is no JSON.
    #[error("it is not the JSON that is expected: {0}")]
    Json(#[from] crate::json::JsonFault),
    /// Too many entries.
    #[error("it names more than {MAX_ENTRIES} credentials")]
    TooMany,
}

/// Reads a file. `key` names the one credential of a file that does not say it.
///
/// # Errors
/// `Broken` where any part of it cannot be read; then nothing of it is believed.
pub fn read(format: Format, content: &str, key: Option<&str>) -> Result<Vec<Entry>, Broken> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let entries = match format {
        Format::Env => dotenv::read(content)?,
        Format::VaultKv => vault_kv::read(content, key)?,
        Format::N8n => n8n::read(content)?,
        Format::Windmill => windmill::read(content)?,
    };
    match entries.len() {
        0 => Err(Broken::Document("it names no credential")),
        1..=MAX_ENTRIES => Ok(entries),
        _ => Err(Broken::TooMany),
    }
}

impl Entry {
    fn new(place: String, name: &str, kind: CredentialType) -> Self {
        let key = key_of(name);
        let other = key.as_ref().is_some_and(|key| key.as_str() != name);
        let fits = other && name.chars().count() <= 200 && !name.chars().any(char::is_control);
        Self {
            place,
            kind,
            name: fits.then(|| name.to_owned()),
            problem: key.is_none().then_some(Problem::Invalid("no key can be made of its name")),
            key,
            fields: BTreeMap::new(),
            needs: Vec::new(),
        }
    }

    fn skipped(mut self, why: &'static str) -> Self {
        self.problem = Some(Problem::Skip(why));
        self
    }

    fn invalid(mut self, why: &'static str) -> Self {
        self.problem.get_or_insert(Problem::Invalid(why));
        self
    }

    /// Takes a field's value; an empty one is one that is not there.
    fn put(&mut self, name: &str, value: Held) {
        match value.is_empty() {
            true => self.needs.push(name.to_owned()),
            false => drop(self.fields.insert(name.to_owned(), value)),
        }
    }

    /// Takes the members of a JSON object as fields of a custom credential.
    fn put_members(&mut self, members: serde_json::Map<String, Value>) {
        for (name, value) in members {
            let value = text(value);
            let field = field_of(&name);
            match (field, value) {
                (Some(field), Some(_)) if self.has(&field) => {
                    self.problem = Some(Problem::Invalid("two of its fields have the same name"));
                }
                (Some(field), Some(value)) => self.put(&field, value),
                (None, _) => self.problem = Some(Problem::Invalid("a field's name is no name")),
                (_, None) => self.problem = Some(Problem::Invalid("a field holds no text")),
            }
        }
        if self.fields.is_empty() && self.needs.is_empty() {
            self.problem.get_or_insert(Problem::Invalid("it has no fields"));
        }
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field) || self.needs.iter().any(|name| name == field)
    }
}

/// The key that is made of a path or a name; other characters than a key's become `_`.
fn key_of(name: &str) -> Option<CredentialKey> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let key: String = name.trim().chars().map(|c| if plain(c) { c } else { '_' }).collect();
    CredentialKey::parse(key.trim_matches('_')).ok()
}

/// A field's name, made of what stands in the file.
fn field_of(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let field: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let starts = field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && field.len() <= 64).then_some(field)
}

/// A scalar as text, moved out of the document; `None` for anything else, which is wiped.
fn text(value: Value) -> Option<Held> {
    match value {
        Value::String(text) => Some(Zeroizing::new(text)),
        Value::Number(number) => Some(Zeroizing::new(number.to_string())),
        Value::Bool(flag) => Some(Zeroizing::new(flag.to_string())),
        Value::Null => Some(Zeroizing::default()),
        other => {
            wipe(other);
            None
        }
    }
}

/// Wipes every text of a document that is not needed any more.
fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(Zeroizing::new(text)),
        Value::Array(items) => items.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is there already under a key, in the scope that is imported into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// How it is made up.
    pub kind: CredentialType,
    /// Whether the person may replace its value.
    pub replaceable: bool,
}

/// What importing an entry does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Makes a credential.
    Create,
    /// Replaces the value of one.
    Overwrite,
    /// Nothing.
    Skip,
    /// Keeps the whole file from being imported.
    Invalid,
}

/// What importing a file does with one of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The action.
    pub action: Action,
    /// Why, in words, with the entry's place.
    pub detail: String,
    /// Whether a person has to give values.
    pub needs_value: bool,
}

/// What importing would do with each entry. `existing` knows what is there under a key.
pub fn plan(
    entries: &[Entry],
    overwrite: bool,
    existing: impl Fn(&CredentialKey) -> Option<Existing>,
) -> Vec<Planned> {
    let mut seen = std::collections::BTreeSet::new();
    let mut planned = Vec::with_capacity(entries.len());
    for entry in entries {
        let taken = entry.key.as_ref().is_some_and(|key| !seen.insert(key.clone()));
        let there = entry.key.as_ref().and_then(&existing);
        let (action, why) = decide(entry, taken, overwrite, there);
        let detail = format!("{}: {why}", entry.place);
        let makes = matches!(action, Action::Create | Action::Overwrite);
        planned.push(Planned { action, detail, needs_value: makes && !entry.needs.is_empty() });
    }
    planned
}

fn decide(
    entry: &Entry,
    taken: bool,
    overwrite: bool,
    existing: Option<Existing>,
) -> (Action, &'static str) {
    match (entry.problem, existing) {
        (Some(Problem::Skip(why)), _) => (Action::Skip, why),
        (Some(Problem::Invalid(why)), _) => (Action::Invalid, why),
        _ if taken => (Action::Invalid, "an entry before it has the same key"),
        (None, None) if entry.needs.is_empty() => (Action::Create, "is new"),
        (None, None) => (Action::Create, "is new; the file does not hold its values"),
        (None, Some(_)) if !overwrite => {
            (Action::Skip, "there is one already; with `overwrite` its value is replaced")
        }
        (None, Some(found)) if found.kind != entry.kind => {
            (Action::Invalid, "there is one of another type already")
        }
        (None, Some(found)) if !found.replaceable => {
            (Action::Invalid, "there is one already, whose value you may not replace")
        }
        (None, Some(_)) => (Action::Overwrite, "replaces the value of the one that is there"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Entries as `KEY type field=value needed?`; what is wrong stands in the type's place.
    pub(super) fn check(format: Format, file: &Value, key: Option<&str>, expected: &[&str]) {
        let entries =
            read(format, &file.to_string(), key).unwrap_or_else(|e| panic!("{file}: {e}"));
        let shown: Vec<_> = entries.iter().map(show).collect();
        assert_eq!(shown, expected, "{file}");
    }

    fn show(entry: &Entry) -> String {
        let key = entry.key.as_ref().map_or("-", |key| key.as_str());
        let kind = match entry.problem {
            None => entry.kind.as_str(),
            Some(Problem::Skip(_)) => "skip",
            Some(Problem::Invalid(_)) => "invalid",
        };
        let fields = entry.fields.iter().map(|(name, value)| format!(" {name}={}", value.as_str()));
        let needs = entry.needs.iter().map(|name| format!(" {name}?"));
        format!("{key} {kind}{}", fields.chain(needs).collect::<String>())
    }

    #[test]
    fn limits_are_exact() {
        let file = |count: usize| (0..count).map(|n| format!("K{n}=v\n")).collect::<String>();
        assert!(read(Format::Env, &file(MAX_ENTRIES), None).is_ok());
        let most = read(Format::Env, &file(MAX_ENTRIES + 1), None);
        assert_eq!(most.err(), Some(Broken::TooMany));
        assert!(read(Format::Env, "# nothing\n", None).is_err());
        assert!(read(Format::Env, "\u{feff}A=b", None).is_ok());
    }

    #[test]
    fn importing_is_planned_entry_by_entry() {
        let entries = read(Format::Env, "NEW=a\nOLD=b\nOLD=c\nEMPTY=\n_X=y\nBASIC=d\nOWN=e", None);
        let entries = entries.expect("a file");
        let existing = |key: &CredentialKey| {
            let there = |kind, replaceable| Some(Existing { kind, replaceable });
            match key.as_str() {
                "OLD" => there(CredentialType::ApiKey, true),
                "BASIC" => there(CredentialType::Basic, true),
                "OWN" => there(CredentialType::ApiKey, false),
                _ => None,
            }
        };
        let check = |overwrite: bool, expected: &[(Action, bool)]| {
            let planned = plan(&entries, overwrite, existing);
            let short: Vec<_> = planned.iter().map(|p| (p.action, p.needs_value)).collect();
            assert_eq!(short, expected, "{planned:?}");
            let numbered =
                |(at, p): (usize, &Planned)| p.detail.starts_with(&format!("line {}", at + 1));
            assert!(planned.iter().enumerate().all(numbered), "{planned:?}");
        };
        use Action::{Create, Invalid, Overwrite, Skip};
        let (new, empty, odd) = ((Create, false), (Create, true), (Invalid, false));
        let skip = (Skip, false);
        check(false, &[new, skip, odd, empty, odd, skip, skip]);
        check(true, &[new, (Overwrite, false), odd, empty, odd, odd, odd]);
    }
}
