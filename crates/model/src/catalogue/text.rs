//! Manifests as text: YAML or JSON, with the line of each fault.

use super::App;
use crate::json::{self, Fault, JsonFault};
use crate::workflow::yaml;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;
use std::fmt;

/// One fault of a manifest and the line that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {}", At(.fault), .fault.detail)]
pub struct ManifestFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and its place as a JSON pointer.
    pub fault: Fault,
}

struct At<'a>(&'a Fault);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.pointer.is_empty() { Ok(()) } else { write!(f, " ({})", self.0.pointer) }
    }
}

impl App {
    /// Reads a manifest's text, YAML or JSON.
    ///
    /// # Errors
    /// Every fault with its line, at least one.
    pub fn parse(text: &str) -> Result<Self, Vec<ManifestFault>> {
        let document = document(text)?;
        Self::read(&document).map_err(|faults| placed(text, faults))
    }
}

/// JSON where it is that, and YAML otherwise: not all JSON is YAML to the parser.
fn document(text: &str) -> Result<Value, Vec<ManifestFault>> {
    let told = |fault: JsonFault, code| {
        let line = fault.line;
        vec![ManifestFault { line, fault: Fault::new("", code, fault.reason.to_string()) }]
    };
    if !is_json(text) {
        return yaml::parse(text.as_bytes()).map_err(|fault| told(fault, "invalid_yaml"));
    }
    let json = json::parse(text.as_bytes());
    json.or_else(|fault| yaml::parse(text.as_bytes()).map_err(|_| told(fault, "invalid_json")))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// The most faults that are told at once: each costs walks through the text.
const MAX_TOLD: usize = 50;

/// The faults of a document, the first [`MAX_TOLD`], with the lines of its text.
pub(super) fn placed(text: &str, faults: Vec<Fault>) -> Vec<ManifestFault> {
    let placed = |fault: Fault| ManifestFault { line: line(text, &fault.pointer), fault };
    faults.into_iter().take(MAX_TOLD).map(placed).collect()
}

/// The line in which a value stands; for one that is missing, the line of what should hold it.
fn line(text: &str, pointer: &str) -> usize {
    let names: Vec<String> =
        pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    (0..=names.len()).rev().find_map(|length| locate(text, names.get(..length)?)).unwrap_or(1)
}

fn locate(text: &str, names: &[String]) -> Option<usize> {
    let mut found = false;
    if is_json(text) {
        let mut reader = serde_json::Deserializer::from_str(text);
        let error = Walk { names, found: &mut found }.deserialize(&mut reader).err();
        if let Some(error) = error.filter(|_| found) {
            return Some(error.line());
        }
    }
    let document = serde_norway::Deserializer::from_str(text);
    let error = Walk { names, found: &mut found }.deserialize(document).err()?;
    let line = error.location().map(|location| location.line());
    line.filter(|_| found)
}

/// Walks down to a value and fails there, because only the parser's errors tell a place.
struct Walk<'a> {
    names: &'a [String],
    found: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value that is looked for")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((name, rest)) = self.names.split_first() else {
            *self.found = true;
            return Err(A::Error::custom("here"));
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *name {
                return map.next_value_seed(Walk { names: rest, found: self.found });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((name, rest)) = self.names.split_first() else {
            *self.found = true;
            return Err(A::Error::custom("here"));
        };
        let wanted: Option<usize> = name.parse().ok();
        let mut at = 0;
        loop {
            if wanted == Some(at) {
                let walk = Walk { names: rest, found: self.found };
                return items.next_element_seed(walk).map(|_| ());
            }
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
            at += 1;
        }
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        *self.found = self.names.is_empty();
        Err(E::custom("here"))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.visit_str("")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_str("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
id: demo
name: Demo
description: A service.
schemes:
  - id: key
    name: Key
    type: api_key
    fields:
      - { name: api_key, label: Key, secret: true }
    hosts: [api.example.com]
    attach:
      headers: { Authorization: 'Bearer {{ api_key }}' }
actions:
  - id: get_thing
    name: Get a thing
    inputs:
      type: object
      properties: { id: { type: string } }
    request:
      url: https://api.example.com/things/{{ inputs.id }}
    example: { id: '1' }
";

    #[test]
    fn mistakes_are_told_with_their_line() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(GOOD.contains(from), "{from}");
            let faults = App::parse(&GOOD.replacen(from, to, 1)).err();
            let told: Vec<_> = faults.into_iter().flatten().map(|f| f.to_string()).collect();
            assert!(told.iter().any(|text| text.starts_with(expected)), "{to}: {told:?}");
        };
        assert!(App::parse(GOOD).is_ok(), "{:?}", App::parse(GOOD).err());
        check("id: demo", "id: Demo", "line 1 (/id)");
        check("name: Demo\n", "", "line 1");
        check("type: api_key", "type: apikey", "line 7 (/schemes/0/type)");
        check("[api.example.com]", "['http://api.example.com']", "line 10 (/schemes/0/hosts/0)");
        check("{{ api_key }}", "{{ key }}", "line 12 (/schemes/0/attach/headers/Authorization)");
        check("{{ inputs.id }}", "{{ inputs.name }}", "line 20 (/actions/0/request/url)");
        check("{{ inputs.id }}", "{{ trigger.body }}", "line 20 (/actions/0/request/url)");
        check(
            "https://api.example.com/",
            "https://{{ inputs.id }}/",
            "line 20 (/actions/0/request/url)",
        );
        check("    name: Get a thing", "    nam: Get a thing", "line 15 (/actions/0/nam)");
        check("  - id: key", "  - id: key\n    id: key", "line 5");
    }

    #[test]
    fn json_is_read_as_json_and_has_lines_too() {
        let document = yaml::parse(GOOD.as_bytes()).expect("YAML");
        let text = serde_json::to_string_pretty(&document).expect("JSON").replace("  ", "\t");
        assert!(App::parse(&text).is_ok(), "{:?}", App::parse(&text).err());
        let check = |from: &str, to: &str, expected: &str| {
            assert!(text.contains(from), "{from}");
            let faults = App::parse(&text.replacen(from, to, 1)).err();
            let told: Vec<_> = faults.into_iter().flatten().map(|f| f.to_string()).collect();
            assert!(told.iter().any(|text| text.starts_with(expected)), "{to}: {told:?}");
        };
        check("\"Demo\"", "\"\\ud83d\\ude00\\n\"", "line 3 (/name)");
        check("\"api_key\",", "\"apikey\",", "line 9 (/schemes/0/type)");
        check("\"Demo\",", "\"Demo\"", "line 4: ");
        assert!(App::parse(&format!("{{{}}}", "id: demo")).is_err());
    }
}
