//! n8n: `n8n export:credentials --all`. Values are there only where they were exported decrypted.

use super::{Broken, Entry, text, wipe};
use crate::credential::CredentialType;
use crate::json;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

pub(super) fn read(content: &str) -> Result<Vec<Entry>, Broken> {
    let items = match json::parse(content.as_bytes())? {
        Value::Array(items) => items,
        // `--separate` writes one file for each.
        one @ Value::Object(_) => vec![one],
        other => {
            wipe(other);
            return Err(Broken::Document("it is not a JSON array"));
        }
    };
    items.into_iter().enumerate().map(|(at, item)| entry(at + 1, item)).collect()
}

fn entry(at: usize, item: Value) -> Result<Entry, Broken> {
    let Value::Object(mut item) = item else {
        wipe(item);
        return Err(Broken::Document("an entry of it is not an object"));
    };
    let mut word = |name: &str| match item.remove(name) {
        Some(Value::String(word)) => Ok(word),
        _ => Err(Broken::Document("an entry of it has no name or no type")),
    };
    let (name, kind) = (word("name")?, word("type")?);
    let data = match item.remove("data") {
        Some(Value::Object(data)) => Some(data),
        other => {
            // Encrypted with a key that only that n8n has.
            other.into_iter().for_each(wipe);
            None
        }
    };
    wipe(Value::Object(item));
    let made = |kind| Entry::new(format!("entry {at}"), &name, kind);
    let oauth = kind.to_ascii_lowercase().contains("oauth");
    Ok(match kind.as_str() {
        "httpBasicAuth" => basic(made(CredentialType::Basic), data),
        "httpHeaderAuth" => api_key(made(CredentialType::ApiKey), data, "header"),
        "httpQueryAuth" => api_key(made(CredentialType::ApiKey), data, "query"),
        _ if oauth => {
            data.into_iter().for_each(|data| wipe(Value::Object(data)));
            made(CredentialType::Custom).skipped("an OAuth connection has to be made anew")
        }
        _ => other(&made, data),
    })
}

fn basic(mut entry: Entry, data: Option<Map<String, Value>>) -> Entry {
    let mut data = data.unwrap_or_default();
    for (field, there) in [("username", "user"), ("password", "password")] {
        entry.put(field, data.remove(there).and_then(text).unwrap_or_default());
    }
    wipe(Value::Object(data));
    entry
}

fn api_key(mut entry: Entry, data: Option<Map<String, Value>>, place: &str) -> Entry {
    let mut data = data.unwrap_or_default();
    entry.put("in", Zeroizing::new(place.to_owned()));
    for field in ["name", "value"] {
        entry.put(field, data.remove(field).and_then(text).unwrap_or_default());
    }
    wipe(Value::Object(data));
    entry
}

/// A service's own type: its fields, or one value where they are not known.
fn other(made: &impl Fn(CredentialType) -> Entry, data: Option<Map<String, Value>>) -> Entry {
    let Some(data) = data else {
        let mut entry = made(CredentialType::ApiKey);
        entry.needs.push("value".into());
        return entry;
    };
    let mut entry = made(CredentialType::Custom);
    entry.put_members(data);
    entry
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::super::{Format, read};
    use serde_json::json;

    #[test]
    fn names_are_there_and_values_may_be() {
        let encrypted = json!([
            {"id": "1", "name": "Slack bot", "type": "slackApi", "data": "U2FsdGVkX18="},
            {"id": "2", "name": "Login", "type": "httpBasicAuth"},
            {"id": "3", "name": "Header", "type": "httpHeaderAuth", "data": "U2Fs"},
            {"id": "4", "name": "Google", "type": "googleSheetsOAuth2Api", "data": "U2Fs"},
        ]);
        let expected = [
            "Slack_bot api_key value?",
            "Login basic username? password?",
            "Header api_key in=header name? value?",
            "Google skip",
        ];
        check(Format::N8n, &encrypted, None, &expected);
        let decrypted = json!([
            {"name": "S", "type": "slackApi", "data": {"accessToken": "t"}},
            {"name": "L", "type": "httpBasicAuth", "data": {"user": "u", "password": "p"}},
            {"name": "Q", "type": "httpQueryAuth", "data": {"name": "key", "value": "v"}},
        ]);
        let expected = [
            "S custom accessToken=t",
            "L basic password=p username=u",
            "Q api_key in=query name=key value=v",
        ];
        check(Format::N8n, &decrypted, None, &expected);
        check(Format::N8n, &json!({"name": "A", "type": "b"}), None, &["A api_key value?"]);
    }

    #[test]
    fn a_broken_file_is_refused_whole() {
        for content in
            ["", "7", "[7]", "[]", "[{\"name\":\"canary\"}]", "[{\"name\":7,\"type\":\"x\"}]"]
        {
            let error = read(Format::N8n, content, None).err().expect("refused").to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
