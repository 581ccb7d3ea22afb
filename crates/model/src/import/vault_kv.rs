//! HashiCorp Vault: `vault kv get -format=json`, or a map from path to what that prints or to the
//! fields themselves. Each path is a custom credential.

use super::{Broken, Entry, wipe};
use crate::credential::CredentialType;
use crate::json;
use serde_json::{Map, Value};

pub(super) fn read(content: &str, key: Option<&str>) -> Result<Vec<Entry>, Broken> {
    let members = match json::parse(content.as_bytes())? {
        Value::Object(members) => members,
        other => {
            wipe(other);
            return Err(Broken::Document("it is not a JSON object"));
        }
    };
    if is_answer(&members) {
        let detail = "it does not say the secret's path; send the `key` that it shall have";
        let key = key.ok_or(Broken::Document(detail))?;
        return Ok(vec![entry("entry 1".into(), key, Value::Object(members))]);
    }
    let entries = members.into_iter().enumerate();
    Ok(entries
        .map(|(at, (path, value))| entry(format!("entry {}", at + 1), &path, value))
        .collect())
}

fn entry(place: String, path: &str, value: Value) -> Entry {
    let mut entry = Entry::new(place, path, CredentialType::Custom);
    match fields(value) {
        Some(fields) => entry.put_members(fields),
        None => entry = entry.invalid("its fields are no JSON object"),
    }
    entry
}

/// What Vault's API answers, in either version of the engine.
fn is_answer(members: &Map<String, Value>) -> bool {
    let has = |name| members.contains_key(name);
    members.get("data").is_some_and(Value::is_object)
        && (has("request_id") || has("lease_id") || has("lease_duration"))
}

/// The fields of a path: sent as they are, or inside what Vault answers.
fn fields(value: Value) -> Option<Map<String, Value>> {
    let mut members = match value {
        Value::Object(members) => members,
        other => {
            wipe(other);
            return None;
        }
    };
    if !is_answer(&members) {
        return Some(members);
    }
    let data = members.remove("data");
    wipe(Value::Object(members));
    let Some(Value::Object(mut data)) = data else { return None };
    // The second version of the engine puts fields and metadata into it.
    let second = data.get("metadata").is_some_and(|m| m.get("version").is_some());
    match data.remove("data") {
        Some(Value::Object(fields)) if second => Some(fields),
        Some(other) => {
            data.insert("data".into(), other);
            Some(data)
        }
        None => Some(data),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::{Format, read};
    use serde_json::json;

    #[test]
    fn answers_and_maps_are_read() {
        let format = Format::VaultKv;
        let second = json!({
            "request_id": "r", "lease_id": "", "lease_duration": 0,
            "data": {"data": {"user": "u", "port": 5432}, "metadata": {"version": 3}},
        });
        let first = json!({"request_id": "r", "lease_duration": 1, "data": {"user": "u"}});
        check(format, &second, Some("DB"), &["DB custom port=5432 user=u"]);
        check(format, &first, Some("DB"), &["DB custom user=u"]);
        let map = json!({
            "secret/app/db": {"api-key": "k", "tls": true}, "two": second, "three": first,
            "four": {"data": "d"},
        });
        let expected = [
            "secret_app_db custom api_key=k tls=true",
            "two custom port=5432 user=u",
            "three custom user=u",
            "four custom data=d",
        ];
        check(format, &map, None, &expected);
    }

    #[test]
    fn what_is_no_secret_of_fields_is_told() {
        let format = Format::VaultKv;
        check(format, &json!({"a": "x"}), None, &["a invalid"]);
        check(format, &json!({"a": {}}), None, &["a invalid"]);
        check(format, &json!({"a": {"b": ["c"]}}), None, &["a invalid"]);
        check(format, &json!({"a": {"b-c": "1", "b_c": "2"}}), None, &["a invalid b_c=1"]);
        check(format, &json!({"a": {"1": "x"}}), None, &["a invalid"]);
        check(format, &json!({"a": {"b": null}}), None, &["a custom b?"]);
        check(format, &json!({"/": {"b": "c"}}), None, &["- invalid b=c"]);
        let bare = json!({"lease_id": "", "data": {"user": "canary"}});
        for content in ["[]", "{}", "{\"a\":", &bare.to_string()] {
            let error = read(format, content, None).err().expect("refused").to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
