//! A deserializer over a parsed document that knows where it is and never repeats what it read.

use super::{Fault, child};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fmt;

/// Unknown members are listed this far; one body cannot ask for a megabyte of faults.
const MAX_UNKNOWN: usize = 100;

pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<Fault>> {
    let unknown = RefCell::new(Vec::new());
    let read = T::deserialize(Node { value, pointer: String::new(), unknown: &unknown });
    let mut faults = unknown.into_inner();
    match read {
        Ok(value) if faults.is_empty() => Ok(value),
        Ok(_) => Err(faults),
        Err(stop) => {
            faults.push(stop.into_fault());
            Err(faults)
        }
    }
}

/// The fault that ended the reading; its pointer grows outward as the error travels up.
#[derive(Debug)]
struct Stop {
    code: &'static str,
    detail: String,
    member: Option<&'static str>,
    pointer: Option<String>,
}

impl Stop {
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), member: None, pointer: None }
    }

    /// Sets the place unless one further inside is known.
    fn at(mut self, pointer: impl FnOnce() -> String) -> Self {
        self.pointer.get_or_insert_with(pointer);
        self
    }

    fn into_fault(self) -> Fault {
        let mut pointer = self.pointer.unwrap_or_default();
        if let Some(member) = self.member {
            pointer = child(&pointer, member);
        }
        Fault { pointer, code: self.code, detail: self.detail }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Stop {}

/// Serde's texts may repeat what was read, so all of them are replaced here.
impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::new("invalid_value", "not an accepted value")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("wrong_type", format!("must be {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("invalid_value", format!("must be {expected}"))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::new("invalid_value", format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new("invalid_value", format!("must be one of: {}", expected.join(", ")))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        let expected = expected.join(", ");
        Self::new("unknown_member", format!("holds a member that is none of: {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { member: Some(field), ..Self::new("missing", "is needed") }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self { member: Some(field), ..Self::new("invalid_value", "is given twice") }
    }
}

/// A value and where it stands.
struct Node<'a> {
    value: &'a Value,
    pointer: String,
    unknown: &'a RefCell<Vec<Fault>>,
}

impl<'a> Node<'a> {
    fn inner(&self, value: &'a Value, name: &str) -> Self {
        Self { value, pointer: child(&self.pointer, name), unknown: self.unknown }
    }

    /// Reads a value inside this one; a fault that has no place yet gets this one.
    fn read_inner<'de, T: DeserializeSeed<'de>>(
        &self,
        value: &'a Value,
        name: &str,
        seed: T,
    ) -> Result<T::Value, Stop> {
        let read = seed.deserialize(self.inner(value, name));
        read.map_err(|stop| stop.at(|| child(&self.pointer, name)))
    }

    fn wrong_type<'de, V: Visitor<'de>>(&self, visitor: &V) -> Stop {
        de::Error::invalid_type(Unexpected::Unit, visitor)
    }

    fn any<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Stop> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                _ => Err(self.wrong_type(&visitor)),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => {
                visitor.visit_seq(Items { node: self, items: items.iter(), index: 0 })
            }
            Value::Object(object) => visitor.visit_map(Members::new(self, object)),
        }
    }

    /// Notes every member that is not declared; they are passed over then.
    fn note_unknown(&self, object: &Map<String, Value>, declared: &[&str]) {
        let mut unknown = self.unknown.borrow_mut();
        for name in object.keys().filter(|name| !declared.contains(&name.as_str())) {
            if unknown.len() < MAX_UNKNOWN {
                let detail = format!("no such member; known here: {}", declared.join(", "));
                unknown.push(Fault::new(child(&self.pointer, name), "unknown_member", detail));
            }
        }
    }
}

impl<'de> de::Deserializer<'de> for Node<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.value {
            Value::Object(object) => {
                self.note_unknown(object, fields);
                visitor.visit_map(Members::declared(&self, object, fields))
            }
            _ => Err(Stop::new("wrong_type", "must be an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let (variant, content) = match self.value {
            Value::String(text) => (text.as_str(), None),
            Value::Object(object) => match object.iter().next() {
                Some((name, value)) if object.len() == 1 => (name.as_str(), Some(value)),
                _ => return Err(self.wrong_type(&visitor)),
            },
            _ => return Err(self.wrong_type(&visitor)),
        };
        let access = Variant { node: &self, variant, content };
        visitor.visit_enum(access)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'n, 'a> {
    node: &'n Node<'a>,
    items: std::slice::Iter<'a, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        let Some(value) = self.items.next() else { return Ok(None) };
        let index = self.index.to_string();
        self.index += 1;
        self.node.read_inner(value, &index, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members<'n, 'a> {
    node: &'n Node<'a>,
    members: serde_json::map::Iter<'a>,
    declared: Option<&'static [&'static str]>,
    current: Option<(&'a str, &'a Value)>,
}

impl<'n, 'a> Members<'n, 'a> {
    fn new(node: &'n Node<'a>, object: &'a Map<String, Value>) -> Self {
        Self { node, members: object.iter(), declared: None, current: None }
    }

    fn declared(
        node: &'n Node<'a>,
        object: &'a Map<String, Value>,
        declared: &'static [&'static str],
    ) -> Self {
        Self { declared: Some(declared), ..Self::new(node, object) }
    }
}

impl<'de> MapAccess<'de> for Members<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        let known = |name: &str| self.declared.is_none_or(|declared| declared.contains(&name));
        let Some((name, value)) = self.members.find(|(name, _)| known(name)) else {
            return Ok(None);
        };
        self.current = Some((name, value));
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        let (name, value) = self.current.take().unwrap_or(("", &Value::Null));
        self.node.read_inner(value, name, seed)
    }
}

struct Variant<'n, 'a> {
    node: &'n Node<'a>,
    variant: &'a str,
    content: Option<&'a Value>,
}

impl<'n, 'a, 'de> EnumAccess<'de> for Variant<'n, 'a> {
    type Error = Stop;
    type Variant = Content<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<'a>), Stop> {
        let variant: de::value::StrDeserializer<'_, Stop> = self.variant.into_deserializer();
        let found = seed.deserialize(variant)?;
        let content = self.content.map(|value| self.node.inner(value, self.variant));
        Ok((found, Content(content)))
    }
}

/// What stands beside a variant's name.
struct Content<'a>(Option<Node<'a>>);

impl<'a> Content<'a> {
    fn read<T>(self, read: impl FnOnce(Node<'a>) -> Result<T, Stop>) -> Result<T, Stop> {
        let missing = || Stop::new("wrong_type", "must be an object with one member");
        let node = self.0.ok_or_else(missing)?;
        let pointer = node.pointer.clone();
        read(node).map_err(|stop| stop.at(|| pointer))
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        if self.0.is_none() { Ok(()) } else { Err(Stop::new("wrong_type", "must be a word")) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        self.read(|node| seed.deserialize(node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.read(|node| de::Deserializer::deserialize_any(node, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.read(|node| de::Deserializer::deserialize_struct(node, "", fields, visitor))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Faults, read};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Body {
        name: String,
        #[serde(default)]
        count: Option<u8>,
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        any: serde_json::Value,
        #[serde(default)]
        map: BTreeMap<String, u32>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        at: crate::clock::Timestamp,
    }

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        #[default]
        Plain,
        Sized {
            size: u32,
        },
        Named(String),
    }

    fn check(body: &str, expected: &[(&str, &str)]) {
        let found = match read::<Body>(body.as_bytes()) {
            Ok(_) => vec![],
            Err(Faults::Json(fault)) => panic!("{fault}"),
            Err(Faults::Rules(faults)) => faults,
        };
        for fault in &found {
            assert!(!fault.detail.contains("canary"), "{fault:?}");
        }
        let found: Vec<_> = found.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn a_fitting_body_is_read() {
        check(r#"{"name":"x"}"#, &[]);
        check(r#"{"name":"x","count":null,"kind":"plain","any":{"q":[1]},"map":{"a b":1}}"#, &[]);
        check(r#"{"name":"x","kind":{"sized":{"size":3}}}"#, &[]);
        check(r#"{"name":"x","kind":{"named":"y"},"inner":[{"at":"2026-01-01T00:00:00Z"}]}"#, &[]);
    }

    #[test]
    fn each_fault_has_its_place_and_no_value() {
        check("7", &[("", "wrong_type")]);
        check("{}", &[("/name", "missing")]);
        check(r#"{"name":7}"#, &[("/name", "wrong_type")]);
        check(r#"{"name":"x","count":"canary"}"#, &[("/count", "wrong_type")]);
        check(r#"{"name":"x","count":256}"#, &[("/count", "invalid_value")]);
        check(
            r#"{"name":"x","b":1,"c":"canary","inner":[{"at":"canary","z":1}]}"#,
            &[
                ("/b", "unknown_member"),
                ("/c", "unknown_member"),
                ("/inner/0/z", "unknown_member"),
                ("/inner/0/at", "invalid_value"),
            ],
        );
        check(r#"{"name":"x","inner":[{}]}"#, &[("/inner/0/at", "missing")]);
        check(r#"{"name":"x","kind":"canary"}"#, &[("/kind", "invalid_value")]);
        check(
            r#"{"name":"x","kind":{"sized":{"size":"canary"}}}"#,
            &[("/kind/sized/size", "wrong_type")],
        );
        check(
            r#"{"name":"x","kind":{"sized":{"size":1,"q":2}}}"#,
            &[("/kind/sized/q", "unknown_member")],
        );
        check(r#"{"name":"x","kind":["canary"]}"#, &[("/kind", "wrong_type")]);
        check(r#"{"name":"x","map":{"a":"canary"}}"#, &[("/map/a", "wrong_type")]);
    }
}
