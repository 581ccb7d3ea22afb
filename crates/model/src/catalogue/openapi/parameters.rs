//! Parameters of an operation: inputs, and where in the path, query and headers they stand.

use super::document::{Document, Found, Node, line};
use super::inputs::{Inputs, Reader};
use super::schema::{self, Converter};
use crate::json::Fault;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Headers that the request's other parts decide (OpenAPI 3.1 §4.8.12.1 and RFC 9110).
const RESERVED: &[&str] = &[
    "accept", "content-type", "authorization", "host", "content-length", "transfer-encoding",
    "connection", "cookie",
];

/// How many parameters one operation may have.
const MAX_PARAMETERS: usize = 200;

/// The parameters by their places: `query` or `header`, and name.
pub(super) type Placed = BTreeSet<(String, String)>;

/// What parameters make of a request.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The path, as a template.
    pub(super) path: String,
    pub(super) query: Map<String, Value>,
    pub(super) headers: Map<String, Value>,
    /// Optional parameters that there is no way to send.
    pub(super) left_out: Vec<String>,
}

/// One parameter.
struct Parameter<'d> {
    name: &'d str,
    place: &'d str,
    node: Node<'d>,
}

/// Reads the parameters of an operation and of its path, except those that the credential fills.
pub(super) fn read<'d>(
    document: Document<'d>,
    found: &Found<'d>,
    filled: &Placed,
    converter: &mut Converter<'d>,
    inputs: &mut Inputs,
) -> Result<Parts, Fault> {
    let mut parts = Parts::default();
    let mut in_path = BTreeMap::new();
    for parameter in gathered(document, found)? {
        let Parameter { name, place, node } = &parameter;
        let in_credential = filled.contains(&((*place).to_owned(), name.to_ascii_lowercase()));
        let is_reserved = RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if in_credential || (*place == "header" && is_reserved) {
            continue;
        }
        let is_there = *place == "path" || node.flag("required");
        let outcome = parameter.place(is_there, converter, inputs, &mut parts);
        match outcome {
            Ok(Some(template)) => drop(in_path.insert(*name, template)),
            Ok(None) => {}
            Err(fault) if is_there || fault.code != "unsupported_parameter" => return Err(fault),
            Err(_) => parts.left_out.push((*name).to_owned()),
        }
    }
    parts.path = path(found, &in_path, inputs)?;
    Ok(parts)
}

/// The operation's own parameters, and those of its path that it does not replace.
fn gathered<'d>(document: Document<'d>, found: &Found<'d>) -> Result<Vec<Parameter<'d>>, Fault> {
    let mut parameters: Vec<Parameter<'d>> = Vec::new();
    for holder in [&found.item, &found.operation] {
        for node in holder.get("parameters").map(|all| all.items()).unwrap_or_default() {
            let node = document.resolve(&node)?;
            let (Some(name), Some(place)) = (node.text("name"), node.text("in")) else {
                return Err(
                    node.fault("missing", "a parameter has a name and says where it stands")
                );
            };
            if parameters.len() >= MAX_PARAMETERS {
                let detail = format!("an operation may have {MAX_PARAMETERS} parameters");
                return Err(node.fault("too_large", detail));
            }
            parameters.retain(|known| (known.name, known.place) != (name, place));
            parameters.push(Parameter { name, place, node });
        }
    }
    Ok(parameters)
}

impl<'d> Parameter<'d> {
    /// Adds the input and puts it into its place; what stands in the path is given back.
    fn place(
        &self,
        is_there: bool,
        converter: &mut Converter<'d>,
        inputs: &mut Inputs,
        parts: &mut Parts,
    ) -> Result<Option<String>, Fault> {
        let (schema, is_json) = self.schema(converter)?;
        let kind = schema::kind(&schema).map(str::to_owned);
        let form = self.form(kind.as_deref(), is_json)?;
        if let Form::Members { deep } = form {
            self.place_members(deep, schema, is_there, inputs, &mut parts.query)?;
            return Ok(None);
        }
        let fixed = if is_there { constant(&schema) } else { None };
        let needed = is_there && fixed.is_none();
        let reader = Reader::of(&inputs.add(self.name, self.place, schema, needed));
        let template = match (&form, fixed) {
            (Form::Lone, Some(fixed)) => reader.always_with(&format!("default({fixed})")),
            (Form::Filtered(filter), _) if needed => reader.always_with(filter),
            (Form::Filtered(filter), _) => reader.with(filter),
            _ => reader.lone(),
        };
        let name = match form {
            Form::Repeated => format!("{}[]", self.name),
            _ => self.name.to_owned(),
        };
        match self.place {
            "path" => return Ok(Some(template)),
            "query" => drop(parts.query.insert(name, template.into())),
            _ => drop(parts.headers.insert(name, template.into())),
        }
        Ok(None)
    }

    /// Its schema with its description, and whether it is sent as JSON.
    fn schema(&self, converter: &mut Converter<'d>) -> Result<(Value, bool), Fault> {
        let content = self.node.get("content").map(|content| content.members()).unwrap_or_default();
        let (schema, is_json) = match content.into_iter().next() {
            Some((media, content)) if super::body::is_json(media) => (content.get("schema"), true),
            Some((_, content)) => {
                return Err(content.fault("unsupported_parameter", "its content type is not known"));
            }
            None => (self.node.get("schema"), false),
        };
        let schema = schema.map(|schema| converter.convert(&schema)).transpose()?;
        let mut schema = schema.unwrap_or_else(|| json!({"type": "string"}));
        if let (Some(text), Some(members)) = (self.node.text("description"), schema.as_object_mut())
        {
            members.insert("description".to_owned(), line(text, 400).into());
        }
        let example = self.node.value.get("example").filter(|example| !example.is_object());
        if let (Some(example), Some(members)) = (example, schema.as_object_mut()) {
            members.insert("examples".to_owned(), json!([example]));
        }
        Ok((schema, is_json))
    }

    fn unsupported(&self, detail: &str) -> Fault {
        self.node.fault("unsupported_parameter", detail)
    }

    /// How its value is written (OpenAPI 3.1 §4.8.12.3).
    fn form(&self, kind: Option<&str>, is_json: bool) -> Result<Form, Fault> {
        let style = self.node.text("style");
        let explode = self.node.value.get("explode").and_then(Value::as_bool);
        let token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.place == "header" && !self.name.chars().all(token) {
            return Err(self.unsupported("is no name of a header"));
        }
        let is_list = kind == Some("array");
        let is_object = kind == Some("object");
        let joined = |by: &str| Ok(Form::Filtered(format!("join(\"{by}\")")));
        match (self.place, style) {
            ("query" | "header", _) if is_json => Ok(Form::Filtered("tojson".to_owned())),
            ("path" | "header", None | Some("simple")) if is_list => joined(","),
            ("path" | "header", None | Some("simple")) if !is_object => Ok(Form::Lone),
            ("query", Some("deepObject")) if is_object => Ok(Form::Members { deep: true }),
            // Not defined for lists; those who write it mean `name[]=a&name[]=b`.
            ("query", Some("deepObject")) if is_list => Ok(Form::Repeated),
            ("query", None | Some("form" | "spaceDelimited" | "pipeDelimited" | "deepObject"))
                if !is_object =>
            {
                match (is_list, explode.unwrap_or(style.is_none_or(|style| style == "form")), style)
                {
                    (true, false, Some("spaceDelimited")) => joined(" "),
                    (true, false, Some("pipeDelimited")) => joined("|"),
                    (true, false, _) => joined(","),
                    _ => Ok(Form::Lone),
                }
            }
            ("query", None | Some("form")) if explode.unwrap_or(true) => {
                Ok(Form::Members { deep: false })
            }
            ("cookie", _) => Err(self.unsupported("cookies are not sent")),
            ("path" | "query" | "header", _) => {
                Err(self.unsupported("there is no way to write values in this style"))
            }
            _ => Err(self.unsupported("must stand in the path, the query or a header")),
        }
    }

    /// An object whose members stand in the query one by one.
    fn place_members(
        &self,
        deep: bool,
        schema: Value,
        is_there: bool,
        inputs: &mut Inputs,
        query: &mut Map<String, Value>,
    ) -> Result<(), Fault> {
        let members = schema.get("properties").and_then(Value::as_object);
        let names: Vec<String> =
            members.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let simple = |schema: &Value| {
            let kind = schema::kind(schema);
            kind.is_some_and(|kind| kind != "object") && kind != Some("array")
                || kind == Some("array") && !deep
        };
        if names.is_empty() || !members.is_some_and(|members| members.values().all(simple)) {
            return Err(
                self.unsupported("an object in the query needs simple members that are listed")
            );
        }
        let reader = Reader::of(&inputs.add(self.name, self.place, schema, is_there));
        for name in names {
            let written = if deep { format!("{}[{name}]", self.name) } else { name.clone() };
            let member = reader.member(&name);
            let member = member.ok_or_else(|| self.unsupported("a member's name is too odd"))?;
            query.entry(written).or_insert_with(|| member.lone().into());
        }
        Ok(())
    }
}

/// How a parameter's value is written.
enum Form {
    /// As it is; the items of a list under the same name.
    Lone,
    /// As text that this filter makes.
    Filtered(String),
    /// The items of a list under `name[]`.
    Repeated,
    /// Each member on its own, as `name[member]` where `deep`.
    Members { deep: bool },
}

/// The value that is sent where none is given, as a literal of templates: the default, or the only
/// value there is.
fn constant(schema: &Value) -> Option<String> {
    let values = schema.get("enum").and_then(Value::as_array).filter(|values| values.len() == 1);
    let only = values.and_then(|values| values.first()).or(schema.get("const"));
    match schema.get("default").or(only)? {
        Value::String(text) => {
            let plain = |c: char| c.is_ascii_graphic() && !"\"'\\{}%#".contains(c);
            (!text.is_empty() && text.chars().all(plain)).then(|| format!("\"{text}\""))
        }
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The path with templates for its parameters.
fn path(
    found: &Found<'_>,
    templates: &BTreeMap<&str, String>,
    inputs: &mut Inputs,
) -> Result<String, Fault> {
    let odd = || found.operation.fault("unsupported_path", "the path cannot stand in a URL");
    let mut out = String::new();
    let literal = found.path.split('#').next().unwrap_or_default();
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(odd)?;
        out.push_str(before);
        match templates.get(name) {
            Some(template) => out.push_str(template),
            // Many descriptions name it in the path only.
            None => {
                let schema = json!({"type": "string", "minLength": 1});
                out.push_str(&Reader::of(&inputs.add(name, "path", schema, true)).lone());
            }
        }
        rest = after;
    }
    out.push_str(rest);
    let fits = |c: char| c.is_ascii_graphic() && !"\"<>\\^`|#%".contains(c);
    let in_query = literal.split_once('?').is_some_and(|(_, query)| query.contains('{'));
    if in_query || rest.contains(['{', '}']) || !literal.chars().all(fits) {
        return Err(odd());
    }
    Ok(out)
}
