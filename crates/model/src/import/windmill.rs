//! Windmill: variables and resources as its API lists them, in one array or under `variables` and
//! `resources`. Secret variables become api_keys, resources custom credentials.

use super::{Broken, Entry, Held, text, wipe};
use crate::credential::CredentialType;
use crate::json;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORM: Broken =
    Broken::Document("it is neither an array nor an object with `variables` and `resources`");

pub(super) fn read(content: &str) -> Result<Vec<Entry>, Broken> {
    let items = items(json::parse(content.as_bytes())?)?;
    let (mut resources, mut entries) = (Vec::new(), Vec::new());
    let mut variables = BTreeMap::new();
    for (at, item) in items.into_iter().enumerate() {
        let place = format!("entry {}", at + 1);
        let Value::Object(mut item) = item else {
            wipe(item);
            return Err(Broken::Document("an entry of it is not an object"));
        };
        let Some(Value::String(path)) = item.remove("path") else {
            wipe(Value::Object(item));
            return Err(Broken::Document("an entry of it has no path"));
        };
        match item.contains_key("resource_type") {
            true => resources.push((place, path, item)),
            false => {
                let entry = variable(place, &path, item);
                let value = entry.fields.get("value").cloned().unwrap_or_default();
                variables.insert(path, value);
                entries.push(entry);
            }
        }
    }
    let made =
        resources.into_iter().map(|(place, path, item)| resource(place, &path, item, &variables));
    entries.extend(made);
    Ok(entries)
}

fn items(document: Value) -> Result<Vec<Value>, Broken> {
    let mut members = match document {
        Value::Array(items) => return Ok(items),
        Value::Object(members) => members,
        other => {
            wipe(other);
            return Err(FORM);
        }
    };
    let lists = ["variables", "resources"].map(|name| members.remove(name));
    wipe(Value::Object(members));
    let mut items = Vec::new();
    for list in lists.into_iter().flatten() {
        let Value::Array(list) = list else {
            wipe(list);
            return Err(FORM);
        };
        items.extend(list);
    }
    Ok(items)
}

fn variable(place: String, path: &str, mut item: Map<String, Value>) -> Entry {
    let secret = item.remove("is_secret") != Some(Value::Bool(false));
    let value = item.remove("value").and_then(text).unwrap_or_default();
    wipe(Value::Object(item));
    let mut entry = Entry::new(place, path, CredentialType::ApiKey);
    if !secret {
        entry.put("value", value);
        return entry.skipped("a variable that is no secret is no credential");
    }
    entry.put("value", if is_encrypted(&value) { Zeroizing::default() } else { value });
    entry
}

/// Secrets are exported encrypted unless asked otherwise: base64 of whole blocks of 16 bytes. A
/// plain value of that form is asked for again, which harms less than to save what is none.
fn is_encrypted(value: &str) -> bool {
    let bytes = data_encoding::BASE64.decode(value.as_bytes()).map(Zeroizing::new);
    bytes.is_ok_and(|bytes| !bytes.is_empty() && bytes.len() % 16 == 0)
}

fn resource(
    place: String,
    path: &str,
    mut item: Map<String, Value>,
    variables: &BTreeMap<String, Held>,
) -> Entry {
    let value = item.remove("value");
    wipe(Value::Object(item));
    let mut entry = Entry::new(place, path, CredentialType::Custom);
    let Some(Value::Object(mut members)) = value else {
        value.into_iter().for_each(wipe);
        return entry.invalid("its value is no JSON object");
    };
    for value in members.values_mut() {
        let named = value.as_str().and_then(|text| text.strip_prefix("$var:"));
        let held = named.map(|path| variables.get(path).map_or("", |held| held.as_str()));
        let other = value.as_str().is_some_and(|text| text.starts_with("$res:"));
        if let Some(held) = held.or(other.then_some("")) {
            *value = Value::String(held.to_owned());
        }
    }
    entry.put_members(members);
    entry
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::{Format, read};
    use serde_json::json;

    #[test]
    fn variables_and_resources_are_read() {
        let encrypted = data_encoding::BASE64.encode(&[7; 32]);
        let variables = json!([
            {"path": "u/bob/token", "value": "plain one", "is_secret": true, "description": "d"},
            {"path": "u/bob/hidden", "value": null, "is_secret": true},
            {"path": "u/bob/sealed", "value": encrypted, "is_secret": true},
            {"path": "f/all/region", "value": "eu", "is_secret": false},
        ]);
        let resources = json!([{
            "path": "u/bob/db", "resource_type": "postgresql",
            "value": {
                "host": "h", "port": 5432, "password": "$var:u/bob/token",
                "other": "$var:u/bob/hidden", "more": "$res:u/bob/x",
            },
        }]);
        let expected = [
            "u_bob_token api_key value=plain one",
            "u_bob_hidden api_key value?",
            "u_bob_sealed api_key value?",
            "f_all_region skip value=eu",
            "u_bob_db custom host=h password=plain one port=5432 other? more?",
        ];
        let both = json!({"variables": variables, "resources": resources});
        check(Format::Windmill, &both, None, &expected);
        check(Format::Windmill, &variables, None, &expected[..4]);
        let odd = json!([{"path": "a", "resource_type": "x", "value": "canary"}]);
        check(Format::Windmill, &odd, None, &["a invalid"]);
    }

    #[test]
    fn a_broken_file_is_refused_whole() {
        for content in ["7", "{}", "[]", "[7]", "[{\"value\":\"canary\"}]", "{\"variables\":7}"] {
            let error = read(Format::Windmill, content, None).err().expect("refused").to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
