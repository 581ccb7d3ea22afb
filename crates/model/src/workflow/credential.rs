//! How a step names its credential: by key in the vault, or by paths into the run's own data.

use super::available::Feature;
use super::key::CredentialKey;
use super::node::Node;
use crate::template::{Path, Root};

/// Where a step's credential comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialInput {
    /// `{"$credential": "KEY"}`: the vault.
    Stored(CredentialKey),
    /// `{"$external": {...}}`: the run's data.
    External(External),
}

/// A credential whose values the run's data brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The scheme or credential type; `None` where the app has one only.
    pub scheme: Option<String>,
    /// Each field and what feeds it.
    pub fields: Vec<(String, ExternalField)>,
}

/// What feeds an external credential's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalField {
    /// A static path into the trigger or an earlier step's output.
    Path(Path),
    /// A text, for fields that are not secret.
    Literal(String),
}

impl External {
    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// The fields that the run's data feeds.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.fields.iter().filter_map(|(name, field)| match field {
            ExternalField::Path(path) => Some((name.as_str(), path)),
            ExternalField::Literal(_) => None,
        })
    }

    /// The fields that are written out.
    pub fn literals(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|(name, field)| match field {
            ExternalField::Path(_) => None,
            ExternalField::Literal(text) => Some((name.as_str(), text.as_str())),
        })
    }
}

impl CredentialInput {
    /// The key, if the vault holds the credential.
    pub fn key(&self) -> Option<&CredentialKey> {
        match self {
            Self::Stored(key) => Some(key),
            Self::External(_) => None,
        }
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let known = ["$credential", "$external"];
        let Some(members) = node.value.as_object() else {
            return node.fault("wrong_type", "must be {\"$credential\": \"KEY\"}");
        };
        let object = node.object(&known)?;
        match (object.get("$credential"), object.get("$external")) {
            (Some(key), None) => read_key(&key).map(Self::Stored),
            (None, Some(external)) => External::read(&external).map(Self::External),
            _ if known.iter().filter(|name| members.contains_key(**name)).count() > 1 => {
                node.fault("invalid_value", "must hold only one of $credential and $external")
            }
            _ => node.fault("missing", "must be {\"$credential\": \"KEY\"}"),
        }
    }
}

pub(super) fn read_key(node: &Node<'_>) -> Option<CredentialKey> {
    let text = node.text()?;
    CredentialKey::parse(text).map_or_else(|e| node.fault("invalid_key", e.to_string()), Some)
}

/// A list of keys, each once.
pub(super) fn read_keys(node: &Node<'_>) -> Option<Vec<CredentialKey>> {
    let items = node.items()?;
    let read: Vec<_> = items.iter().map(|item| (item, read_key(item))).collect();
    let mut keys = Vec::with_capacity(read.len());
    for (item, key) in &read {
        if key.is_some() && keys.contains(key) {
            item.fault::<()>("duplicate", "the key is listed already");
        }
        keys.push(key.clone());
    }
    keys.into_iter().collect()
}

impl External {
    fn read(node: &Node<'_>) -> Option<Self> {
        node.require(Feature::External);
        let object = node.object(&["scheme", "fields"])?;
        let scheme = object.optional("scheme", |scheme| scheme.line(100));
        let fields = object.required("fields").and_then(|fields| fields.open_object());
        let fields = fields.and_then(|fields| {
            if fields.members().next().is_none() {
                return fields.node.fault("missing", "names no field");
            }
            let read: Vec<_> = fields
                .members()
                .map(|(name, field)| Some((name.to_owned(), read_field(&field)?)))
                .collect();
            read.into_iter().collect::<Option<Vec<_>>>()
        });
        Some(Self { scheme: scheme?, fields: fields? })
    }
}

/// The static path in an `$external` field: what feeds it must be known when the workflow is saved,
/// so that the value is sealed before anything is stored. Which fields may be written out instead is
/// the catalogue's to check.
fn read_field(field: &Node<'_>) -> Option<ExternalField> {
    let text = field.text()?;
    if !text.contains("{{") {
        return Some(ExternalField::Literal(text.to_owned()));
    }
    let template = field.lone_template()?;
    let path = template.lone_path().filter(|path| match path.root {
        Root::Trigger => !path.segments.is_empty(),
        Root::Step(_) => true,
        _ => false,
    });
    path.cloned().map(ExternalField::Path).or_else(|| {
        let detail = "must be a plain path into the trigger or an earlier step's output, such as \
                      {{ steps.lookup.output.rows[0].token }}, without filters or operators";
        field.fault("computed_path", detail)
    })
}
