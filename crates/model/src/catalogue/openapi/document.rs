//! An OpenAPI description as it was given: following references and finding operations.

use super::id;
use crate::json::Fault;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// How many references may lead to one another.
const MAX_HOPS: usize = 20;
/// How many operations one description may have.
const MAX_OPERATIONS: usize = 5000;
/// How many members or items of one value are looked at, besides paths.
const MAX_MEMBERS: usize = 1000;
/// The methods of an operation, in the order of OpenAPI's own table.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A value of the description, with the place where it really stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'d> {
    pub(super) value: &'d Value,
    pub(super) pointer: String,
}

impl<'d> Node<'d> {
    /// A member, where it is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { value, pointer: below(&self.pointer, name) })
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Option<&'d str> {
        self.value.get(name).and_then(Value::as_str)
    }

    /// A member that is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.value.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The first members, by name; none where this is no object. How many bounds the work that
    /// each of many operations can make of what they share.
    pub(super) fn members(&self) -> Vec<(&'d str, Self)> {
        self.members_up_to(MAX_MEMBERS)
    }

    fn members_up_to(&self, most: usize) -> Vec<(&'d str, Self)> {
        let each = self.value.as_object().into_iter().flatten().take(most);
        let inner = |(name, value): (&'d String, &'d Value)| {
            (name.as_str(), Self { value, pointer: below(&self.pointer, name) })
        };
        each.map(inner).collect()
    }

    /// The first items; none where this is no array.
    pub(super) fn items(&self) -> Vec<Self> {
        let each = self.value.as_array().into_iter().flatten().take(MAX_MEMBERS).enumerate();
        each.map(|(at, value)| Self { value, pointer: below(&self.pointer, &at.to_string()) })
            .collect()
    }

    pub(super) fn fault(&self, code: &'static str, detail: impl Into<String>) -> Fault {
        Fault::new(self.pointer.clone(), code, detail)
    }
}

/// Adds a name to a pointer (RFC 6901). The names of a description are no secrets, so that each
/// of them is told, other than by `json::child`.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The whole description.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'d>(&'d Value);

/// An operation as it stands in the description.
#[derive(Debug, Clone)]
pub(super) struct Found<'d> {
    /// Our id of it, unique among all of the description.
    pub(super) id: String,
    /// The description's own id.
    pub(super) own_id: Option<&'d str>,
    /// In lower case.
    pub(super) method: &'static str,
    /// With its `{parameters}`; what stands behind a `#` only tells two of the same path apart.
    pub(super) path: &'d str,
    /// What all operations of this path share.
    pub(super) item: Node<'d>,
    pub(super) operation: Node<'d>,
}

impl<'d> Document<'d> {
    /// Takes a description of OpenAPI 3.
    pub(super) fn open(value: &'d Value) -> Result<Self, Fault> {
        // YAML makes a number of `3.1`.
        let version = value.get("openapi").map(|version| match version {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let version = version.unwrap_or_default();
        if value.get("swagger").is_some() {
            let detail = "this is Swagger 2.0; convert the description to OpenAPI 3 first";
            return Err(Fault::new("/swagger", "unsupported_version", detail));
        }
        if !version.starts_with("3.") {
            let detail = "must be an OpenAPI description of version 3, such as `3.1.0`";
            return Err(Fault::new("/openapi", "unsupported_version", detail));
        }
        if !value.get("paths").is_some_and(Value::is_object) {
            let detail = "must hold the paths of the service, with their operations";
            return Err(Fault::new("/paths", "missing", detail));
        }
        Ok(Self(value))
    }

    pub(super) fn root(self) -> Node<'d> {
        Node { value: self.0, pointer: String::new() }
    }

    /// A member of the root.
    pub(super) fn get(self, name: &str) -> Option<Node<'d>> {
        self.root().get(name)
    }

    /// What a node stands for: itself, or what its `$ref` leads to.
    pub(super) fn resolve(self, node: &Node<'d>) -> Result<Node<'d>, Fault> {
        let mut found = node.clone();
        for _ in 0..MAX_HOPS {
            let Some(reference) = found.text("$ref") else { return Ok(found) };
            found = self.follow(&found, reference)?;
        }
        Err(node.fault("circular_reference", "references lead in a circle"))
    }

    /// What one reference leads to.
    pub(super) fn follow(self, from: &Node<'d>, reference: &str) -> Result<Node<'d>, Fault> {
        let at = below(&from.pointer, "$ref");
        let Some(fragment) = reference.strip_prefix('#') else {
            let detail = "leads to another document; only references within this one are followed";
            return Err(Fault::new(at, "external_reference", detail));
        };
        let pointer = percent_decode_str(fragment).decode_utf8().unwrap_or_default();
        match self.0.pointer(&pointer) {
            Some(value) => Ok(Node { value, pointer: pointer.into_owned() }),
            None => Err(Fault::new(at, "unresolved_reference", "leads to nothing in the document")),
        }
    }

    /// Every operation, in the order of the description.
    pub(super) fn operations(self) -> Result<Vec<Found<'d>>, Vec<Fault>> {
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        let mut ids = id::Taken::default();
        let paths = self.get("paths").map(|paths| paths.members_up_to(usize::MAX));
        let paths = paths.unwrap_or_default();
        for (path, item) in paths.into_iter().filter(|(path, _)| path.starts_with('/')) {
            let item = match self.resolve(&item) {
                Ok(item) => item,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            for (name, operation) in item.members() {
                let Some(method) = METHODS.into_iter().find(|method| *method == name) else {
                    continue;
                };
                if !operation.value.is_object() {
                    continue;
                }
                let own_id = operation.text("operationId").filter(|own| !own.trim().is_empty());
                let written = own_id.map_or_else(|| format!("{method} {path}"), str::to_owned);
                let id = ids.unique(&id::of(&written, method));
                if found.len() >= MAX_OPERATIONS {
                    let detail = format!("holds more than {MAX_OPERATIONS} operations");
                    return Err(vec![Fault::new("/paths", "too_large", detail)]);
                }
                found.push(Found { id, own_id, method, path, item: item.clone(), operation });
            }
        }
        if found.is_empty() && faults.is_empty() {
            faults.push(Fault::new("/paths", "missing", "holds no operation"));
        }
        if found.is_empty() { Err(faults) } else { Ok(found) }
    }
}

/// One line of at most so many characters; what is cut off is marked.
pub(super) fn line(text: &str, most: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}
